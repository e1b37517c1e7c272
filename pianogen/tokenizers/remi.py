"""REMI: bar, position in the bar, pitch, velocity, duration.

Source: Huang and Yang, "Pop Music Transformer" (2020); the ids are those of MidiTok's REMI.
"""

from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer


class Remi(TimelineTokenizer):
    """REMI; options as of `TimelineOptions`."""

    name = "remi"
