import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.audit.anchors import find_anchors
from pianogen.audit.matching import Notes, match_notes, time_map


def music(seed: int, num_notes: int, step_sec: float = 0.3) -> Notes:
    """Notes that wander; no two begin together."""
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.uniform(0.2 * step_sec, 1.8 * step_sec, num_notes))
    pitch = 60 + np.abs(np.cumsum(rng.integers(-7, 8, num_notes)) % 48 - 24) - 12
    velocity = rng.integers(30, 110, num_notes)
    return Notes(pitch.astype(np.uint8), velocity.astype(np.uint8), onset, onset + rng.uniform(0.1, 1.0, num_notes))


def changed(
    a: Notes, *, semitones: int = 0, ratio: float = 1.0, is_mirrored: bool = False, start_sec: float = 0.0
) -> Notes:
    pitch = a.pitch.astype(int)
    pitch = semitones - pitch if is_mirrored else pitch + semitones
    return a._replace(
        pitch=pitch.astype(np.uint8),
        onset_sec=a.onset_sec * ratio + start_sec,
        offset_sec=a.offset_sec * ratio + start_sec,
    )


def without(a: Notes, first: int, end: int) -> Notes:
    """The music with a passage cut out, the rest moved up to it."""
    gone = a.onset_sec[end] - a.onset_sec[first]
    kept = np.r_[0:first, end : len(a.pitch)]
    later = np.r_[np.zeros(first), np.full(len(a.pitch) - end, gone)]
    return Notes(a.pitch[kept], a.velocity[kept], a.onset_sec[kept] - later, a.offset_sec[kept] - later)


def everywhere(num: int) -> list[list[int]]:
    return [[i, i] for i in range(num)]


@given(
    seed=st.integers(0, 1000),
    num_notes=st.integers(1, 80),
    semitones=st.integers(-12, 12),
    ratio=st.floats(0.5, 2.0),
    is_mirrored=st.booleans(),
)
def test_every_note_of_a_changed_copy_is_matched_with_itself(seed, num_notes, semitones, ratio, is_mirrored):
    a = music(seed, num_notes)
    change = 120 + semitones if is_mirrored else semitones
    b = changed(a, semitones=change, ratio=ratio, is_mirrored=is_mirrored, start_sec=3.0)
    times = time_map(a.onset_sec, b.onset_sec, ratio)
    assert match_notes(a, b, change, is_mirrored, times).tolist() == everywhere(num_notes)


@given(
    seeds=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    sizes=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    semitones=st.integers(-5, 5),
    ratio=st.floats(0.4, 2.5),
    tolerance=st.floats(0.01, 1.0),
)
def test_matched_notes_are_near_and_of_one_pitch_and_stand_in_one_pair_seen_from_either_side(
    seeds, sizes, semitones, ratio, tolerance
):
    a, b = music(seeds[0], sizes[0]), music(seeds[1], sizes[1], 0.3 * ratio)
    anchors_a, anchors_b = np.array([1.0, 5.0, 9.0]), np.array([1.0, 5.0, 9.0]) * ratio + 0.5
    there, back = time_map(anchors_a, anchors_b, ratio), time_map(anchors_b, anchors_a, 1 / ratio)
    found = match_notes(a, b, semitones, False, there, tolerance)
    i, j = found[:, 0], found[:, 1]
    assert len(set(i)) == len(set(j)) == len(found)
    assert (b.pitch[j].astype(int) - a.pitch[i] == semitones).all()
    distance = np.abs(there.place_a(a.onset_sec[i]) - there.place_b(b.onset_sec[j])) * min(1.0, ratio)
    assert (distance <= tolerance + 1e-9).all()
    turned = match_notes(b, a, -semitones, False, back, tolerance)
    assert sorted(turned[:, ::-1].tolist()) == found.tolist()


def test_of_two_notes_in_reach_the_nearer_one_is_taken_and_the_other_is_left():
    a = Notes(*(np.array(column) for column in ([60], [80], [1.0], [1.5])))
    b = Notes(*(np.array(column) for column in ([60, 60, 61], [80, 80, 80], [0.9, 1.02, 1.0], [1.0, 1.5, 1.5])))
    times = time_map(np.array([0.0]), np.array([0.0]), 1.0)
    assert match_notes(a, b, 0, False, times, 0.15).tolist() == [[0, 1]]
    assert match_notes(a, b, 0, False, times, 0.01).tolist() == []


anchors = st.lists(st.tuples(st.floats(0.01, 30.0), st.floats(0.01, 30.0)), min_size=1, max_size=20)


@given(steps=anchors, ratio=st.floats(0.3, 3.0))
def test_the_axis_moves_on_with_both_and_both_stand_together_at_every_anchor(steps, ratio):
    times_a, times_b = np.cumsum([a for a, _ in steps]), np.cumsum([b for _, b in steps])
    times = time_map(times_a, times_b, ratio)
    assert (np.diff(times.axis_sec) > 0).all()
    assert (np.diff(times.a_sec) >= 0).all()
    assert (np.diff(times.b_sec) >= 0).all()
    assert times.a_sec[-1] == times_a[-1]
    assert times.b_sec[-1] == pytest.approx(times_b[-1])
    everything = np.linspace(-10, times_a[-1] + 10, 200)
    assert (np.diff(times.place_a(everything)) > 0).all()
    assert times.place_a(times_a) == pytest.approx(times.place_b(times_b), abs=1e-4)
    # Nothing of a is squeezed: it takes its own time and waits besides.
    assert times.axis_sec[-1] - times.axis_sec[0] >= times_a[-1] - times_a[0] - 1e-4


def test_a_passage_that_one_of_the_two_leaves_out_gets_room_and_matches_nothing():
    a = music(3, 300)
    b = without(a, 100, 200)
    times = time_map(*find_anchors(a, b, 0, False), 1.0)
    found = match_notes(a, b, 0, False, times)
    same = [[i, i] for i in range(100)] + [[i, i - 100] for i in range(200, 300)]
    assert len({tuple(pair) for pair in same} & {tuple(pair) for pair in found.tolist()}) >= 190
    in_passage = (found[:, 0] >= 100 + 12) & (found[:, 0] < 200)
    assert in_passage.sum() == 0
    assert times.place_b(b.onset_sec[-1]) == pytest.approx(times.place_a(a.onset_sec[-1]), abs=0.05)


@pytest.mark.parametrize(
    "times_a, times_b, ratio, says",
    [
        ([], [], 1.0, "anchors need a time in both"),
        ([1.0], [1.0, 2.0], 1.0, "anchors need a time in both"),
        ([1.0, 1.0], [1.0, 2.0], 1.0, "must ascend"),
        ([1.0], [1.0], 0.0, "must be positive"),
        ([1.0], [1.0], float("nan"), "must be positive"),
    ],
)
def test_anchors_that_make_no_axis_are_refused(times_a, times_b, ratio, says):
    with pytest.raises(ValueError, match=says):
        time_map(np.array(times_a), np.array(times_b), ratio)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_anchors_follow_a_copy_through_key_tempo_and_jitter(is_mirrored):
    a = music(1, 400)
    change = 123 if is_mirrored else 3
    b = changed(a, semitones=change, ratio=0.8, is_mirrored=is_mirrored)
    jitter = np.random.default_rng(2).normal(0, 0.01, len(b.onset_sec))
    b = b._replace(onset_sec=b.onset_sec + jitter)
    at_a, at_b = find_anchors(a, b, change, is_mirrored)
    assert len(at_a) > 100
    assert (np.diff(at_a) > 0).all()
    assert (np.diff(at_b) > 0).all()
    assert np.abs(at_b - 0.8 * at_a).max() < 0.05


def test_a_phrase_that_comes_back_leads_nowhere_else():
    phrase, other, more = music(1, 40), music(2, 120), music(3, 80)

    def joined(*parts: Notes) -> Notes:
        start, columns = 0.0, []
        for part in parts:
            columns.append(part._replace(onset_sec=part.onset_sec + start, offset_sec=part.offset_sec + start))
            start += part.onset_sec[-1] + 0.3
        return Notes(*(np.concatenate(column) for column in zip(*columns, strict=True)))

    # In b the middle is other music of the same length, in which the phrase comes back.
    middle = music(5, 120)
    middle = middle._replace(onset_sec=middle.onset_sec * other.onset_sec[-1] / middle.onset_sec[-1])
    a, b = joined(phrase, other, phrase, more), joined(phrase, middle, phrase, more)
    at_a, at_b = find_anchors(a, b, 0, False)
    assert len(at_a) > 20
    assert np.abs(at_a - at_b).max() < 0.05


def test_other_music_has_no_anchors():
    at_a, at_b = find_anchors(music(1, 300), music(2, 300), 0, False)
    assert len(at_a) == len(at_b) == 0
    assert len(find_anchors(music(1, 3), music(1, 3), 0, False)[0]) == 0
    assert len(find_anchors(music(1, 0), music(1, 10), 0, False)[0]) == 0
