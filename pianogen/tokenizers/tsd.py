"""TSD: time shift, pitch, velocity, duration.

Source: Fradet et al., "Byte Pair Encoding for Symbolic Music" (2023); the ids are those of MidiTok's TSD.
"""

from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer


class Tsd(TimelineTokenizer):
    """TSD; options as of `TimelineOptions`."""

    name = "tsd"
