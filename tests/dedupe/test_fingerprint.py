from collections import Counter
from dataclasses import replace

import mido
import numpy as np
import pytest
from corpora import folder_dataset, here, write_many
from ingests import files_below
from shingling import STEP_SEC, Notes, improvised, melody, notes_of, places_of, slow_shingles, write_notes

from pianogen.dedupe.content_hash import content_hashes
from pianogen.dedupe.fingerprint import STAGE, fingerprint_dataset, key_of, pitched_notes
from pianogen.dedupe.shingle import CHROMA, COARSE, LONG_FROM, MAX_PLACES
from pianogen.errors import LakeError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, digest
from pianogen.tables import SCHEMAS


def loop(num_times: int) -> Notes:
    phrase = melody(4, 24)
    notes = phrase
    for _ in range(num_times - 1):
        notes = notes.followed_by(phrase, STEP_SEC)
    return notes


MUSIC = {
    "short.mid": improvised(1, 6),
    "piece.mid": improvised(2, 120),
    "loop.mid": loop(9),
    "long.mid": improvised(3, 1200),
    "trill.mid": notes_of([(float(i), 60 + i % 2, 1.0) for i in range(80)]),
    "nearly_long.mid": melody(5, LONG_FROM - 1),
}


def fingerprinted(folder, lake: Lake, **settings):
    mine, settings = folder_dataset(folder), replace(here(folder), **settings)
    ingest_dataset(lake, mine, settings)
    return fingerprint_dataset(lake, mine.name, settings)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    folder = tmp_path_factory.mktemp("music")
    for name, notes in MUSIC.items():
        write_notes(folder / name, notes)
    lake = Lake(tmp_path_factory.mktemp("lake"))
    fingerprinted(folder, lake)
    return lake


def by_path(lake: Lake, table: str) -> dict[str, list[dict]]:
    path_of = {file["performance_id"]: file["path"] for file in lake.read("files").to_pylist()}
    rows: dict[str, list[dict]] = {path: [] for path in path_of.values()}
    for row in lake.read(table).to_pylist():
        rows[path_of[row.pop("performance_id")]].append(row)
    return rows


def notes_by_path(lake: Lake) -> dict[str, Notes]:
    path_of = {file["performance_id"]: file["path"] for file in lake.read("files").to_pylist()}
    return {
        path_of[one.performance_id]: Notes(one.pitch, one.onset_sec, one.offset_sec)
        for block in lake.require("ingest", "mine").blocks
        for one in pitched_notes(lake, block)
    }


def test_the_shingles_of_each_performance_are_in_the_lake(lake):
    for path, rows in by_path(lake, "shingles").items():
        assert [tuple(row.values()) for row in rows] == [tuple(p) for p in slow_shingles(notes_by_path(lake)[path])]


def test_fingerprints_count_the_shingles_of_each_performance(lake):
    shingles = by_path(lake, "shingles")
    for path, (row,) in by_path(lake, "fingerprints").items():
        held = shingles[path]
        distinct = {one["shingle"] for one in held}
        chroma = {one["shingle"] for one in held if one["kind"] == CHROMA}
        row.pop("notes_digest")
        assert row == {
            "sampling": COARSE if path == "long.mid" else 1,
            "num_places": len(held),
            "num_shingles": len(distinct),
            "num_shingles_coarse": sum(one % COARSE == 0 for one in distinct),
            "num_chroma": len(chroma),
            "num_chroma_coarse": sum(one % COARSE == 0 for one in chroma),
        }, path


def test_music_of_all_kinds_was_counted(lake):
    counts = {path: row for path, (row,) in by_path(lake, "fingerprints").items()}
    assert counts.keys() == MUSIC.keys()
    assert counts["short.mid"]["num_places"] == counts["trill.mid"]["num_places"] == 0
    assert counts["loop.mid"]["num_places"] > 3 * counts["loop.mid"]["num_shingles"]
    places = Counter((row["kind"], row["shingle"]) for row in by_path(lake, "shingles")["loop.mid"])
    assert max(places.values()) == MAX_PLACES
    assert counts["long.mid"]["num_shingles"] == counts["long.mid"]["num_shingles_coarse"] > 0
    assert counts["nearly_long.mid"]["num_shingles"] > counts["nearly_long.mid"]["num_shingles_coarse"] > 0


def test_content_hashes_are_of_the_notes_in_the_lake(lake):
    for path, (row,) in by_path(lake, "content_hashes").items():
        notes = notes_by_path(lake)[path]
        assert row == vars(content_hashes(notes.pitch, np.full(len(notes.pitch), 80), *notes[1:]))


def test_each_performance_has_its_row_in_the_order_of_the_ingest_and_its_shingles_together(lake):
    for ingest_block in lake.require("ingest", "mine").blocks:
        ids = [one.performance_id for one in pitched_notes(lake, ingest_block)]
        assert lake.read_block("ingest", ingest_block, "performances")["performance_id"].to_pylist() == ids
        for table in ("fingerprints", "content_hashes"):
            assert lake.read_block(STAGE.name, key_of(ingest_block), table)["performance_id"].to_pylist() == ids
        held = lake.read_block(STAGE.name, key_of(ingest_block), "shingles")["performance_id"].to_pylist()
        assert list(dict.fromkeys(held)) == [i for i in ids if i in held]
        assert held == sorted(held, key=ids.index)


@pytest.mark.parametrize("table", STAGE.tables)
def test_tables_have_their_schemas_and_no_empty_place(lake, table):
    found = lake.read(table)
    assert found.schema == SCHEMAS[table]
    assert [name for name in found.column_names if found[name].null_count] == []


def test_the_digest_of_notes_tells_them_apart_and_does_not_mind_velocity(folder, lake_of_its_own):
    piece = improvised(2, 60)
    write_notes(folder / "piece.mid", piece)
    write_notes(folder / "touch.mid", piece, velocity=90)
    write_notes(folder / "moved.mid", piece.up(1))
    write_notes(folder / "later.mid", piece.later(1))
    write_notes(folder / "longer.mid", piece._replace(offset_sec=piece.offset_sec + 0.01))
    fingerprinted(folder, lake_of_its_own)
    digests = {path: row["notes_digest"] for path, (row,) in by_path(lake_of_its_own, "fingerprints").items()}
    assert digests["piece.mid"] == digests["touch.mid"]
    assert len(set(digests.values())) == 4


@pytest.fixture
def lake_of_its_own(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def test_drums_have_no_part_in_it(folder, lake_of_its_own):
    write_notes(folder / "a.mid", improvised(2, 60))
    midi = mido.MidiFile(folder / "a.mid")
    midi.tracks.append(
        mido.MidiTrack([mido.Message(kind, channel=9, note=36, time=50) for kind in ("note_on", "note_off") * 40])
    )
    midi.save(folder / "b.mid")
    fingerprinted(folder, lake_of_its_own)
    notes = notes_by_path(lake_of_its_own)
    assert lake_of_its_own.read("performances")["num_drum_notes"].to_pylist().count(40) == 1
    assert np.array_equal(notes["a.mid"].pitch, notes["b.mid"].pitch)
    shingles = by_path(lake_of_its_own, "shingles")
    assert shingles["a.mid"] == shingles["b.mid"] != []
    assert places_of(notes["b.mid"].shingles())[0].shingle == shingles["b.mid"][0]["shingle"]


def test_a_dataset_that_was_not_ingested_is_refused(lake_of_its_own, tmp_path):
    with pytest.raises(LakeError, match="nothing from the stage 'ingest' of 'mine' yet; run it first"):
        fingerprint_dataset(lake_of_its_own, "mine", here(tmp_path))


def test_an_empty_dataset_has_no_fingerprints(folder, lake_of_its_own):
    (folder / "broken.mid").write_bytes(b"MThd")
    manifest = fingerprinted(folder, lake_of_its_own)
    assert manifest.info["num_performances"] == 0
    for table in STAGE.tables:
        assert lake_of_its_own.read(table).num_rows == 0


def test_there_is_a_block_for_each_of_the_ingest_and_one_file_more_makes_one_more(tmp_path, lake_of_its_own):
    lake, folder = lake_of_its_own, write_many(tmp_path / "many", num_files=600, num_notes=12)
    before = fingerprinted(folder, lake)
    assert before.info == {"num_performances": 600, "ingest_blocks": digest(lake.require("ingest", "mine").blocks)}
    assert before.blocks == tuple(map(key_of, lake.require("ingest", "mine").blocks))
    assert len(before.blocks) > 1
    write_notes(folder / "one_more.mid", improvised(9, 30))
    after = fingerprinted(folder, lake)
    assert after.info["num_performances"] == 601
    assert 1 <= len(set(after.blocks) - set(before.blocks)) < len(after.blocks)


def test_blocks_that_are_there_are_not_made_again(folder, lake_of_its_own, monkeypatch):
    write_notes(folder / "a.mid", improvised(2, 60))
    before = fingerprinted(folder, lake_of_its_own)
    files = files_below(lake_of_its_own.root)

    def never(*args):
        raise AssertionError("made again")

    monkeypatch.setattr("pianogen.dedupe.fingerprint.shingles", never)
    assert fingerprinted(folder, lake_of_its_own) == before
    assert files_below(lake_of_its_own.root) == files
    write_notes(folder / "b.mid", improvised(3, 60))
    with pytest.raises(AssertionError, match="made again"):
        fingerprinted(folder, lake_of_its_own)
    assert lake_of_its_own.require("fingerprints", "mine") == before
    assert list((lake_of_its_own.root / "tmp").iterdir()) == []


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bytes(tmp_path):
    folder = write_many(tmp_path / "many", num_files=600, num_notes=20)
    lakes = []
    for workers, backend in ((1, "threading"), (2, "processes"), (3, "threading")):
        lakes.append(Lake(tmp_path / f"{workers}"))
        fingerprinted(folder, lakes[-1], workers=workers, backend=backend)
    assert files_below(lakes[0].root) == files_below(lakes[1].root) == files_below(lakes[2].root)
