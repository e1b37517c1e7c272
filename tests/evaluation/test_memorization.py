"""Copies that were planted are found, in any key, at any tempo, jittered and quantised; other music is no copy."""

import numpy as np
import pytest
from corpora import here, improvise, write_midi
from planting import CONFIG, between, copies_of, improvised_index, index_of_files, is_copied, planted
from shingling import Notes, improvised, read_notes, write_notes

from pianogen.errors import LakeError
from pianogen.evaluation.memorization import CopyConfig, copied_shares, find_copies
from pianogen.evaluation.window_index import Melody, WindowIndex, build_window_index, in_chords
from pianogen.lake import Lake


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> WindowIndex:
    return improvised_index(Lake(tmp_path_factory.mktemp("memorizing") / "lake"))


def test_a_piece_of_train_is_a_copy_of_itself_from_the_first_note_to_the_last(index):
    notes = improvised(3, 300)
    (copy,) = copies_of(notes, index)
    assert copy.num_notes == 300
    assert (copy.semitones, copy.tempo_ratio, copy.share) == (0, pytest.approx(1.0), 1.0)
    assert (copy.start_sec, copy.end_sec) == (notes.onset_sec[0], notes.offset_sec.max())
    assert copied_shares([copy], 300) == {
        "copied_share": 1.0,
        "longest_copy_notes": 300,
        "longest_copy_sec": pytest.approx(notes.offset_sec.max() - notes.onset_sec[0]),
        "num_copies": 1,
    }


@pytest.mark.parametrize("semitones", [-7, 0, 5])
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.7])
def test_a_copy_in_another_key_and_tempo_is_found_and_told_by_both(index, semitones, ratio):
    notes = improvised(3, 300).up(semitones).stretched(ratio)
    (copy,) = copies_of(notes, index)
    assert copy.num_notes >= 297
    assert copy.semitones == semitones
    assert copy.tempo_ratio == pytest.approx(ratio, rel=1e-3)


def eight_seconds(notes: Notes, first: int = 100) -> Notes:
    end = int(np.searchsorted(notes.onset_sec, notes.onset_sec[first] + 8.0))
    return between(notes, first, end)


@pytest.mark.parametrize("edit", ["as it is", "moved", "jittered", "quantised"])
def test_eight_seconds_of_train_in_other_music_are_found_where_they_stand(index, edit):
    passage = eight_seconds(improvised(5, 300))
    passage = {
        "as it is": passage,
        "moved": passage.up(4).stretched(1.2),
        "jittered": passage.jittered(0.01),
        "quantised": passage._replace(onset_sec=np.round(passage.onset_sec / 0.1) * 0.1).in_order(),
    }[edit]
    notes, is_passage = planted(improvised(1000, 200), passage, 90)
    (copy,) = copies_of(notes, index)
    found = is_copied(notes, [copy])
    assert found[is_passage].mean() > 0.9
    assert found[~is_passage].sum() <= 3
    first, last = np.flatnonzero(is_passage)[[0, -1]]
    assert copy.start_sec == pytest.approx(notes.onset_sec[first], abs=0.6)
    assert copy.source_start_sec == pytest.approx(improvised(5, 300).onset_sec[100], abs=0.6)
    assert copy.end_sec == pytest.approx(notes.offset_sec[last], abs=1.0)


def test_passages_of_two_pieces_and_two_keys_are_two_copies_with_their_sources(index):
    first, second = eight_seconds(improvised(1, 300)), eight_seconds(improvised(6, 300)).up(-3)
    notes, _ = planted(improvised(1001, 120), first, 30)
    notes, _ = planted(notes, second, len(notes.pitch) - 20)
    copies = copies_of(notes, index)
    assert [copy.semitones for copy in copies] == [0, -3]
    owners = [copies_of(improvised(seed, 300), index)[0].owner for seed in (1, 6)]
    assert [copy.owner for copy in copies] == owners


def test_the_second_half_before_the_first_is_copied_all_the_same(index):
    piece = improvised(2, 300)
    notes = between(piece, 150, 300).followed_by(between(piece, 0, 150)).in_order()
    assert is_copied(notes, copies_of(notes, index)).mean() > 0.95


def test_a_passage_that_is_copied_over_and_over_is_copied_each_time(index):
    passage = eight_seconds(improvised(4, 300))
    notes = passage
    for _ in range(3):
        notes = notes.followed_by(passage)
    assert is_copied(notes, copies_of(notes, index)).mean() > 0.95


def test_other_music_is_no_copy(index):
    pieces = [Melody(*improvised(seed, 250)) for seed in range(2000, 2040)]
    assert find_copies(pieces, index) == [[]] * 40


def test_a_passage_upside_down_or_backwards_is_no_copy(index):
    assert copies_of(improvised(3, 300).mirrored(130), index) == []
    assert copies_of(improvised(3, 300).backwards(), index) == []


def test_two_seconds_are_no_copy(index):
    passage = improvised(5, 300)
    end = int(np.searchsorted(passage.onset_sec, passage.onset_sec[100] + 2.0))
    notes, _ = planted(improvised(1002, 100), between(passage, 100, end), 50)
    assert copies_of(notes, index) == []


def figure(*pitches: int, times: int, step_sec: float = 0.125) -> Notes:
    pitch = np.tile(pitches, times)
    onset = np.arange(len(pitch)) * step_sec
    return Notes(pitch, onset, onset + step_sec)


_SCALE = [48 + 12 * (i // 7) + (0, 2, 4, 5, 7, 9, 11)[i % 7] for i in range(29)]
COMMON = {
    "trill": figure(72, 74, times=60),
    "alberti": figure(48, 55, 52, 55, times=12).followed_by(figure(47, 55, 50, 55, times=12), 0),
    "scale": figure(*_SCALE, times=2),
    "scale both ways": figure(*_SCALE, *_SCALE[-2:0:-1], times=2),
    "chromatic": figure(*range(40, 90), times=1),
    "tremolo": figure(36, 48, times=60, step_sec=0.06),
    "repeated chord": figure(60, 64, 67, times=60),
}


@pytest.mark.parametrize("name", COMMON)
def test_common_property_is_no_copy_though_train_has_the_very_same(tmp_path, name):
    lake = Lake(tmp_path / "lake")
    write_notes(tmp_path / "train" / "one.mid", improvised(50, 80).followed_by(COMMON[name]))
    index = index_of_files(lake, tmp_path / "train")
    notes = improvised(51, 80).followed_by(COMMON[name].up(2).stretched(1.1))
    assert copies_of(notes, index) == []


def test_what_stands_in_more_works_than_a_few_is_common_property_and_copies_of_one_work_are_one(tmp_path):
    lake, passage = Lake(tmp_path / "lake"), improvised(60, 80)
    for number in range(CONFIG.max_works + 1):
        write_notes(tmp_path / "train" / f"{number}.mid", passage.up(number).followed_by(improvised(61 + number, 60)))
    many = index_of_files(lake, tmp_path / "train")
    assert copies_of(passage, many) == []
    one_work = index_of_files(lake, tmp_path / "train", dict.fromkeys(many.ids, "one"))
    assert copies_of(passage, one_work)[0].num_notes >= 79
    few = index_of_files(lake, tmp_path / "train", dict.fromkeys(many.ids[1:], "one"))
    assert len(copies_of(passage, few)) == 1


def test_the_index_is_made_once_and_read_by_every_split(tmp_path):
    lake = Lake(tmp_path / "lake")
    index = improvised_index(lake, num_pieces=4)
    blocks = {path: path.stat().st_mtime_ns for path in (lake.root / "blocks" / "windows").rglob("*.parquet")}
    half = index.ids[:2]
    manifest = build_window_index(lake, "half", half, here(tmp_path))
    again = {path: path.stat().st_mtime_ns for path in (lake.root / "blocks" / "windows").rglob("*.parquet")}
    assert again == blocks
    assert len(blocks) >= 2
    other = WindowIndex(lake, manifest, half, {})
    sources = {copy.owner for seed in range(4) for copy in copies_of(improvised(seed, 300), other)}
    assert sources == {0, 1}


def test_training_music_that_is_gone_is_named(tmp_path):
    with pytest.raises(LakeError, match=r"1 performances of the train split are no longer there \(the first: gone\)"):
        build_window_index(Lake(tmp_path / "lake"), "mine", ["gone"], here(tmp_path))


@pytest.mark.parametrize("num_notes", [0, 1, 9, 10])
def test_pieces_too_short_to_be_copies_are_none(index, num_notes):
    assert copies_of(improvised(3, 300).take(slice(0, num_notes)), index) == []


def test_an_index_of_music_without_a_window_finds_nothing(tmp_path):
    write_midi(tmp_path / "train" / "short.mid", improvise(1, 5))
    index = index_of_files(Lake(tmp_path / "lake"), tmp_path / "train")
    assert copies_of(improvised(1, 300), index) == []
    assert find_copies([], index) == []


def test_a_chord_that_is_spread_has_the_windows_of_one_that_is_not():
    pitch, offset = np.array([60, 64, 67, 55, 62]), np.ones(5)
    together, _ = in_chords(pitch[[0, 1, 2, 3, 4]], np.array([0.0, 0.0, 0.0, 0.5, 0.5]), offset)
    spread, order = in_chords(pitch[[1, 2, 0, 4, 3]], np.array([0.0, 0.02, 0.045, 0.5, 0.52]), offset)
    assert spread.pitch.tolist() == together.pitch.tolist() == [60, 64, 67, 55, 62]
    assert spread.onset_sec.tolist() == together.onset_sec.tolist()
    assert order.tolist() == [2, 0, 1, 4, 3]


def test_a_note_counts_once_whatever_copies_it(index):
    notes = improvised(3, 300)
    copies = copies_of(notes, index)
    numbers = np.concatenate([copy.notes for copy in copies])
    assert len(numbers) == len(set(numbers.tolist()))
    strict = CopyConfig(min_notes=301)
    assert find_copies([Melody(*notes)], index, strict) == [[]]


# Real music


@pytest.fixture(scope="module")
def real_index(real_data, tmp_path_factory) -> WindowIndex:
    """Of some thirty performances of MAESTRO."""
    root = tmp_path_factory.mktemp("real")
    files = sorted((real_data / "maestro").rglob("*.midi"))[::8]
    (root / "train").mkdir()
    for number, path in enumerate(files):
        (root / "train" / f"{number:03d}.mid").write_bytes(path.read_bytes())
    return index_of_files(Lake(root / "lake"), root / "train")


def test_eight_seconds_of_a_real_performance_are_found_in_another_one_and_other_music_is_not(real_data, real_index):
    files, hosts = sorted((real_data / "maestro").rglob("*.midi")), sorted((real_data / "pop909").rglob("*.mid"))
    rng = np.random.default_rng(4)
    num_found = num = 0
    for source, host in zip(files[0:80:16], hosts[:200:40], strict=True):
        passage, other = read_notes(source), read_notes(host)
        first = int(rng.integers(0, len(passage.pitch) - 200))
        passage = eight_seconds(passage, first).up(int(rng.integers(-5, 6))).stretched(float(rng.uniform(0.8, 1.25)))
        notes, is_passage = planted(other.take(slice(0, 300)), passage, 150)
        copied = is_copied(notes, copies_of(notes, real_index))
        assert copied[~is_passage].mean() < 0.05
        num += 1
        num_found += copied[is_passage].mean() > 0.8
    assert (num_found, num) == (5, 5)
