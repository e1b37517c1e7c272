import io
import os
import shutil
import signal
import time
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import mido
import numpy as np
import pytest
from builders import event, midi_bytes, press
from comparisons import start_comparison
from corpora import compare, folder_dataset, here, improvise, transposed, write_many, write_midi
from ingests import files_below, ingest_settings
from shingling import Notes, improvised, melody, notes_of, write_notes

from pianogen.dedupe import comparison
from pianogen.dedupe.candidates import PairConfig, find_duplicate_pairs, not_yet_compared
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.dedupe.first_looks import CandidateConfig
from pianogen.dedupe.postings import Thresholds
from pianogen.dedupe.relations import RELATIONS
from pianogen.ingest import ingest_dataset, retire_datasets
from pianogen.lake import Lake
from pianogen.tables import SCHEMAS

PIECE = improvised(1, 300)
LONG = improvised(4, 1000)


def saved_by_mido(path: Path, ticks_per_quarter: int) -> bytes:
    """The same music through another library, in other ticks, its messages in other words."""
    midi = mido.MidiFile(path)
    factor = ticks_per_quarter // midi.ticks_per_beat
    midi.ticks_per_beat = ticks_per_quarter
    for track in midi.tracks:
        track[:] = [message.copy(time=message.time * factor) for message in track]
        track.insert(0, mido.MetaMessage("text", text="saved again"))
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def some_of(notes: Notes, share: float) -> Notes:
    return notes.take(np.random.default_rng(0).random(len(notes.pitch)) < share)


def played(notes: Notes, seed: int) -> Notes:
    """By somebody else, who is now slower and now faster."""
    rng = np.random.default_rng(seed)
    at = np.unique(notes.onset_sec)
    pace = np.exp(np.convolve(rng.normal(0, 0.25, len(at)), np.ones(4) / 2, "same"))
    onset = np.interp(notes.onset_sec, at, np.concatenate(([0], np.cumsum(np.diff(at) * pace[:-1]))))
    return notes._replace(onset_sec=onset, offset_sec=onset + notes.offset_sec - notes.onset_sec).in_order()


def shuffled(notes: Notes) -> Notes:
    return notes._replace(pitch=np.random.default_rng(0).permutation(notes.pitch)).in_order()


def with_bass(tune: Notes, seed: int) -> Notes:
    """A legato tune above short notes."""
    tune = tune._replace(offset_sec=np.append(tune.onset_sec[1:], tune.offset_sec[-1]))
    below = improvised(seed, 300).up(-24)
    below = below._replace(offset_sec=below.onset_sec + 0.06).take(below.onset_sec < tune.onset_sec[-1])
    return Notes(*(np.concatenate(columns) for columns in zip(tune, below, strict=True))).in_order()


# File -> notes, semitones above the piece or None for its mirror image about 65, seconds per second of the piece,
# relation to it.
FAMILY: dict[str, tuple[Notes, int | None, float, str]] = {
    "piece.mid": (PIECE, 0, 1.0, ""),
    "copy/piece.mid": (PIECE, 0, 1.0, "same_bytes"),
    "saved_again.mid": (PIECE, 0, 1.0, "same_notes"),
    "other_touch.mid": (PIECE, 0, 1.0, "same_notes"),
    "five_up.mid": (PIECE.up(5), 5, 1.0, "edited_copy"),
    "slower.mid": (PIECE.stretched(1.6), 0, 1.6, "edited_copy"),
    "jittered.mid": (PIECE.jittered(0.02).up(3), 3, 1.0, "edited_copy"),
    "mirrored.mid": (PIECE.mirrored(130), None, 1.0, "edited_copy"),
    "doubled.mid": (PIECE.doubled(-12, np.random.default_rng(0).random(300) < 0.4), 0, 1.0, "edited_copy"),
    "notes_less.mid": (some_of(PIECE, 0.9).stretched(0.8), 0, 0.8, "edited_copy"),
    "half.mid": (PIECE.take(slice(0, 150)), 0, 1.0, "excerpt"),
    "middle.mid": (PIECE.take(slice(100, 220)).up(-2), -2, 1.0, "excerpt"),
    "after_other.mid": (improvised(70, 150).followed_by(PIECE), 0, 1.0, "excerpt"),
    "played.mid": (played(PIECE, 3), 0, 1.0, "same_work"),
}
# The same of a piece of which not all shingles are kept.
LONG_FAMILY: dict[str, tuple[Notes, int | None, float, str]] = {
    "long/piece.mid": (LONG, 0, 1.0, ""),
    "long/edited.mid": (LONG.jittered(0.02).up(2).stretched(1.3), 2, 1.3, "edited_copy"),
    "long/part.mid": (LONG.take(slice(300, 700)), 0, 1.0, "excerpt"),
    "long/played.mid": (played(LONG, 5), 0, 1.0, "same_work"),
}
TUNE = melody(40, 200).up(24)
SETTINGS = {"tune/one.mid": with_bass(TUNE, 11), "tune/other.mid": with_bass(TUNE, 12)}
OTHERS = {
    "backwards.mid": PIECE.backwards(),
    "shuffled.mid": shuffled(PIECE),
    "long/backwards.mid": LONG.backwards(),
    "long/shuffled.mid": shuffled(LONG),
    "other.mid": improvised(3, 300),
    "short.mid": improvised(1, 6),
    "scraps.mid": PIECE.take(slice(100, 112)).followed_by(improvised(5, 300)),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Pieces, their copies and changed copies, and music that is none of these."""
    folder = tmp_path_factory.mktemp("family")
    every = {name: one[0] for name, one in (FAMILY | LONG_FAMILY).items()} | SETTINGS | OTHERS
    for name, notes in every.items():
        write_notes(folder / name, notes.later(-notes.onset_sec.min()), velocity=90 if "touch" in name else 80)
    (folder / "saved_again.mid").write_bytes(saved_by_mido(folder / "piece.mid", 960))
    lake = Lake(tmp_path_factory.mktemp("lake"))
    compare(lake, [folder_dataset(folder)], here(folder))
    return lake


def rows_by_path(lake: Lake) -> dict[tuple[str, str], dict]:
    path_of = {file["performance_id"]: file["path"] for file in lake.read("files").to_pylist()}
    return {
        (path_of[r["performance_a"]], path_of[r["performance_b"]]): r for r in lake.read("duplicate_pairs").to_pylist()
    }


@pytest.fixture(scope="module")
def pairs(lake) -> dict[tuple[str, str], dict]:
    """Rows by the paths of a and b."""
    return rows_by_path(lake)


def of(pairs: dict[tuple[str, str], dict], x: str, y: str) -> dict:
    return pairs.get((x, y)) or pairs[y, x]


def test_every_two_of_one_family_are_a_pair_and_nothing_else_is(pairs):
    groups = [FAMILY, LONG_FAMILY, SETTINGS]
    expected = {frozenset(pair) for group in groups for pair in combinations(group, 2)}
    found = {frozenset(pair) for pair in pairs}
    # Of one the octaves lie below and of the other above; and what is changed twice over, by each alone, is as unlike.
    unlike = {frozenset(("doubled.mid", other)) for other in ("mirrored.mid", "notes_less.mid")}
    assert found | unlike == expected


@pytest.mark.parametrize("path", [name for name, one in (FAMILY | LONG_FAMILY).items() if one[3]])
def test_the_relation_of_a_copy_to_its_source_has_the_strictest_name_that_holds(pairs, path):
    source = "long/piece.mid" if path in LONG_FAMILY else "piece.mid"
    assert of(pairs, source, path)["relation"] == (FAMILY | LONG_FAMILY)[path][3]


def test_two_settings_of_one_tune_share_a_melody(pairs):
    row = of(pairs, *SETTINGS)
    assert row["relation"] == "shared_melody"
    assert row["semitones"] == 0


def test_b_is_a_moved_by_semitones_and_stretched_by_the_tempo_ratio(pairs):
    seen = set()
    for (a, b), row in pairs.items():
        if a in SETTINGS:
            continue
        (_, by_a, sec_a, _), (_, by_b, sec_b, _) = ((FAMILY | LONG_FAMILY)[path] for path in (a, b))
        assert row["is_mirrored"] == ((by_a is None) != (by_b is None)), (a, b)
        expected = 130 + (by_a or 0) + (by_b or 0) if row["is_mirrored"] else (by_b or 0) - (by_a or 0)
        assert row["semitones"] == expected, (a, b)
        seen.add((row["semitones"] > 0, row["tempo_ratio"] > 1.1, row["tempo_ratio"] < 0.9))
        slack = 0.1 if any("played" in path for path in (a, b)) else 0.01
        assert row["tempo_ratio"] == pytest.approx(sec_b / sec_a, rel=slack), (a, b)
    # Both ways round occur, or the direction would not have been tested.
    assert len(seen) >= 5


def test_coverage_tells_the_share_of_each_ones_own_time(pairs):
    for source, path, of_source, of_other in (
        ("piece.mid", "half.mid", 0.5, 1),
        ("piece.mid", "middle.mid", 0.4, 1),
        ("piece.mid", "after_other.mid", 1, 0.66),
        ("long/piece.mid", "long/part.mid", 0.4, 1),
    ):
        row = of(pairs, source, path)
        found = (row["coverage_a"], row["coverage_b"])
        if (source, path) not in pairs:
            found = found[::-1]
        assert found == pytest.approx((of_source, of_other), abs=0.1), path


def test_evidence_is_there_and_in_its_range(lake, pairs):
    table = lake.read("duplicate_pairs")
    assert table.schema == SCHEMAS["duplicate_pairs"]
    assert [name for name in table.column_names if table[name].null_count] == []
    for row in pairs.values():
        assert row["relation"] in RELATIONS
        assert 0 < row["score"] <= 1
        assert 0 < row["coverage"] <= 1
        assert min(row["coverage_a"], row["coverage_b"]) >= 0
        assert row["coverage"] == max(row["coverage_a"], row["coverage_b"])
        assert 0 <= row["residual_sec"] < 10
        assert row["num_anchors"] >= 0
        assert 0.2 <= row["tempo_ratio"] <= 5
        assert row["score"] == 1 or row["relation"] not in ("same_bytes", "same_notes")
    # A copy keeps time, and another performance does not.
    by_relation = {name: [r["residual_sec"] for r in pairs.values() if r["relation"] == name] for name in RELATIONS}
    assert max(by_relation["edited_copy"] + by_relation["excerpt"]) < 0.055 < min(by_relation["same_work"])


def test_pairs_are_ordered_and_stand_once(lake):
    ids = [(row["performance_a"], row["performance_b"]) for row in lake.read("duplicate_pairs").to_pylist()]
    assert ids == sorted(set(ids))
    assert all(a < b for a, b in ids)


def test_the_manifest_counts_pairs_by_relation_from_the_closest_to_the_loosest(lake):
    relations = lake.read("duplicate_pairs")["relation"].to_pylist()
    counts = lake.require("duplicate_pairs").info["num_pairs"]
    assert counts == {name: relations.count(name) for name in RELATIONS}
    assert list(counts) == list(RELATIONS)


def test_nothing_is_left_aside(lake):
    assert list((lake.root / "tmp").iterdir()) == []


# Equal hashes


def compared(folder: Path, lake: Lake, **settings) -> list[str]:
    """Relations of all pairs of a folder."""
    mine = folder_dataset(folder)
    ingest_dataset(lake, mine, here(folder))
    fingerprint_dataset(lake, mine.name, here(folder))
    find_duplicate_pairs(lake, PairConfig(**settings))
    return sorted(lake.read("duplicate_pairs")["relation"].to_pylist())


def test_copies_without_any_shingle_are_found_by_their_hashes(folder, lake_of_its_own):
    short = improvised(1, 6)
    for i, notes in enumerate((short, short, short.up(2))):
        write_notes(folder / f"{i}.mid", notes)
    # Of fewer than ten notes any two are alike when key and tempo do not count.
    assert compared(folder, lake_of_its_own) == ["same_bytes"]
    (row,) = lake_of_its_own.read("duplicate_pairs").to_pylist()
    evidence = ("score", "coverage_a", "coverage_b", "residual_sec", "num_shared", "num_anchors", "semitones")
    assert [row[name] for name in evidence] == [1, 1, 1, 0, 0, 0, 0]
    assert compared(folder, lake_of_its_own, min_edited_notes=6) == ["edited_copy", "edited_copy", "same_bytes"]
    semitones = {row["semitones"] for row in lake_of_its_own.read("duplicate_pairs").to_pylist()}
    assert semitones <= {0, 2, -2}


def test_of_very_many_equals_each_is_paired_with_the_first_alone(folder, lake_of_its_own):
    for i in range(6):
        write_notes(folder / f"{i}.mid", improvised(1, 8))
    assert compared(folder, lake_of_its_own, max_equal=6) == ["same_bytes"] * 15
    assert compared(folder, lake_of_its_own, max_equal=5) == ["same_bytes"] * 5
    rows = lake_of_its_own.read("duplicate_pairs")
    assert len(set(rows["performance_a"].to_pylist())) == 1
    assert len(set(rows["performance_b"].to_pylist())) == 5


def test_all_notes_at_once_have_no_tempo(folder, lake_of_its_own):
    chord = notes_of([(0.0, 40 + 3 * i, 4.0) for i in range(12)])
    write_notes(folder / "a.mid", chord)
    write_notes(folder / "b.mid", chord.up(1))
    assert compared(folder, lake_of_its_own) == ["edited_copy"]
    (row,) = lake_of_its_own.read("duplicate_pairs").to_pylist()
    assert row["tempo_ratio"] is None
    assert abs(row["semitones"]) == 1


@pytest.fixture
def lake_of_its_own(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


# Little, and nothing


def test_an_empty_lake_has_no_pairs(tmp_path):
    lake = Lake(tmp_path)
    assert compare(lake, [], here(tmp_path)).info["num_pairs"] == {}
    assert lake.read("duplicate_pairs").num_rows == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("num_files", [1, 3])
def test_performances_without_shingles_have_no_pairs(folder, tmp_path, num_files):
    for seed in range(num_files):
        write_notes(folder / f"{seed}.mid", improvised(seed, 7))
    lake = Lake(tmp_path / "lake")
    assert compare(lake, [folder_dataset(folder)], here(tmp_path)).info["num_pairs"] == {}
    assert lake.read("fingerprints")["num_places"].to_pylist() == [0] * num_files


def test_drums_do_not_count(folder, tmp_path):
    write_notes(folder / "plain.mid", PIECE)
    midi = mido.MidiFile(folder / "plain.mid")
    beats = [mido.Message(kind, channel=9, note=36, velocity=90, time=240) for kind in ("note_on", "note_off") * 300]
    midi.tracks.append(mido.MidiTrack(beats))
    midi.save(folder / "with_drums.mid")
    lake = Lake(tmp_path / "lake")
    assert compare(lake, [folder_dataset(folder)], here(tmp_path)).info["num_pairs"] == {"same_notes": 1}


def test_a_file_of_drums_alone_stops_nothing(folder, tmp_path):
    (folder / "drums.mid").write_bytes(midi_bytes(b"".join(press(36, 60, delta=60, channel=9) for _ in range(20))))
    (folder / "one_note.mid").write_bytes(midi_bytes(event(0, 0xB0, 64, 127) + press(60)))
    write_notes(folder / "a.mid", PIECE)
    write_notes(folder / "b.mid", PIECE.up(1))
    lake = Lake(tmp_path / "lake")
    assert compare(lake, [folder_dataset(folder)], here(tmp_path)).info["num_pairs"] == {"edited_copy": 1}


# Music that comes and goes


def test_a_dataset_more_leaves_the_pairs_of_the_others_as_they_were(tmp_path):
    names = ["five_up.mid", "half.mid", "mirrored.mid", "piece.mid", "played.mid"]
    for name in names:
        write_notes(tmp_path / "old" / name, FAMILY[name][0].later(-FAMILY[name][0].onset_sec.min()))
    write_notes(tmp_path / "new" / "jittered.mid", FAMILY["jittered.mid"][0].later(1))
    write_notes(tmp_path / "new" / "other.mid", improvised(3, 300))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    old, new = (folder_dataset(tmp_path / name, name) for name in ("old", "new"))
    compare(lake, [old], settings)
    before = lake.read("duplicate_pairs").to_pylist()
    assert len(before) == 10
    compare(lake, [new], settings)
    after = lake.read("duplicate_pairs").to_pylist()
    assert [row for row in after if row in before] == before
    ids = {row["performance_id"] for row in lake.read("performances").to_pylist() if row["dataset"] == "new"}
    come = [row for row in after if row not in before]
    assert len(come) == len(names)
    assert all({row["performance_a"], row["performance_b"]} & ids for row in come)
    # Compared all at once they are the same, to the byte.
    at_once = Lake(tmp_path / "at_once")
    compare(at_once, [old, new], settings)
    assert pairs_bytes(at_once) == pairs_bytes(lake)
    # When it goes again, they are what they were, from the block that is there.
    num_blocks = len(list((lake.root / "blocks" / "duplicate_pairs").iterdir()))
    assert retire_datasets(lake, ["old"]) == ["new"]
    find_duplicate_pairs(lake)
    assert lake.read("duplicate_pairs").to_pylist() == before
    assert len(list((lake.root / "blocks" / "duplicate_pairs").iterdir())) == num_blocks == 2


def test_pairs_across_datasets_are_those_of_all_pairs_that_lie_in_two(tmp_path):
    for seed in range(12):
        side = ("left", "right")[seed % 2]
        write_notes(tmp_path / side / f"{seed:02d}.mid", improvised(seed // 4, 150).jittered(0.01, seed).later(1))
        write_notes(tmp_path / side / f"{seed:02d}_again.mid", improvised(seed // 4, 150).up(seed).later(1))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    compare(lake, [folder_dataset(tmp_path / side, side) for side in ("left", "right")], settings)
    every = lake.read("duplicate_pairs").to_pylist()
    side_of = dict(zip(*lake.read("performances", ["performance_id", "dataset"]).to_pydict().values(), strict=True))
    find_duplicate_pairs(lake, PairConfig(candidates=CandidateConfig(across_datasets=True)), settings)
    found = lake.read("duplicate_pairs").to_pylist()
    assert found == [row for row in every if side_of[row["performance_a"]] != side_of[row["performance_b"]]]
    assert 0 < len(found) < len(every)


def test_a_little_more_music_is_all_that_is_compared_and_the_pairs_are_those_of_all(tmp_path, monkeypatch):
    for seed in range(24):
        write_notes(tmp_path / "old" / f"{seed:02d}.mid", improvised(seed // 2, 150).jittered(0.01, seed).later(1))
    write_notes(tmp_path / "new" / "a.mid", improvised(3, 150).up(4).later(1))
    write_notes(tmp_path / "new" / "b.mid", improvised(30, 150).later(1))
    lake, at_once, settings = Lake(tmp_path / "lake"), Lake(tmp_path / "at_once"), here(tmp_path)
    old, new = (folder_dataset(tmp_path / name, name) for name in ("old", "new"))
    compare(at_once, [old, new], settings)
    compare(lake, [old], settings)
    without = pairs_bytes(lake)
    monkeypatch.setattr("pianogen.dedupe.first_looks._look_at_all", lambda *args: 1 / 0)
    compare(lake, [new], settings)
    assert pairs_bytes(lake) == pairs_bytes(at_once) != without
    # Where music has gone, all is compared again.
    shutil.rmtree(lake.root / "blocks" / "duplicate_pairs")
    retire_datasets(lake, ["old"])
    with pytest.raises(ZeroDivisionError):
        find_duplicate_pairs(lake)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_looks_that_are_damaged_are_looked_at_again(tmp_path, damage):
    for seed in range(6):
        write_notes(tmp_path / "old" / f"{seed}.mid", improvised(seed // 2, 150).jittered(0.01, seed).later(1))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    compare(lake, [folder_dataset(tmp_path / "old", "old")], settings)
    expected = pairs_bytes(lake)
    shutil.rmtree(lake.root / "blocks" / "duplicate_pairs")
    (block,) = (lake.root / "blocks" / "looks").iterdir()
    if damage == "gone":
        shutil.rmtree(block)
    else:
        path = block / "first_looks.parquet"
        path.write_bytes(path.read_bytes()[:-100])
    find_duplicate_pairs(lake, settings=settings)
    assert pairs_bytes(lake) == expected


def test_datasets_that_the_pairs_do_not_know_are_named(tmp_path):
    for seed, name in enumerate(("first", "second")):
        write_notes(tmp_path / name / "a.mid", improvised(seed, 40))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    first, second = (folder_dataset(tmp_path / name, name) for name in ("first", "second"))
    assert not_yet_compared(lake) == []
    ingest_dataset(lake, first, settings)
    assert not_yet_compared(lake) == ["first"]
    fingerprint_dataset(lake, "first", settings)
    assert not_yet_compared(lake) == ["first"]
    find_duplicate_pairs(lake)
    assert not_yet_compared(lake) == []
    ingest_dataset(lake, second, settings)
    assert not_yet_compared(lake) == ["second"]
    fingerprint_dataset(lake, "second", settings)
    # Its fingerprints are there and the pairs were found without them: they are not of this music.
    assert "second" in not_yet_compared(lake)
    find_duplicate_pairs(lake)
    assert not_yet_compared(lake) == []
    write_notes(tmp_path / "first" / "b.mid", improvised(7, 40))
    ingest_dataset(lake, first, settings)
    assert not_yet_compared(lake) == ["first"]


def test_a_comparison_that_was_made_is_not_made_again(lake, monkeypatch):
    def never(*args):
        raise AssertionError("compared again")

    before = lake.require("duplicate_pairs")
    monkeypatch.setattr("pianogen.dedupe.candidates.compare_all", never)
    assert find_duplicate_pairs(lake) == before
    with pytest.raises(AssertionError, match="compared again"):
        find_duplicate_pairs(lake, PairConfig(min_edited_notes=11))
    # Nothing is left of the one that failed, and the pairs are those from before.
    assert list((lake.root / "tmp").iterdir()) == []
    assert lake.require("duplicate_pairs") == before


def test_stricter_settings_find_fewer(folder, tmp_path):
    for name in ("piece.mid", "half.mid", "played.mid"):
        write_notes(folder / name, FAMILY[name][0])
    lake = Lake(tmp_path / "lake")
    assert compared(folder, lake) == ["excerpt", "same_work", "same_work"]
    none = Thresholds(min_shared=10**6, min_share=1.0, few=0, rather_few=0, min_chroma=10**6, min_chroma_share=1.0)
    assert compared(folder, lake, candidates=CandidateConfig(thresholds=none)) == []


# Workers and kills


def pairs_bytes(lake: Lake) -> bytes:
    (path,) = lake.paths("duplicate_pairs")
    return path.read_bytes()


@pytest.mark.slow
def test_pairs_have_the_same_bytes_with_two_workers_and_with_other_file_names(tmp_path):
    folder = write_many(tmp_path / "many", num_files=140)
    for seed in range(0, 140, 7):
        write_midi(folder / f"copy_{seed:03d}.mid", transposed(improvise(seed, 30), 2), tempo_qpm=90)
    for seed in range(20):
        write_notes(folder / f"long_{seed}.mid", improvised(500 + seed // 2, 500).jittered(0.01, seed).later(1))
    lake = Lake(tmp_path / "one")
    compare(lake, [folder_dataset(folder)], here(tmp_path))
    assert len(lake.require("fingerprints", "mine").blocks) > 1
    assert lake.require("duplicate_pairs").info["num_pairs"] == {"edited_copy": 30}

    for workers, backend in ((2, "processes"), (3, "threading")):
        settings = replace(here(tmp_path), workers=workers, backend=backend)
        other = Lake(tmp_path / backend)
        mine = folder_dataset(folder)
        ingest_dataset(other, mine, settings)
        fingerprint_dataset(other, mine.name, settings)
        find_duplicate_pairs(other, settings=settings)
        assert pairs_bytes(other) == pairs_bytes(lake), backend

    names = sorted(path.name for path in folder.iterdir())
    for name, path in zip(reversed(names), sorted(folder.iterdir()), strict=True):
        path.rename(folder / f"z_{name}")
    renamed = Lake(tmp_path / "renamed")
    compare(renamed, [folder_dataset(folder)], here(tmp_path))
    assert pairs_bytes(renamed) == pairs_bytes(lake)


def test_progress_ends_with_all_done(folder, tmp_path):
    for i in range(3):
        write_notes(folder / f"{i}.mid", PIECE.up(i))
    lake, told = Lake(tmp_path / "lake"), []
    ingest_dataset(lake, folder_dataset(folder), here(tmp_path))
    fingerprint_dataset(lake, "mine", here(tmp_path))
    find_duplicate_pairs(lake, settings=here(tmp_path), progress=lambda done, num: told.append((done, num)))
    assert told[-1][0] == told[-1][1] > 0
    # All ranges of performances first, then the second looks.
    starts = [k for k, (done, _) in enumerate(told) if done == 1]
    assert len(starts) <= 2
    for start, end in pairwise([*starts, len(told)]):
        assert told[start:end] == [(k + 1, told[start][1]) for k in range(end - start)]
        assert end - start == told[start][1]


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_the_pairs_have_the_bytes_of_an_undisturbed_run(tmp_path):
    folder = tmp_path / "music"
    for seed in range(60):
        write_notes(folder / f"{seed}.mid", improvised(seed // 2, 120).up(seed % 2).jittered(0.02, seed).later(1))
    mine, settings = folder_dataset(folder), ingest_settings(1)

    def fingerprinted(name: str) -> Lake:
        lake = Lake(tmp_path / name)
        ingest_dataset(lake, mine, settings)
        fingerprint_dataset(lake, mine.name, settings)
        return lake

    undisturbed = fingerprinted("undisturbed")
    before = files_below(undisturbed.root)
    assert find_duplicate_pairs(undisturbed, settings=settings).info["num_pairs"] == {"edited_copy": 30}
    expected = files_below(undisturbed.root)
    num_cut_short = 0
    for moment, (num_files, workers) in enumerate([(1, 1), (6, 2), (13, 1)]):
        lake = fingerprinted(f"lake{moment}")
        process = start_comparison(lake.root, workers)
        # Files that lie aside when it is hit: five columns of the corpus, the index, notes, the block.
        while process.poll() is None and sum(1 for _ in (lake.root / "tmp").rglob("*.*")) < num_files:
            time.sleep(0.0005)
        (os.killpg if moment % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
        left = {name: data for name, data in files_below(lake.root).items() if not name.startswith("tmp/")}
        if left == before:
            num_cut_short += 1
            # Whole or not at all: nobody sees pairs.
            assert lake.manifest("duplicate_pairs") is None
        # Its workers find out within a second.
        time.sleep(1.5)
        find_duplicate_pairs(lake, settings=settings)
        assert files_below(lake.root) == expected, f"killed at {num_files} files with {workers} workers"
        assert list((lake.root / "tmp").iterdir()) == []
    assert num_cut_short >= 2


def test_an_error_on_the_way_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    for i in range(2):
        write_notes(folder / f"{i}.mid", PIECE.up(i).jittered(0.02, i).later(1))
    lake = Lake(tmp_path / "lake")
    ingest_dataset(lake, folder_dataset(folder), here(tmp_path))
    fingerprint_dataset(lake, "mine", here(tmp_path))
    before = files_below(lake.root)

    def full(*args, **kwargs):
        assert list((lake.root / "tmp").rglob("holders.npy"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(comparison, "look_at_pairs", full)
    with pytest.raises(OSError, match="No space left"):
        find_duplicate_pairs(lake)
    assert files_below(lake.root) == before
    assert list((lake.root / "tmp").iterdir()) == []
