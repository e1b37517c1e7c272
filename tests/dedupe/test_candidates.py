import io
from dataclasses import replace

import mido
import numpy as np
import pytest
from corpora import compare, folder_dataset, here, improvise, transposed, write_many, write_midi

from pianogen.lake import Lake
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes

PIECE = improvise(1, 300)


def joined(first: NoteColumns, second: NoteColumns) -> NoteColumns:
    later = replace(second, onset_tick=second.onset_tick - second.onset_tick.min() + first.end_tick)
    names = ("pitch", "velocity", "onset_tick", "duration_tick")
    columns = {name: np.concatenate([getattr(first, name), getattr(later, name)]) for name in names}
    return NoteColumns(**columns, ticks_per_quarter=first.ticks_per_quarter)


def saved_by_mido(columns: NoteColumns, ticks_per_quarter: int) -> bytes:
    """The same music through another library, in other ticks, its messages in other words."""
    midi = mido.MidiFile(file=io.BytesIO(midi_bytes(columns)))
    factor = ticks_per_quarter // midi.ticks_per_beat
    midi.ticks_per_beat = ticks_per_quarter
    for track in midi.tracks:
        track[:] = [message.copy(time=message.time * factor) for message in track]
        track.insert(0, mido.MetaMessage("text", text="saved again"))
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def some_notes_less(columns: NoteColumns, share: float) -> NoteColumns:
    return columns.take(np.random.default_rng(0).random(len(columns)) >= share)


def backwards(columns: NoteColumns) -> NoteColumns:
    end = columns.onset_tick + columns.duration_tick
    return replace(columns, onset_tick=(end.max() - end).astype(np.int32)).sorted()


def shuffled(columns: NoteColumns) -> NoteColumns:
    return replace(columns, pitch=np.random.default_rng(0).permutation(columns.pitch)).sorted()


# File -> semitones above the piece, seconds per second of the piece.
FAMILY = {
    "piece.mid": (0, 1.0),
    "copy/piece.mid": (0, 1.0),
    "saved_again.mid": (0, 1.0),
    "other_touch.mid": (0, 1.0),
    "five_up.mid": (5, 1.0),
    "twice_as_slow.mid": (0, 2.0),
    "half.mid": (0, 1.0),
    "excerpt.mid": (0, 1.0),
    "arranged.mid": (3, 0.8),
}
RELATIONS = {
    "copy/piece.mid": "same_bytes",
    "saved_again.mid": "same_notes",
    "other_touch.mid": "same_notes",
    "five_up.mid": "edited_copy",
    "twice_as_slow.mid": "edited_copy",
    "half.mid": "similar",
    "excerpt.mid": "similar",
    "arranged.mid": "similar",
}
OTHERS = {"backwards.mid", "shuffled.mid", "unrelated_0.mid", "unrelated_1.mid", "scraps.mid"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """A piece, its copies and changed copies, and music that is none of these."""
    folder = tmp_path_factory.mktemp("family")
    write_midi(folder / "piece.mid", PIECE)
    write_midi(folder / "copy/piece.mid", PIECE)
    (folder / "saved_again.mid").write_bytes(saved_by_mido(PIECE, 960))
    write_midi(folder / "other_touch.mid", replace(PIECE, velocity=PIECE.velocity + np.uint8(9)))
    write_midi(folder / "five_up.mid", transposed(PIECE, 5))
    write_midi(folder / "twice_as_slow.mid", PIECE, tempo_qpm=60)
    write_midi(folder / "half.mid", joined(PIECE.take(np.arange(150)), improvise(2, 150)))
    write_midi(folder / "excerpt.mid", PIECE.take(np.arange(100, 200)))
    write_midi(folder / "arranged.mid", some_notes_less(transposed(PIECE, 3), 0.05), tempo_qpm=150)
    write_midi(folder / "backwards.mid", backwards(PIECE))
    write_midi(folder / "shuffled.mid", shuffled(PIECE))
    write_midi(folder / "unrelated_0.mid", improvise(3, 300))
    write_midi(folder / "unrelated_1.mid", improvise(4, 1000))
    write_midi(folder / "scraps.mid", joined(PIECE.take(np.arange(100, 112)), improvise(5, 300)))
    lake = Lake(tmp_path_factory.mktemp("lake"))
    compare(lake, [folder_dataset(folder)], here(folder))
    return lake


@pytest.fixture(scope="module")
def pairs(lake) -> dict[tuple[str, str], dict]:
    """Rows by the paths of a and b."""
    files = lake.read("files").to_pylist()
    path_of = {file["performance_id"]: file["path"] for file in files}
    assert set(path_of.values()) == FAMILY.keys() | OTHERS
    return {
        (path_of[r["performance_a"]], path_of[r["performance_b"]]): r for r in lake.read("duplicate_pairs").to_pylist()
    }


def of(pairs: dict[tuple[str, str], dict], x: str, y: str) -> dict:
    return pairs.get((x, y)) or pairs[y, x]


@pytest.mark.parametrize("path", RELATIONS)
def test_the_relation_of_a_copy_to_its_source_has_the_strictest_name_that_holds(pairs, path):
    assert of(pairs, "piece.mid", path)["relation"] == RELATIONS[path]


def test_every_two_of_one_family_are_a_pair_and_nothing_else_is(pairs):
    expected = {frozenset((x, y)) for x in FAMILY for y in FAMILY if x != y}
    assert {frozenset(pair) for pair in pairs} == expected


def test_b_is_a_moved_by_semitones_and_stretched_by_the_tempo_ratio(pairs):
    for (a, b), row in pairs.items():
        assert row["semitones"] == FAMILY[b][0] - FAMILY[a][0], (a, b)
        assert row["tempo_ratio"] == pytest.approx(FAMILY[b][1] / FAMILY[a][1], rel=0.01), (a, b)
    # Both ways round occur, or the direction would not have been tested.
    assert {(row["semitones"] > 0, row["semitones"] < 0) for row in pairs.values()} >= {(True, False), (False, True)}
    assert (
        min(row["tempo_ratio"] for row in pairs.values())
        < 0.9
        < 1.1
        < max(row["tempo_ratio"] for row in pairs.values())
    )


def test_scores_are_shares_of_the_smaller_one(pairs):
    assert of(pairs, "piece.mid", "half.mid")["score"] == pytest.approx(0.5, abs=0.05)
    assert of(pairs, "piece.mid", "excerpt.mid")["score"] == pytest.approx(1, abs=0.02)
    # One note in twenty is missing: a window of ten is whole with a chance of about 0.6.
    assert 0.4 < of(pairs, "piece.mid", "arranged.mid")["score"] < 0.9
    assert of(pairs, "piece.mid", "five_up.mid")["score"] == 1
    for row in pairs.values():
        assert 0 < row["score"] <= 1
        assert row["num_anchors"] <= row["num_shared"]


def test_pairs_are_ordered_and_stand_once(lake):
    ids = [(row["performance_a"], row["performance_b"]) for row in lake.read("duplicate_pairs").to_pylist()]
    assert ids == sorted(set(ids))
    assert all(a < b for a, b in ids)


def test_the_manifest_counts_pairs_by_relation(lake):
    relations = lake.read("duplicate_pairs")["relation"].to_pylist()
    counts = lake.require("duplicate_pairs").info["num_pairs"]
    assert counts == {name: relations.count(name) for name in sorted(set(relations))}


def pairs_bytes(lake: Lake) -> bytes:
    (path,) = lake.paths("duplicate_pairs")
    return path.read_bytes()


@pytest.mark.slow
def test_pairs_have_the_same_bytes_with_two_workers_and_with_other_file_names(tmp_path):
    folder = write_many(tmp_path / "many", num_files=140)
    for seed in range(0, 140, 7):
        write_midi(folder / f"copy_{seed:03d}.mid", transposed(improvise(seed, 30), 2), tempo_qpm=90)
    lake = Lake(tmp_path / "one")
    compare(lake, [folder_dataset(folder)], here(tmp_path))
    assert len(lake.require("fingerprints", "mine").blocks) > 1
    assert lake.require("duplicate_pairs").info["num_pairs"] == {"edited_copy": 20}

    by_two = Lake(tmp_path / "two")
    compare(by_two, [folder_dataset(folder)], replace(here(tmp_path), workers=2, backend="processes"))
    assert pairs_bytes(by_two) == pairs_bytes(lake)

    names = sorted(path.name for path in folder.iterdir())
    for name, path in zip(reversed(names), sorted(folder.iterdir()), strict=True):
        path.rename(folder / f"z_{name}")
    renamed = Lake(tmp_path / "three")
    compare(renamed, [folder_dataset(folder)], here(tmp_path))
    assert pairs_bytes(renamed) == pairs_bytes(lake)


def test_an_empty_lake_has_no_pairs(tmp_path):
    lake = Lake(tmp_path)
    assert compare(lake, [], here(tmp_path)).info["num_pairs"] == {}
    assert lake.read("duplicate_pairs").num_rows == 0


def test_phrases_that_many_performances_share_make_no_pairs(tmp_path):
    # 60 pieces of their own with the same cadence of 20 notes; a few of them alone would be pairs by it.
    cadence = improvise(1000, 20)
    for seed in range(60):
        write_midi(tmp_path / "all" / f"{seed}.mid", joined(improvise(seed, 60), cadence))
    for seed in range(6):
        write_midi(tmp_path / "few" / f"{seed}.mid", joined(improvise(seed, 60), cadence))
    few, every = Lake(tmp_path / "few_lake"), Lake(tmp_path / "all_lake")
    found = compare(few, [folder_dataset(tmp_path / "few")], here(tmp_path))
    assert found.info["num_pairs"] == {"similar": 15}
    assert compare(every, [folder_dataset(tmp_path / "all")], here(tmp_path)).info["num_pairs"] == {}
