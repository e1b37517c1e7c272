"""What a measure is said to come from is what changes it: each input column is disturbed, and all is measured again."""

import numpy as np
import pyarrow as pa
import pytest

from pianogen.measured import COLUMNS
from pianogen.statistics.measures import READS, measure
from pianogen.tables import SCHEMAS
from pipelines.lineage import measured_from, of_dataset_statistics, of_distances, of_statistics

NUM_PIECES, NUM_NOTES, TPQ = 12, 150, 480
OTHER = {"major": "minor", "minor": "major", "sustain": "soft", "soft": "sostenuto", "sostenuto": "sustain"}


def table(name: str, **columns) -> pa.Table:
    schema = pa.schema([SCHEMAS[name].field(column) for column in READS[name]])
    num = max(np.size(column) for column in columns.values()) // NUM_PIECES
    columns["performance_id"] = np.repeat([f"{i:024x}" for i in range(NUM_PIECES)], num)
    full = {column: np.broadcast_to(columns[column], num * NUM_PIECES) for column in READS[name]}
    return pa.table({column: pa.array(values).cast(schema.field(column).type) for column, values in full.items()})


def music() -> dict[str, pa.Table]:
    """Performances in which every measure has something to measure; notes on a grid of sixteenths, drums among them."""
    rng = np.random.default_rng(3)
    shape = NUM_PIECES, NUM_NOTES
    onset = np.sort(rng.integers(0, 200, shape), axis=1) * 120
    duration = rng.integers(1, 6, shape) * 60
    notes = {
        "track": rng.integers(0, 2, shape),
        "program": rng.integers(0, 2, shape),
        "is_drum": rng.random(shape) < 0.1,
        "pitch": 60 + np.array([0, 2, 4, 5, 7, 9, 11, 12, 14])[rng.integers(0, 9, shape)],
        "velocity": rng.integers(40, 100, shape),
        "onset_tick": onset,
        "duration_tick": duration,
        "onset_sec": onset / 960,
        "offset_sec": (onset + duration) / 960,
        "held_sec": rng.random(shape) * 0.3,
    }
    end = (onset + duration).max(axis=1)
    presses = rng.random((NUM_PIECES, 6)) * 10
    return {
        "performances": table(
            "performances",
            dataset=np.full(NUM_PIECES, "written"),
            ticks_per_quarter=TPQ,
            num_notes=(~notes["is_drum"]).sum(axis=1),
            num_drum_notes=notes["is_drum"].sum(axis=1),
            duration_sec=end / 960,
            duration_quarters=end / TPQ,
        ),
        "notes": table("notes", **{name: values.ravel() for name, values in notes.items()}),
        # Some after the last note, which makes a song longer.
        "controls": table("controls", tick=(end[:, None] + [0, 3000]).ravel()),
        "pedal_presses": table(
            "pedal_presses",
            pedal=np.tile(["sustain", "sustain", "sustain", "soft", "soft", "sostenuto"], NUM_PIECES),
            press_sec=presses.ravel(),
            lift_sec=(presses + 1).ravel(),
        ),
        "tempos": table("tempos", time_sec=np.tile([0.0, 6.0], NUM_PIECES), tempo_qpm=rng.uniform(60, 180, 24)),
        "time_signatures": table(
            "time_signatures",
            tick=np.tile([0, 11000], NUM_PIECES),
            numerator=np.tile([4, 3], NUM_PIECES),
            denominator=np.tile([4, 8], NUM_PIECES),
        ),
        "key_signatures": table(
            "key_signatures",
            tick=np.tile([0, 11000], NUM_PIECES),
            sharps=np.tile([0, 3], NUM_PIECES),
            mode=np.tile(["major", "minor"], NUM_PIECES),
        ),
    }


def disturbed(tables: dict[str, pa.Table], name: str, column: str) -> dict[str, pa.Table]:
    """The same with other values in one column; what is sorted stays so."""
    rng = np.random.default_rng(5)
    found = tables[name]
    if column == "performance_id":
        return tables | {name: found.slice(0, found.num_rows // 2)}
    values = found[column].to_numpy(zero_copy_only=False)
    if values.dtype == object:
        values = np.array([OTHER.get(value, f"other {value}") for value in values])
    elif values.dtype == bool:
        values = values ^ (rng.random(len(values)) < 0.1)
    elif column == "onset_tick":
        pieces = values.reshape(NUM_PIECES, -1)
        values = (pieces + 35 * (np.cumsum(rng.random(pieces.shape) < 0.05, axis=1))).ravel()
    elif column in ("onset_sec", "press_sec"):
        values = np.maximum(0, values - 0.04 * rng.random(len(values)))
    elif column == "time_sec":
        values = values * 100
    elif column == "tick":
        values = values + 7000
    elif column in ("numerator", "sharps"):
        values = values + 1
    elif column in ("denominator", "ticks_per_quarter"):
        values = values * 2
    elif values.dtype.kind in "iu":
        values = values + rng.integers(0, 4, len(values))
    else:
        values = values * rng.uniform(1.01, 1.2, len(values))
    place = found.schema.get_field_index(column)
    kind = found.schema.field(column)
    return tables | {name: found.set_column(place, kind, pa.array(values).cast(kind.type, safe=False))}


def changed(before: pa.Table, after: pa.Table) -> set[str]:
    def differ(a, b) -> bool:
        known = isinstance(a, int | float) and isinstance(b, int | float)
        return abs(a - b) > 1e-9 * max(1, abs(a)) if known else a != b

    names = [name for name in before.column_names if name != "performance_id"]
    return {n for n in names if any(map(differ, before[n].to_pylist(), after[n].to_pylist()))}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return music()


@pytest.fixture(scope="module")
def before(tables) -> pa.Table:
    return measure(tables)["performance_statistics"]


# Names and numbers by which a performance finds its rows are no values.
FIND_ROWS = {
    *((name, "performance_id") for name in ("performances", "notes", "controls", "pedal_presses")),
    ("performances", "num_notes"),
    ("performances", "num_drum_notes"),
}
INPUTS = [(name, column) for name, columns in READS.items() for column in columns if (name, column) not in FIND_ROWS]


@pytest.mark.parametrize("name, column", INPUTS)
def test_a_disturbed_column_changes_what_is_said_to_come_from_it_and_nothing_else(tables, before, name, column):
    after = measure(disturbed(tables, name, column))["performance_statistics"]
    source = column if name == "performances" else f"{name}.{column}"
    declared = {measured for measured in COLUMNS if source in measured_from(measured)}
    found = changed(before, after)
    if column == "performance_id":
        # Rows that are gone change whatever comes from any of the table's columns.
        declared = {m for m in COLUMNS if any(s.startswith(f"{name}.") for s in measured_from(m))}
    assert found <= declared
    assert bool(found) == bool(declared - {"performance_id"})


def test_every_column_of_the_statistics_comes_from_somewhere():
    deps = of_statistics().deps_by_column
    assert set(deps) == set(COLUMNS)
    known = {
        column if name == "performances" else f"{name}.{column}" for name, cols in READS.items() for column in cols
    }
    for found in deps.values():
        assert found
        assert {dep.asset_key.to_user_string() for dep in found} == {"performances"}
        assert {dep.column_name for dep in found} <= known


def test_what_compares_datasets_comes_from_what_was_measured():
    lineage = of_dataset_statistics(
        ["dataset", "num_notes", "velocity_mean_p05", "velocity_mean_mean", "duration_hours"]
    )
    named = {name: [dep.column_name for dep in deps] for name, deps in lineage.deps_by_column.items()}
    assert named == {
        "dataset": ["dataset"],
        "num_notes": ["num_notes"],
        "velocity_mean_p05": ["velocity_mean"],
        "velocity_mean_mean": ["velocity_mean"],
        "duration_hours": ["duration_sec"],
    }
    bits = of_distances().deps_by_column["jensen_shannon_bits"]
    assert {dep.asset_key.to_user_string() for dep in bits} == {"statistics", "clusters", "duplicate_pairs", "splits"}
