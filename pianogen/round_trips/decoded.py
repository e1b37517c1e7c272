"""Decoded music in seconds of its source.

What a scheme decodes in quarters (`Tokenizer.clock`) is played by the tempo map of the source, so that a tempo which
the tokens do not tell is no error; what it decodes in seconds is taken as it is.
"""

import numpy as np

from pianogen.midi.blocks import MusicBlock
from pianogen.round_trips.matching import match_notes
from pianogen.tokenizers.base import Tokenizer


def notes_that_come_back(
    tokenizer: Tokenizer, source: MusicBlock, decoded: MusicBlock
) -> tuple[np.ndarray, np.ndarray]:
    """Counts and sums of `matching.match_notes` for each performance."""
    onset_sec, offset_sec = decoded_seconds(tokenizer, decoded, source)
    return match_notes(
        source.note_edges,
        source.pitch,
        source.onset_sec,
        source.offset_sec - source.onset_sec,
        source.velocity,
        decoded.note_edges,
        decoded.pitch,
        onset_sec,
        offset_sec - onset_sec,
        decoded.velocity,
    )


def decoded_seconds(tokenizer: Tokenizer, decoded: MusicBlock, source: MusicBlock) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset of decoded notes in seconds of the source, float64, shape (num_decoded,)."""
    if tokenizer.clock == "seconds":
        return decoded.onset_sec, decoded.offset_sec
    onset, offset = np.empty(len(decoded.pitch)), np.empty(len(decoded.pitch))
    for i in range(len(decoded)):
        notes = slice(decoded.note_edges[i], decoded.note_edges[i + 1])
        # A tick of the source may be longer than one of the scheme: seconds are taken of parts of ticks.
        ticks = source.ticks_per_quarter[i] / decoded.ticks_per_quarter[i]
        start = decoded.onset_tick[notes].astype(np.int64)
        tempi = source[i].tempo_map
        onset[notes] = tempi.seconds(start * ticks)
        offset[notes] = tempi.seconds((start + decoded.duration_tick[notes]) * ticks)
    return onset, offset
