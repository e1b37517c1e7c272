"""Samples of experiments in a lake."""

from typing import Any

import pyarrow as pa
from corpora import improvise

from pianogen.lake import Lake, Stage
from pianogen.midi.render import midi_bytes
from pianogen.tables import SCHEMAS


def write_samples(lake: Lake, **numbers: int) -> None:
    """So many samples of each experiment, of the same names in all of them."""
    rows: list[dict[str, Any]] = []
    for seed, (experiment, number) in enumerate(numbers.items()):
        for i in range(number):
            notes = midi_bytes(improvise(50 * seed + i, 12))
            rows.append({"experiment": experiment, "run_id": "r", "sample": f"prompted_{i}", "midi": notes})
    lake.write_block("samples", "s", {"samples": pa.Table.from_pylist(rows, SCHEMAS["samples"])})
    lake.publish(Stage(name="samples", modules=("pianogen.tables",), tables=("samples",)), ["s"])
