import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpora import here, improvise, transposed, write_midi

from pianogen.dedupe.folder import dedupe_folder
from pianogen.errors import SettingsError


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pairs_are_told_from_the_path_that_sorts_first(tmp_path):
    folder, piece = tmp_path / "music", improvise(1, 100)
    write_midi(folder / "a.mid", piece)
    # Two of them, so that the ids, which are hashes, stand both ways round.
    for name, semitones, tempo_qpm in (("b", 3, 150), ("c", -2, 96), ("d", 5, 60)):
        write_midi(folder / "deep" / f"{name}.mid", transposed(piece, semitones), tempo_qpm=tempo_qpm)
    before = snapshot(folder)
    found = dedupe_folder(folder, here(tmp_path))
    rows = {(row["path_a"], row["path_b"]): (row["semitones"], row["tempo_ratio"]) for row in found.pairs.to_pylist()}
    assert list(rows) == sorted(rows)
    assert len(rows) == 6
    assert rows["a.mid", "deep/b.mid"] == (3, 0.8)
    assert rows["a.mid", "deep/c.mid"] == (-2, 1.25)
    assert rows["a.mid", "deep/d.mid"] == (5, 2)
    assert rows["deep/b.mid", "deep/c.mid"] == (-5, pytest.approx(1.5625, abs=0.002))
    assert snapshot(folder) == before
    assert found.pairs.column_names == [
        "path_a", "path_b", "relation", "score", "semitones", "tempo_ratio", "coverage", "residual_sec",
    ]  # fmt: skip


def test_a_mirror_image_is_the_same_from_both_sides(tmp_path):
    folder, piece = tmp_path / "music", improvise(1, 200)
    upside_down = replace(piece, pitch=(130 - piece.pitch.astype(int)).astype(np.uint8))
    write_midi(folder / "b.mid", piece)
    # Two of them, so that the ids, which are hashes, stand both ways round.
    for name in ("a", "c", "d"):
        write_midi(folder / f"{name}.mid", upside_down, tempo_qpm=100 + len(name) * ord(name) % 7)
    found = {
        (row["path_a"], row["path_b"]): row["semitones"]
        for row in dedupe_folder(folder, here(tmp_path)).pairs.to_pylist()
    }
    assert {pair: semitones for pair, semitones in found.items() if "b.mid" in pair} == {
        ("a.mid", "b.mid"): 130,
        ("b.mid", "c.mid"): 130,
        ("b.mid", "d.mid"): 130,
    }


def test_what_cannot_be_compared_is_named(tmp_path):
    folder = tmp_path / "music"
    write_midi(folder / "good.mid", improvise(1, 30))
    (folder / "empty.mid").write_bytes(b"")
    (folder / "notes.txt").write_text("no music")
    found = dedupe_folder(folder, here(tmp_path))
    assert found.num_files == 3
    assert found.pairs.num_rows == 0
    assert {row["path"]: row["reason"] for row in found.rejections.to_pylist()} == {
        "empty.mid": "empty_file",
        "notes.txt": "not_music",
    }


def test_an_empty_folder_has_no_pairs(tmp_path):
    found = dedupe_folder(tmp_path, here(tmp_path))
    assert (found.num_files, found.pairs.num_rows, found.rejections.num_rows) == (0, 0, 0)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere: no such folder"):
        dedupe_folder(tmp_path / "nowhere", here(tmp_path))


SURE = ("same_piece_other_performance", "performance_vs_score", "exact_copy", "excerpt_of")


@pytest.mark.slow
def test_known_pairs_of_real_music_are_found_and_no_pair_joins_pop_with_the_concert_hall(real_data, tmp_path):
    for name in ("asap", "maestro", "pop909"):
        (tmp_path / name).symlink_to(real_data / name, target_is_directory=True)
    with (real_data / "known_pairs.csv").open(newline="") as file:
        known = [row for row in csv.DictReader(file) if row["relation"] in SURE]
    found = dedupe_folder(tmp_path, here(tmp_path / "unused"))
    pairs = {(row["path_a"], row["path_b"]): row for row in found.pairs.to_pylist()}

    listed, hit = Counter(), Counter()
    for row in known:
        listed[row["relation"]] += 1
        hit[row["relation"]] += tuple(sorted((row["path_a"], row["path_b"]))) in pairs
    assert set(listed) == set(SURE)
    assert listed.total() > 1000
    assert {relation: hit[relation] / listed[relation] >= 0.995 for relation in SURE} == dict.fromkeys(SURE, True), hit

    def is_pop(path: str) -> bool:
        return path.startswith("pop909/")

    assert [pair for pair in pairs if is_pop(pair[0]) != is_pop(pair[1])] == []
    # Byte for byte the same under two names is the strictest relation.
    copies = [tuple(sorted((row["path_a"], row["path_b"]))) for row in known if row["relation"] == "exact_copy"]
    assert Counter(pairs[pair]["relation"] for pair in copies if pair in pairs).keys() <= {"same_bytes", "same_notes"}
    # Nobody plays a piece ten times as fast as another, or backwards.
    ratios = [row["tempo_ratio"] for row in pairs.values() if row["tempo_ratio"] is not None]
    assert len(ratios) > 0.95 * len(pairs)
    assert 0.1 < min(ratios) < max(ratios) < 10
