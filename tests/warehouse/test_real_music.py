"""The views and checks over real files, against numpy over the same notes."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.views import apply_views
from pianogen.warehouse import run_check

SQL = Path(__file__).resolve().parents[2] / "warehouse"


def held_over_time(onset_sec: np.ndarray, offset_sec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of notes held in each stretch between two moments where it may change, and the stretches' lengths."""
    moments = np.unique(np.concatenate([onset_sec, offset_sec]))
    begun = np.searchsorted(np.sort(onset_sec), moments[:-1], side="right")
    ended = np.searchsorted(np.sort(offset_sec), moments[:-1], side="right")
    return begun - ended, np.diff(moments)


def expected_statistics(notes: dict[str, np.ndarray], duration_sec: float) -> dict[str, float]:
    held, lengths = held_over_time(notes["onset_sec"], notes["offset_sec"])
    durations = notes["offset_sec"] - notes["onset_sec"]
    return {
        "num_notes": len(durations),
        "notes_per_sec": len(durations) / duration_sec,
        "pitch_min": notes["pitch"].min(),
        "pitch_mean": notes["pitch"].mean(),
        "pitch_max": notes["pitch"].max(),
        "velocity_mean": notes["velocity"].mean(),
        "velocity_std": notes["velocity"].std(),
        "note_duration_sec_mean": durations.mean(),
        "note_duration_sec_median": np.median(durations),
        "polyphony_mean": (held * lengths).sum() / lengths[held > 0].sum(),
        "polyphony_max": held.max(),
        "silence_share": 1 - lengths[held > 0].sum() / duration_sec,
    }


def test_statistics_of_real_files_are_what_numpy_finds_and_every_check_of_ingest_passes(real_data, tmp_path):
    folder = real_data / "piano-course"
    lake = Lake(tmp_path / "lake")
    settings = dataclasses.replace(load_settings(), workers=1)
    ingest_dataset(lake, Dataset(name="course", title="course", folder=folder), settings)
    with contextlib.closing(lake.connect()) as connection:
        apply_views(connection, SQL / "views", ["sounding_time", "performance_statistics"])
        found = connection.sql("from performance_statistics order by performance_id").to_arrow_table().to_pylist()
        for check in sorted((SQL / "checks" / "performances").glob("*.sql")):
            assert run_check(connection, check.read_text()).to_pylist() == [], check.name
    assert len(found) >= 90
    notes = lake.read("notes").to_pandas()
    by_performance = dict(list(notes[~notes["is_drum"]].groupby("performance_id")))
    for row in found:
        columns = ("pitch", "velocity", "onset_sec", "offset_sec")
        mine = {name: by_performance[row["performance_id"]][name].to_numpy() for name in columns}
        expected = expected_statistics(mine, row["duration_sec"])
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-9), row["performance_id"]
