"""Figures of a tokenizer's round trip: a block of music encoded, decoded, and laid on the source.

Both sides are compared in seconds of the source (`decoded`). Onset, duration and velocity errors are null where the
scheme carries no such thing. Notes that have no token, beyond `pitch_range`, are notes of the source like all others:
they count against recall.
"""

import numpy as np
import pyarrow as pa

from pianogen.midi.blocks import MusicBlock
from pianogen.round_trips.decoded import notes_that_come_back
from pianogen.round_trips.matching import DURATION, MATCHED, ONSET, SAME_PITCH, SHIFT, VELOCITY
from pianogen.round_trips.residual import residual_bits
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import TokenBlock, Tokenizer


def measure_round_trip(tokenizer: Tokenizer, music: MusicBlock, name: str, performance_ids: pa.Array) -> pa.Table:
    """Rows of the lake's `round_trips`, one for each performance.

    Args:
        tokenizer: knows its vocabulary, where that is learned.
        music: the source.
        name: of the tokenizer in the table.
        performance_ids: of the performances of `music`, shape (num_performances,).
    """
    tokens = tokenizer.encode_block(music)
    decoded = tokenizer.decode_block(tokens)
    counts, sums = notes_that_come_back(tokenizer, music, decoded)
    low, high = tokenizer.pitch_range
    num = len(music)
    columns = {
        "tokenizer": pa.array([name] * num),
        "tokenizer_version": pa.array([tokenizer.version] * num),
        "performance_id": performance_ids,
        "num_notes": np.diff(music.note_edges),
        "num_decoded": np.diff(decoded.note_edges),
        "num_matched": counts[:, MATCHED],
        "num_same_pitch": counts[:, SAME_PITCH],
        "num_unencodable": _count_by(music.note_edges, (music.pitch < low) | (music.pitch > high)),
        "num_tokens": np.diff(tokens.edges),
        "num_unknown": num_unknown(tokenizer, tokens),
        "residual_bits": residual_bits(tokenizer, music, decoded),
        "onset_error_sec": _carried(tokenizer, "onset", sums[:, ONSET]),
        "onset_shift_sec": _carried(tokenizer, "onset", sums[:, SHIFT]),
        "duration_error_sec": _carried(tokenizer, "duration", sums[:, DURATION]),
        "velocity_error": _carried(tokenizer, "velocity", sums[:, VELOCITY]),
    }
    schema = SCHEMAS["round_trips"]
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}, schema=schema)


def num_unknown(tokenizer: Tokenizer, tokens: TokenBlock) -> np.ndarray:
    """Tokens of each performance that stand for what the vocabulary does not have, int64."""
    if not tokenizer.unknown_ids:
        return np.zeros(len(tokens), np.int64)
    return _count_by(tokens.edges, np.isin(tokens.values, tokenizer.unknown_ids))


def _count_by(edges: np.ndarray, is_counted: np.ndarray) -> np.ndarray:
    before = np.concatenate(([0], np.cumsum(is_counted, dtype=np.int64)))
    return before[edges[1:]] - before[edges[:-1]]


def _carried(tokenizer: Tokenizer, attribute: str, values: np.ndarray) -> pa.Array:
    """The values, or nulls where the scheme says nothing of the attribute."""
    return pa.array(values) if attribute in tokenizer.carries else pa.nulls(len(values), pa.float64())
