"""Sequences in memory, as shards hold them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pianogen.shards import Sequences


def sequences_of(
    tokens: Sequence[np.ndarray], ids: Sequence[str] | None = None, num_notes: Sequence[int] | None = None
) -> Sequences:
    """One batch with these sequences, as the originals of as many performances."""
    num, ends = len(tokens), np.cumsum([len(one) for one in tokens], dtype=np.int64)
    facts = {
        "performance_id": pa.array(ids or [f"{i:02x}" for i in range(num)]),
        "semitones": np.zeros(num, np.int8),
        "num_notes": np.array(num_notes or [1] * num, np.int32),
    }
    return Sequences(
        facts=pa.table(facts),
        values=(np.concatenate(tokens),),
        batch=np.zeros(num, np.int32),
        start=ends - [len(one) for one in tokens],
        end=ends,
    )
