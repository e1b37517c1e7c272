import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shingling import Notes, improvised, melody, notes_of

from pianogen.dedupe.alignment import Alignment, align_with_anchors
from pianogen.dedupe.matched_notes import (
    EXACT_MATCH_SEC,
    MATCH_SEC,
    MAX_PLATEAUS,
    _plateaus,
    share_of_matched_notes,
)

EXACT_SEC = 0.01

pieces = st.builds(
    lambda make, seed, num: make(seed, num),
    st.sampled_from([improvised, melody]),
    st.integers(0, 2**31),
    st.integers(80, 250),
)


def rows(notes: Notes) -> np.ndarray:
    return np.stack(notes).astype(np.float32)


def share(a: Notes, b: Notes, by_class: bool = False) -> float:
    found = align_with_anchors(a.columns(1), b.columns(1))
    return share_of_matched_notes(rows(a), rows(b), *found, exact_sec=EXACT_SEC, by_class=by_class)


def rows_aligned(a: Notes, b: Notes, alignment: Alignment, at: list[float], **asked) -> float:
    """With anchors at the same times in both."""
    return share_of_matched_notes(
        rows(a), rows(b), alignment, np.array(at), np.array(at), **{"exact_sec": EXACT_SEC, **asked}
    )


def plain(residual_sec: float = 0.0, semitones: int = 0, is_mirrored: bool = False) -> Alignment:
    return Alignment(9, 9, 9, semitones, is_mirrored, 1.0, residual_sec, residual_sec, 1.0, 1.0, 0)


@settings(deadline=None)
@given(pieces, st.integers(-20, 20), st.floats(0.5, 2))
def test_a_copy_has_all_notes_whatever_key_and_tempo(piece, semitones, ratio):
    assert share(piece, piece.up(semitones).stretched(ratio).later(2)) > 0.98


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_a_mirror_image_has_all_notes(seed):
    piece = melody(seed, 150)
    assert share(piece, piece.mirrored(131)) > 0.98


@settings(deadline=None)
@given(pieces)
def test_of_an_excerpt_all_notes_are_found(piece):
    assert share(piece, piece.take(slice(20, 70))) > 0.9


@pytest.mark.parametrize("seed", range(40))
def test_notes_that_were_left_out_on_one_side_leave_the_other_side_whole(seed):
    # Not of every piece: one in thousands repeats itself so that, with its notes gone, another place fits better.
    piece = (improvised, melody)[seed % 2](seed, 80 + 4 * seed)
    is_kept = np.random.default_rng(seed).random(len(piece.pitch)) < 0.93
    assert share(piece, piece.take(is_kept)) > 0.9


def test_shares_are_of_notes_between_the_ends_of_the_chain():
    notes = notes_of([(8.0 * i, 60 + i, 1.0) for i in range(20)])
    other = notes._replace(pitch=np.where(np.arange(20) < 10, notes.pitch, 100))
    # One a second; from 2 s to 12 s there are eleven, of which eight are the same.
    assert rows_aligned(notes, other, plain(), [2.0, 12.0]) == pytest.approx(8 / 11)
    assert rows_aligned(notes, other, plain(), [0.0, 9.0]) == 1
    assert rows_aligned(notes, other, plain(), [10.0, 19.0]) == 0


def test_the_greater_share_of_the_two_counts():
    notes = notes_of([(8.0 * i, 60 + i, 1.0) for i in range(20)])
    some = notes.take(np.array([0, 5, 19]))
    assert rows_aligned(notes, some, plain(), [0.0, 19.0]) == 1
    assert rows_aligned(some, notes, plain(), [0.0, 19.0]) == 1
    added = notes.followed_by(some)._replace(
        onset_sec=np.concatenate((notes.onset_sec, some.onset_sec)), pitch=np.append(notes.pitch, [90, 91, 92])
    )
    assert rows_aligned(notes, added, plain(), [0.0, 19.0]) == 1


@pytest.mark.parametrize(
    ("residual_sec", "reach_sec"), [(0.0, EXACT_MATCH_SEC), (0.02, MATCH_SEC), (np.nan, MATCH_SEC)]
)
def test_how_far_a_note_may_be_off_depends_on_how_both_keep_time(residual_sec, reach_sec):
    notes = notes_of([(8.0 * i, 60 + i, 1.0) for i in range(20)])
    for by, expected in ((0.9 * reach_sec, 1.0), (1.1 * reach_sec, 0.1)):
        # All but the first and last, which hold the ends.
        other = notes._replace(onset_sec=notes.onset_sec + by * ((np.arange(20) > 0) & (np.arange(20) < 19)))
        at = [float(i) for i in range(20)]
        assert rows_aligned(notes, other, plain(residual_sec), at) == pytest.approx(expected)


def test_pitches_are_moved_before_they_are_compared():
    notes = notes_of([(8.0 * i, 60 + i, 1.0) for i in range(20)])
    at = [0.0, 19.0]
    assert rows_aligned(notes, notes.up(5), plain(semitones=5), at) == 1
    assert rows_aligned(notes, notes.up(5), plain(semitones=4), at) == 0
    assert rows_aligned(notes, notes.mirrored(150), plain(semitones=150, is_mirrored=True), at) == 1
    assert rows_aligned(notes, notes.mirrored(150), plain(semitones=149, is_mirrored=True), at) == 0


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_pitch_classes_do_not_mind_octaves(is_mirrored):
    notes = notes_of([(8.0 * i, 60 + i, 1.0) for i in range(20)])
    moved = notes.mirrored(130) if is_mirrored else notes.up(2)
    octaves = moved.up(0)._replace(pitch=moved.pitch + 12 * (np.arange(20) % 3 - 1))
    alignment = plain(semitones=130 if is_mirrored else 2, is_mirrored=is_mirrored)
    assert rows_aligned(notes, octaves, alignment, [0.0, 19.0]) < 0.5
    assert rows_aligned(notes, octaves, alignment, [0.0, 19.0], by_class=True) == 1


@pytest.mark.parametrize("at", [[], [3.0]])
def test_without_a_chain_no_note_is_found(at):
    notes = melody(1, 30)
    assert rows_aligned(notes, notes, plain(), at) == 0


def test_between_ends_without_notes_no_note_is_found():
    notes = notes_of([(0.0, 60, 1.0), (80.0, 60, 1.0)])
    assert rows_aligned(notes, notes, plain(), [2.0, 8.0]) == 0


def test_single_anchors_that_are_off_do_not_mislead():
    piece = improvised(7, 200)
    at = np.unique(piece.onset_sec)
    wrong = at.copy()
    wrong[10:-10:7] += 0.05
    found = share_of_matched_notes(rows(piece), rows(piece), plain(0.02), at, wrong, exact_sec=EXACT_SEC)
    assert found > 0.98


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_other_music_has_few_of_the_notes(seed):
    piece, other = improvised(seed, 200), improvised(seed + 1, 200)
    end = min(piece.onset_sec.max(), other.onset_sec.max())
    assert rows_aligned(piece, other, plain(), [0.0, float(end)]) < 0.5


# Repeats and struck again


def copied(*parts: Notes) -> Notes:
    """One part after the other."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.followed_by(part.later(-part.onset_sec.min()), 0.5)
    return whole


@pytest.mark.parametrize("form", ["aab", "abb", "abab", "aabb"])
def test_a_repeat_that_one_leaves_out_costs_nothing_where_time_is_kept(form):
    parts = {name: melody(seed, 60) for seed, name in enumerate("ab")}
    short, long = copied(parts["a"], parts["b"]), copied(*(parts[name] for name in form))
    # Some notes are not there, so that neither has all of the other's.
    short = short.take(np.arange(120) % 40 != 20)
    long = long.take(np.arange(len(long.pitch)) % 40 != 30)
    assert share(short, long) > 0.93
    assert share(long, short) > 0.93


def test_plateaus_are_the_values_that_anchors_keep_and_no_single_one_moves_them():
    drift = np.repeat([0.0, 7.5, 3.0], 20)
    noisy = drift.copy()
    noisy[[3, 25, 26, 50]] = [2.0, 9.9, -4.0, 7.5]
    noisy += np.random.default_rng(0).uniform(-0.02, 0.02, 60)
    assert np.allclose(_plateaus(noisy), drift, atol=0.03)
    # Of too few that agree the others decide.
    assert set(_plateaus(np.array([1.0] * 9 + [5.0] * 2))) == {1.0}
    assert len(_plateaus(np.array([1.0, 2.0]))) == 2


@settings(deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=60))
def test_plateaus_are_few_and_each_is_one_of_the_drifts(drift):
    found = _plateaus(np.array(drift))
    assert len(found) == len(drift)
    assert set(found.tolist()) <= set(drift)
    assert len(set(found.tolist())) <= MAX_PLATEAUS
