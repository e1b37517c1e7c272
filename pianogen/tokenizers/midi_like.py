"""MIDI-like: note-on, velocity, note-off, time shift.

Source: Oore et al., "This Time with Feeling" (2018); the ids are those of MidiTok's MIDILike.
"""

from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer


class MidiLike(TimelineTokenizer):
    """MIDI-like; options as of `TimelineOptions`."""

    name = "midi_like"
