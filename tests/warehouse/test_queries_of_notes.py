"""Named queries that leave out most performances before they look at notes: nothing that is asked for is lost."""

import contextlib
import itertools
from collections import defaultdict
from dataclasses import replace

import mido
import numpy as np
import pytest
from warehouses import SQL

from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.statistics.build import update_statistics
from pianogen.views import apply_views
from pianogen.warehouse import find_query

NUM_FILES = 90
DRUMS = 9


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Short files of few pitches in several parts, most with a piano and with something else."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(7)
    for number in range(NUM_FILES):
        file = mido.MidiFile(ticks_per_beat=24)
        for channel in rng.choice([0, 1, DRUMS], rng.integers(1, 4), replace=False).tolist():
            file.tracks.append(track(rng, channel))
        file.save(folder / f"{number:02d}.mid")
    lake = Lake(tmp_path_factory.mktemp("lake"))
    settings = replace(load_settings(), workers=1, sql=SQL)
    ingest_dataset(lake, Dataset(name="parts", title="parts", folder=folder), settings)
    update_statistics(lake, settings)
    return lake


def track(rng: np.random.Generator, channel: int) -> mido.MidiTrack:
    """Notes one after the other, few pitches and rests, with a change of program and a burst on the way."""
    pitches = rng.integers(50, 70, rng.integers(1, 4))
    burst = 10, 10 + rng.integers(0, 30)
    messages = [mido.Message("program_change", channel=channel, program=int(rng.choice([0, 7, 8, 40])))]
    for k in range(rng.integers(4, 60)):
        if k == 15:
            messages.append(mido.Message("program_change", channel=channel, program=int(rng.choice([0, 7, 40]))))
        is_burst = burst[0] < k < burst[1]
        pitch, wait = int(rng.choice(pitches)), 0 if is_burst else int(rng.choice([0, 0, 0, 6, 30]))
        length = 1 if is_burst else int(rng.choice([1, 6, 12]))
        messages.append(mido.Message("note_on", channel=channel, note=pitch, velocity=64, time=wait))
        messages.append(mido.Message("note_off", channel=channel, note=pitch, time=length))
    return mido.MidiTrack(messages)


def answer(lake: Lake, name: str, **given: str) -> list[dict]:
    query = find_query(SQL / "queries", name)
    with contextlib.closing(lake.connect()) as connection:
        apply_views(connection, SQL / "views", ["performances_with_sources"])
        return connection.sql(query.sql, params=query.values(given)).to_arrow_table().to_pylist()


def notes_by_path(lake: Lake) -> dict[str, list[dict]]:
    path_of = {row["performance_id"]: row["path"] for row in lake.read("files").to_pylist()}
    found: dict[str, list[dict]] = defaultdict(list)
    for note in lake.read("notes").to_pylist():
        if not note["is_drum"]:
            found[path_of[note["performance_id"]]].append(note)
    return found


def runs_of_piano(notes: list[dict], max_program: int) -> list[int]:
    """Lengths of the runs of one key, part by part, moment by moment."""
    parts: dict[tuple, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for note in notes:
        if note["program"] <= max_program:
            parts[note["track"], note["program"]][note["onset_tick"]].add(note["pitch"])
    lengths = []
    for moments in parts.values():
        struck = [frozenset(moments[tick]) for tick in sorted(moments)]
        lengths += [len(list(again)) for pitches, again in itertools.groupby(struck) if len(pitches) == 1]
    return lengths


@pytest.mark.parametrize("max_program", [7, 0, 127])
def test_the_longest_runs_are_those_that_are_found_by_looking_at_every_note(lake, max_program):
    rows = answer(lake, "repeated_notes", dataset="parts", max_program=str(max_program))
    every = [
        (-length, path) for path, notes in notes_by_path(lake).items() for length in runs_of_piano(notes, max_program)
    ]
    assert [(-row["num_notes"], row["path"]) for row in rows] == sorted(every)[:20]
    assert rows[0]["num_notes"] > rows[-1]["num_notes"]


def test_the_densest_seconds_are_those_that_are_found_by_looking_at_every_note(lake):
    most = []
    for path, notes in notes_by_path(lake).items():
        onsets = np.sort([note["onset_sec"] for note in notes])
        most.append((-int((np.searchsorted(onsets, onsets + 1.0, "right") - np.arange(len(onsets))).max()), path))
    rows = answer(lake, "densest_second", dataset="parts")
    assert [(-row["num_notes"], row["path"]) for row in rows] == sorted(most)[:20]
    assert len(rows) == 20
    assert rows[0]["num_notes"] > rows[-1]["num_notes"]
