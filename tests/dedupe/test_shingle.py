from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shingling import (
    STEP_SEC,
    Notes,
    improvised,
    melody,
    mixed,
    notes_of,
    places_of,
    read_notes,
    slow_shingles,
    slow_top_line,
    some_notes,
)

from pianogen.dedupe.shingle import (
    CHROMA,
    CHROMA_WINDOW,
    COARSE,
    LINE,
    LONG_CHROMA_WINDOW,
    LONG_FROM,
    MAX_PLACES,
    TOP,
    WINDOW,
    WINDOWS,
    Shingles,
    shingles,
    windows,
)

KINDS = {"windows": WINDOWS, "top": TOP, "chroma": CHROMA}


def of_kind(found: Shingles, kind: int) -> Shingles:
    rows = found.kind == kind
    return Shingles(*(column[rows] for column in found[:5]), sampling=found.sampling)


def hashes(notes: Notes, kind: int) -> list[int]:
    return of_kind(notes.shingles(1), kind).shingle.tolist()


def in_file_order(notes: Notes, kind: int) -> list[int]:
    """Hashes by their onsets, where no two of a kind have one."""
    found = of_kind(notes.shingles(1), kind)
    assert len(np.unique(found.onset_sec)) == len(found.onset_sec)
    return found.shingle[np.argsort(found.onset_sec)].tolist()


# Against plain Python


@settings(max_examples=100, deadline=None)
@given(some_notes(), st.sampled_from([0, 1, COARSE]))
def test_shingles_are_those_of_plain_python(notes, sampling):
    assert places_of(notes.shingles(sampling)) == slow_shingles(notes, sampling)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 4), st.integers(0, 127), st.floats(0, 20)), max_size=60))
def test_shingles_are_those_of_plain_python_off_the_grid_and_on_the_whole_range_of_pitches(rows):
    notes = notes_of(rows)
    assert places_of(notes.shingles()) == slow_shingles(notes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([60, 62, 64, 65, 67]), min_size=20, max_size=120), st.sampled_from([0.2, 0.4, 1.0]))
def test_shingles_of_loops_and_of_notes_within_one_chord_are_those_of_plain_python(pitches, step):
    notes = notes_of([(i * step, pitch, 1.0) for i, pitch in enumerate(pitches)])
    assert places_of(notes.shingles()) == slow_shingles(notes)


@pytest.mark.parametrize("num_notes", [LONG_FROM - 1, LONG_FROM, 1500])
def test_shingles_of_long_performances_are_those_of_plain_python(num_notes):
    notes = melody(1, num_notes)
    found = notes.shingles()
    assert places_of(found) == slow_shingles(notes)
    assert found.sampling == (COARSE if num_notes >= LONG_FROM else 1)


@pytest.mark.slow
def test_shingles_of_real_files_are_those_of_plain_python(real_data):
    for dataset in ("asap", "pop909", "maestro", "giantmidi"):
        paths = sorted(path for path in (real_data / dataset).rglob("*") if path.suffix.lower() in (".mid", ".midi"))
        for path in np.random.default_rng(0).choice(paths, 2, replace=False):
            notes = read_notes(path).take(slice(0, 1500))
            assert len(notes.pitch) > 100
            assert places_of(notes.shingles()) == slow_shingles(notes), path
            assert places_of(notes.shingles(1)) == slow_shingles(notes, 1), path


# What they do not mind


@settings(deadline=None)
@given(some_notes(lowest=30, highest=90), st.integers(-30, 37))
def test_transposition_keeps_every_shingle_and_moves_its_pitch(notes, semitones):
    before, after = notes.shingles(), notes.up(semitones).shingles()
    for name in ("shingle", "kind", "onset_sec", "is_mirrored", "sampling"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    is_chroma = before.kind == CHROMA
    moved = after.pitch.astype(int) - before.pitch
    assert (moved[~is_chroma] == semitones).all()
    # A chord that divides the octave evenly does not tell by how much it was turned.
    by_class = Counter(int(k) for k in (moved[is_chroma] - semitones) % 12)
    assert set(by_class) <= {0, 2, 3, 4, 6, 8, 9, 10}


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(-30, 30))
def test_chroma_tells_the_transposition_but_for_octaves(seed, semitones):
    notes = melody(seed, 60)
    before, after = (of_kind(n.shingles(), CHROMA) for n in (notes, notes.up(semitones)))
    is_uneven = np.array([len(set(_turns(notes, at))) == 12 for at in before.onset_sec], bool)
    moved = (after.pitch.astype(int) - before.pitch) % 12
    assert is_uneven.mean() > 0.9
    assert (moved[is_uneven] == semitones % 12).all()


def _turns(notes: Notes, onset_sec: float) -> list[tuple[int, ...]]:
    first = int(np.argmin(np.abs(notes.onset_sec - onset_sec)))
    counts = np.bincount(notes.pitch[first : first + LONG_CHROMA_WINDOW] % 12, minlength=12)
    return [tuple(np.roll(counts, r).tolist()) for r in range(12)]


@settings(deadline=None)
@given(some_notes(), st.floats(0.2, 5))
def test_another_tempo_keeps_every_window_and_scales_its_onset(notes, ratio):
    before, after = (of_kind(n.shingles(), WINDOWS) for n in (notes, notes.stretched(ratio)))
    for name in ("shingle", "pitch", "is_mirrored"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.allclose(before.onset_sec * ratio, after.onset_sec, rtol=1e-5)


@settings(deadline=None)
@given(some_notes(), st.sampled_from([0.5, 2.0, 4.0]))
def test_a_tempo_at_which_no_two_steps_become_one_chord_keeps_every_shingle(notes, ratio):
    before, after = notes.shingles(), notes.stretched(ratio).shingles()
    for name in ("shingle", "kind", "pitch", "is_mirrored"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name


@settings(deadline=None)
@given(some_notes(), st.floats(0, 1000))
def test_silence_before_the_first_note_changes_no_shingle(notes, sec):
    before, after = notes.shingles(), notes.later(sec).shingles()
    assert np.array_equal(before.shingle, after.shingle)
    assert np.allclose(before.onset_sec + sec, after.onset_sec, atol=1e-3)


@settings(deadline=None)
@given(some_notes(min_size=WINDOW, lowest=20, highest=100), st.integers(107, 120))
def test_the_mirror_image_has_the_same_windows_turned_over_with_pitches_that_sum_to_one_number(notes, total):
    # One at a time, since a chord that is mirrored comes in another order.
    notes = notes.take(np.unique(notes.onset_sec, return_index=True)[1])
    before, after = (of_kind(n.shingles(), WINDOWS) for n in (notes, notes.mirrored(total)))
    assert np.array_equal(before.shingle, after.shingle)
    # One that is its own image is told by its lowest note both times.
    is_turned = before.is_mirrored != after.is_mirrored
    assert ((before.pitch.astype(int) + after.pitch)[is_turned] == total).all()
    for place, image in zip(*(np.array(places_of(f), dtype=object)[~is_turned] for f in (before, after)), strict=True):
        assert not place[4]
        assert not image[4]
    lone = notes.take(slice(0, WINDOW))
    steps = np.diff(np.sort(lone.pitch))
    if len(lone.pitch) == WINDOW and len(lone.shingles().shingle) and list(steps) != list(steps[::-1]):
        assert lone.shingles().is_mirrored[0] != lone.mirrored(total).shingles().is_mirrored[0]


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(100, 140))
def test_the_mirror_image_of_a_melody_has_its_top_line_turned_over(seed, total):
    notes = melody(seed, 60)
    before, after = (of_kind(n.shingles(), TOP) for n in (notes, notes.mirrored(total)))
    assert len(before.shingle) > 60 - 3 * LINE
    assert np.array_equal(before.shingle, after.shingle)
    assert np.array_equal(before.is_mirrored, ~after.is_mirrored)
    assert (before.pitch.astype(int) + after.pitch == total).all()


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(40, 90), min_size=1, max_size=5), min_size=4, max_size=20), st.integers(0, 2**31))
def test_the_order_within_a_window_does_not_matter(chords, seed):
    """Chords broken upwards keep every window, broken in any order those that begin and end between chords."""
    rng = np.random.default_rng(seed)

    def broken(orders: list[list[int]]) -> Notes:
        return notes_of([(4 * i + k * 0.1, p, 1.0) for i, order in enumerate(orders) for k, p in enumerate(order)])

    together = notes_of([(4.0 * i, p, 1.0) for i, chord in enumerate(chords) for p in chord])
    upwards = broken([sorted(chord) for chord in chords])
    assert hashes(together, WINDOWS) == hashes(upwards, WINDOWS)
    any_order = broken([rng.permutation(sorted(chord)).tolist() for chord in chords])
    edges = np.cumsum([0, *map(len, chords)])
    whole = [i for i in edges if i + WINDOW in edges]
    before, after = (
        [places_of(n.take(slice(i, i + WINDOW)).shingles())[:1] for i in whole] for n in (together, any_order)
    )
    assert [[(p.shingle, p.pitch) for p in places] for places in before] == [
        [(p.shingle, p.pitch) for p in places] for places in after
    ]


@pytest.mark.parametrize("semitones", [(12,), (-12,), (12, -12), (24,)], ids=str)
def test_doubling_every_octave_keeps_chroma(semitones):
    notes, doubled = (improvised(1, 300).take(np.arange(300)) for _ in range(2))
    for by in semitones:
        doubled = Notes(
            np.concatenate((doubled.pitch, notes.pitch + by)),
            np.concatenate((doubled.onset_sec, notes.onset_sec)),
            np.concatenate((doubled.offset_sec, notes.offset_sec)),
        ).in_order()
    before, after = set(hashes(notes, CHROMA)), set(hashes(doubled, CHROMA))
    assert len(before) > 200
    # In a chord the order of classes changes with its lowest octaves: windows that cut one are others.
    assert len(before & after) >= (0.9 if semitones != (12,) else 0.95) * len(before)
    assert len(set(hashes(notes, WINDOWS)) & set(hashes(doubled, WINDOWS))) < 0.1 * len(before)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([12, -12, 24]), st.floats(0.1, 1))
def test_doubling_some_octaves_of_a_melody_keeps_every_chroma(seed, semitones, share):
    notes = melody(seed, 80)
    doubled = notes.doubled(semitones, np.random.default_rng(seed).random(80) < share)
    assert in_file_order(notes, CHROMA) == in_file_order(doubled, CHROMA)


def test_octaves_above_a_melody_are_its_top_line_and_octaves_below_leave_it():
    notes = melody(3, 80)
    every = np.ones(80, bool)
    top = of_kind(notes.shingles(), TOP)
    for semitones in (-12, 12):
        other = of_kind(notes.doubled(semitones, every).shingles(), TOP)
        assert np.array_equal(top.shingle, other.shingle)
        assert (other.pitch.astype(int) - top.pitch == max(semitones, 0)).all()


@settings(deadline=None)
@given(some_notes())
def test_a_unison_counts_once(notes):
    twice = notes.take(np.repeat(np.arange(len(notes.pitch)), 2))
    assert places_of(notes.shingles()) == places_of(twice.shingles())


# The top line


@pytest.mark.parametrize(
    ("under", "is_on_line"),
    [
        ((4.0, 40, 1.0), False),  # begins with the note above
        ((4.3, 40, 1.0), False),  # within 50 ms of it
        ((5.0, 40, 2.0), False),  # the note above outlasts its half
        ((5.0, 40, 12.0), True),  # it outlasts the note above
        ((8.5, 40, 1.0), True),  # the note above has ended
        ((4.0, 80, 1.0), True),  # higher
    ],
)
def test_a_note_is_on_the_top_line_where_no_higher_one_covers_it(under, is_on_line):
    notes = notes_of([(4.0, 60, 4.0), under])
    rows = list(zip(notes.pitch.tolist(), notes.onset_sec.tolist(), strict=True))
    offset_of = dict(zip(rows, notes.offset_sec.tolist(), strict=True))
    assert ((under[1], under[0] * STEP_SEC) in slow_top_line(rows, offset_of)) == is_on_line


def test_short_notes_below_a_tune_that_is_held_leave_the_top_line():
    tune, below = melody(5, 80).up(24), improvised(6, 200).up(-24)
    tune = tune._replace(offset_sec=np.append(tune.onset_sec[1:], tune.offset_sec[-1]))
    below = below._replace(offset_sec=below.onset_sec + STEP_SEC / 2)
    below = below.take((below.onset_sec > tune.onset_sec[0]) & (below.offset_sec < tune.offset_sec[-1]))
    assert len(below.pitch) > 60
    both = Notes(*(np.concatenate(columns) for columns in zip(tune, below, strict=True))).in_order()
    assert in_file_order(both, TOP) == in_file_order(tune, TOP)


def test_a_note_of_the_top_line_that_is_struck_again_counts_once():
    tune = melody(5, 80)
    is_again = np.random.default_rng(0).random(80) < 0.4
    half = (tune.offset_sec - tune.onset_sec) / 2
    # Each of some notes in two halves.
    second = tune._replace(onset_sec=tune.onset_sec + half).take(is_again)
    first = tune._replace(offset_sec=np.where(is_again, tune.onset_sec + half, tune.offset_sec))
    again = Notes(*(np.concatenate(columns) for columns in zip(first, second, strict=True))).in_order()
    assert in_file_order(again, TOP) == in_file_order(tune, TOP)
    assert len(in_file_order(tune, TOP)) > 40


# What is kept


@pytest.mark.parametrize("num_notes", [100, 3000])
def test_the_coarse_sampling_keeps_the_multiples_of_all(num_notes):
    notes = improvised(2, num_notes)
    every, coarse = (places_of(shingles(*notes, sampling=sampling)) for sampling in (1, COARSE))
    assert coarse == [place for place in every if place.shingle % COARSE == 0]
    if num_notes == 3000:
        assert 0.11 < len(coarse) / len(every) < 0.14
    assert places_of(notes.shingles()) == (coarse if num_notes == 3000 else every)


@settings(deadline=None)
@given(some_notes(max_size=100))
def test_rows_ascend_by_shingle_then_kind_then_onset(notes):
    rows = [place[:3] for place in places_of(notes.shingles())]
    assert rows == sorted(rows)


def test_of_a_loop_the_first_places_are_kept():
    phrase = melody(4, 24)
    loop = phrase
    for _ in range(9):
        loop = loop.followed_by(phrase)
    once, found = phrase.shingles(1), loop.shingles(1)
    counts = Counter(zip(found.kind.tolist(), found.shingle.tolist(), strict=True))
    assert max(counts.values()) == MAX_PLACES
    first = loop.onset_sec[24 * MAX_PLACES] - 1e-3
    for kind, shingle in zip(once.kind, once.shingle, strict=True):
        at = found.onset_sec[(found.kind == kind) & (found.shingle == shingle)]
        assert len(at) == MAX_PLACES
        assert (at < first).all()


def test_a_shingle_holds_its_whole_window_so_no_two_windows_share_one():
    rng = np.random.default_rng(0)
    seen: dict[int, tuple] = {}
    for _ in range(3000):
        pitch = rng.integers(0, 128, WINDOW)
        notes = Notes(pitch, np.arange(WINDOW) * 1.0, np.arange(WINDOW) + 0.5)
        steps = tuple(np.diff(np.sort(pitch)).tolist())
        (shingle,) = notes.shingles().shingle.tolist()
        assert seen.setdefault(shingle, min(steps, steps[::-1])) == min(steps, steps[::-1])
    assert len(seen) > 2990


def test_the_mix_is_that_of_splitmix64():
    # The first values that the generator of that name gives from the seeds 0 and 1234567.
    assert mixed(0) == 0xE220A8397B1DCDAF
    assert mixed(1234567) == 6457827717110365317


# What is left of little


@pytest.mark.parametrize("num_notes", range(CHROMA_WINDOW + 2))
def test_each_kind_begins_with_so_many_notes(num_notes):
    scale = notes_of([(float(i), 60 + i, 1.0) for i in range(num_notes)])
    counts = {name: len(hashes(scale, kind)) for name, kind in KINDS.items()}
    assert counts == {
        "windows": min(max(num_notes - WINDOW + 1, 0), MAX_PLACES),
        "top": min(max(num_notes - LINE, 0), MAX_PLACES),
        "chroma": max(num_notes - CHROMA_WINDOW + 1, 0),
    }


def test_an_index_has_long_chroma():
    scale = notes_of([(float(i), 60 + i, 1.0) for i in range(LONG_CHROMA_WINDOW)])
    assert len(of_kind(scale.shingles(), CHROMA).shingle) == 1
    assert len(of_kind(scale.take(slice(1, None)).shingles(), CHROMA).shingle) == 0


def test_no_notes_and_one_note_have_no_shingles():
    for notes in (notes_of([]), notes_of([(0.0, 60, 1.0)])):
        found = notes.shingles()
        assert [len(column) for column in found[:5]] == [0] * 5
        assert [column.dtype for column in found[:5]] == [np.uint64, np.uint8, np.float32, np.uint8, np.bool_]
        assert found.sampling == 1


@pytest.mark.parametrize("pattern", [[60], [60, 62], [60, 64, 67], [60, 60, 72]])
def test_trills_repeated_chords_and_unisons_have_none(pattern):
    pitches = pattern * 40
    as_trill = notes_of([(float(i), pitch, 1.0) for i, pitch in enumerate(pitches)])
    as_chord = notes_of([(float(i // len(pattern)), pitch, 1.0) for i, pitch in enumerate(pitches)])
    at_once = notes_of([(0.0, pitch, 1.0) for pitch in pitches])
    for notes in (as_trill, as_chord, at_once):
        assert len(notes.shingles().shingle) == 0


@given(some_notes())
def test_all_windows_are_those_of_plain_python_with_the_notes_that_they_hold(notes):
    found = windows(notes.pitch, notes.onset_sec)
    expected = [place for place in slow_shingles(notes, sampling=1) if place.kind == WINDOWS]
    told = zip(found.shingle, notes.onset_sec[found.first].astype(np.float32), found.pitch, strict=True)
    # A hash that stands often is not always kept there.
    assert {(place.shingle, place.onset_sec, place.pitch) for place in expected} <= {
        (int(shingle), float(sec), int(pitch)) for shingle, sec, pitch in told
    }
    assert {int(shingle) for shingle in found.shingle} == {place.shingle for place in expected}
    for first, last in zip(found.first, found.last, strict=True):
        held = set(zip(notes.pitch[first : last + 1], notes.onset_sec[first : last + 1], strict=True))
        assert len(held) == WINDOW
    assert np.all(np.diff(found.first) > 0)
