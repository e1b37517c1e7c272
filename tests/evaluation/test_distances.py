"""Features and distances beside the formulas of mgeval, written out, and scipy's densities; and sets that are odd."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shingling import read_notes

from pianogen.evaluation.distances import (
    Distances,
    density,
    distances_between,
    distances_within,
    kl_mgeval,
    overlap_and_divergence,
    set_distances,
)
from pianogen.evaluation.excerpts import Excerpt, Notes, no_notes
from pianogen.evaluation.features import LENGTHS, NUMBERS, VECTORS, features_of


def excerpt(*rows: tuple[float, int, float], name: str = "one") -> Excerpt:
    """Notes of (onset in quarters, pitch, duration in quarters) at 120 quarters a minute."""
    rows = tuple(sorted(rows, key=lambda row: row[:2]))
    onset, pitch, length = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    tick, ticks = (np.rint(values * 480).astype(np.int64) for values in (onset, length))
    notes = Notes(pitch.astype(np.int64), np.full(len(rows), 80), tick, ticks, tick / 960, (tick + ticks) / 960)
    return Excerpt(source="sample", name=name, title="", performance_id=None, notes=notes)


def wandering(seed: int, num: int = 60) -> Excerpt:
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.integers(0, 4, num)) / 4
    pitch = 60 + rng.integers(-12, 13, num) + seed % 5
    rows = zip(onset.tolist(), pitch.tolist(), rng.choice([0.25, 0.5, 1.0, 1.5], num).tolist(), strict=True)
    return excerpt(*rows, name=str(seed))


def slow_features(piece: Excerpt) -> dict:
    """By counting, as mgeval's core.py has them, but for what the header of `features` leaves out of it."""
    notes = list(zip(*(column.tolist() for column in piece.notes), strict=True))
    pitches = [note[0] for note in notes]
    onsets = sorted({note[4] for note in notes})
    bar = 4 * piece.ticks_per_quarter
    lengths = []
    for note in notes:
        distances = [abs(bar / 96 * length - note[3]) for length in LENGTHS]
        lengths.append(distances.index(min(distances)))
    held = [sum(note[5] - note[4] for note in notes if note[0] % 12 == k) for k in range(12)]
    steps, length_steps = np.zeros((12, 12)), np.zeros((12, 12))
    for i in range(len(notes) - 1):
        steps[pitches[i] % 12, pitches[i + 1] % 12] += 1
        length_steps[lengths[i], lengths[i + 1]] += 1
    return {
        "pitch_count": len(set(pitches)),
        "pitch_range": max(pitches) - min(pitches),
        "pitch_interval": np.mean([abs(a - b) for a, b in itertools.pairwise(pitches)]),
        "note_count": len(pitches),
        "ioi": np.mean(np.diff(onsets)),
        "pitch_class_histogram": np.array(held) / sum(held),
        "pitch_class_transitions": (steps / steps.sum()).ravel(),
        "note_length_histogram": np.bincount(lengths, minlength=12) / len(lengths),
        "note_length_transitions": (length_steps / length_steps.sum()).ravel(),
    }


@pytest.mark.parametrize("seed", range(5))
def test_features_are_those_of_counting(seed):
    piece = wandering(seed)
    found, expected = features_of(piece), slow_features(piece)
    assert list(found) == [*NUMBERS, *VECTORS] == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


def test_features_of_real_music_are_those_of_counting(real_data):
    for path in sorted((real_data / "maestro").rglob("*.midi"))[::80]:
        notes = read_notes(path).take(slice(0, 500))
        rows = zip((notes.onset_sec * 2).tolist(), notes.pitch.tolist(), (notes[2] - notes[1]) * 2, strict=True)
        piece = excerpt(*[(on, pitch, float(length)) for on, pitch, length in rows])
        found = features_of(piece)
        for name, value in slow_features(piece).items():
            assert found[name] == pytest.approx(value), name


def test_of_no_note_there_are_no_features_and_of_one_no_steps():
    assert set(features_of(excerpt()).values()) == {None}
    one = features_of(excerpt((0.0, 60, 1.0)))
    unknown = {"pitch_interval", "ioi", "pitch_class_transitions", "note_length_transitions"}
    assert {name for name, value in one.items() if value is None} == unknown
    assert one["note_length_histogram"].tolist() == np.eye(12)[2].tolist()


NUMBERS_OF_A_SAMPLE = st.lists(st.floats(0, 100), min_size=3, max_size=12).filter(lambda values: np.std(values) > 0.1)


def as_doubled(values: list[float]) -> Distances:
    return Distances(np.array(values), 2)


@given(NUMBERS_OF_A_SAMPLE, NUMBERS_OF_A_SAMPLE)
def test_overlap_and_divergences_are_those_of_scipys_densities(one, other):
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with `make bench`")
    integrate = pytest.importorskip("scipy.integrate", reason="scipy comes with `make bench`")
    # Within a set each distance stands twice.
    p, q = stats.gaussian_kde(one * 2), stats.gaussian_kde(other)
    low, high = min(*one, *other), max(*one, *other)
    sets = as_doubled(one), Distances(np.array(other), 1)
    overlap, divergence = overlap_and_divergence(*sets)
    places = np.linspace(low, high, 20001)
    expected = integrate.trapezoid(np.minimum(p(places), q(places)), places)
    assert overlap == pytest.approx(expected, abs=2e-4)
    axis = np.linspace(low, high, 1000)
    tiny = np.finfo(float).tiny
    assert divergence == pytest.approx(stats.entropy(np.maximum(p(axis), tiny), np.maximum(q(axis), tiny)), abs=1e-6)
    # mgeval: each at a thousand places of its own.
    own = [np.linspace(min(values), max(values), 1000) for values in (one, other)]
    expected = stats.entropy(np.maximum(p(own[0]), tiny), np.maximum(q(own[1]), tiny))
    assert kl_mgeval(*sets) == pytest.approx(expected, abs=1e-6)


def test_a_density_integrates_to_one():
    sample = Distances(np.array([1.0, 2.0, 4.0]), 2)
    places = np.linspace(-30, 40, 100001)
    assert np.trapezoid(density(sample, places), places) == pytest.approx(1.0)


def test_distances_are_euclidean_and_leave_out_a_piece_from_itself():
    rows = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    within = distances_within(rows)
    assert (sorted(within.values), within.num) == (pytest.approx([1.0, 18**0.5, 5.0]), 6)
    assert sorted(distances_between(rows[:2], rows[2:]).values) == pytest.approx([1.0, 18**0.5])


def rows_of(pieces: list[Excerpt]) -> list[dict]:
    return [{"notes_per_sec": float(len(piece.notes.pitch))} for piece in pieces]


def distances_of(samples: list[Excerpt], reference: list[Excerpt]) -> dict[str, dict]:
    rows = set_distances(samples, reference, rows_of(samples), rows_of(reference))
    return {row["measure"]: row for row in rows}


def test_samples_like_the_reference_overlap_more_than_others():
    reference = [wandering(seed) for seed in range(20)]
    alike = distances_of([wandering(seed) for seed in range(100, 120)], reference)
    odd = distances_of([excerpt(*[(k / 8, 30 + k % 3 + s, 0.1) for k in range(60)]) for s in range(20)], reference)
    for name in ("pitch_interval", "pitch_class_histogram", "ioi"):
        assert alike[name]["overlapping_area"] > 0.8
        # Of a set whose pieces do not differ there is no density.
        assert (odd[name]["overlapping_area"] or 0) < alike[name]["overlapping_area"]
    assert alike["pitch_interval"]["kl_divergence"] < 0.2
    assert alike["note_count"]["mean"] == 60.0
    assert "mean" not in alike["pitch_class_histogram"]


def test_a_set_against_itself_overlaps_almost_wholly():
    pieces = [wandering(seed) for seed in range(25)]
    found = distances_of(pieces, pieces)
    # Between a set and itself there are the distances of 0 as well.
    assert found["pitch_class_transitions"]["overlapping_area"] > 0.8
    assert found["pitch_interval"]["overlapping_area"] > 0.8


@pytest.mark.parametrize("num_samples, num_reference", [(0, 0), (0, 5), (5, 0), (1, 5), (5, 1), (1, 1)])
def test_sets_too_small_for_a_density_have_none(num_samples, num_reference):
    found = distances_of([wandering(k) for k in range(num_samples)], [wandering(k) for k in range(num_reference)])
    row = found["pitch_range"]
    assert (row["num_samples"], row["num_reference"]) == (num_samples, num_reference)
    if num_samples < 2 or num_reference < 1:
        assert row.get("overlapping_area") is None
    assert (row.get("mean") is None) == (num_samples == 0)


def test_pieces_all_alike_and_pieces_without_notes_have_no_density():
    same = [wandering(1)] * 4
    assert distances_of(same, same)["pitch_range"]["overlapping_area"] is None
    silent = [Excerpt(source="sample", name="x", title="", performance_id=None, notes=no_notes())] * 3
    assert distances_of(silent, same)["pitch_range"]["num_samples"] == 0
