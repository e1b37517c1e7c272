import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pianogen.dedupe.content_hash import BIN_SEC, LEAN, SPAN_PARTS, ContentHashes, content_hashes

SIXTEENTH_SEC = 0.125
"""At 120 quarters a minute: 12.5 bins, so every other onset lies on the edge of two."""


class Notes(NamedTuple):
    pitch: np.ndarray
    velocity: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray


note = st.tuples(st.integers(0, 200), st.integers(30, 90), st.integers(1, 16), st.integers(1, 127))
rows = st.lists(note, min_size=1, max_size=40, unique_by=lambda row: row[:2])


def notes_of(rows) -> Notes:
    """Notes from (onset in sixteenths, pitch, duration in sixteenths, velocity)."""
    onset, pitch, duration, velocity = np.array(rows).T
    return Notes(pitch, velocity, onset * SIXTEENTH_SEC, (onset + duration) * SIXTEENTH_SEC)


def hashes(notes: Notes) -> ContentHashes:
    return content_hashes(*notes)


def same(a: ContentHashes, b: ContentHashes) -> set[str]:
    """Which of the identities agree, by the last words of their names."""
    names = [field.name for field in dataclasses.fields(a) if field.name.startswith("content_hash")]
    return {name.removeprefix("content_hash_") for name in names if getattr(a, name) == getattr(b, name)}


ALL = {"content_hash", "any_velocity", "any_key", "any_tempo"}


@settings(deadline=None)
@given(rows, st.floats(0, 5000))
def test_silence_before_the_first_note_changes_no_identity(rows, shift_sec):
    notes = notes_of(rows)
    later = notes._replace(onset_sec=notes.onset_sec + shift_sec, offset_sec=notes.offset_sec + shift_sec)
    assert same(hashes(notes), hashes(later)) == ALL


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_notes_changes_nothing(rows, random):
    assert hashes(notes_of(random.sample(rows, len(rows)))) == hashes(notes_of(rows))


@settings(deadline=None)
@given(rows, st.integers(1, 126))
def test_velocity_matters_to_one_identity_alone(rows, step):
    notes = notes_of(rows)
    touched = notes._replace(velocity=(notes.velocity - 1 + step) % 127 + 1)
    assert same(hashes(notes), hashes(touched)) == ALL - {"content_hash"}


@settings(deadline=None)
@given(rows, st.integers(-30, 37).filter(bool))
def test_transposition_leaves_the_two_identities_without_key(rows, semitones):
    notes = notes_of(rows)
    before, after = hashes(notes), hashes(notes._replace(pitch=notes.pitch + semitones))
    assert same(before, after) == {"any_key", "any_tempo"}
    assert after.lowest_pitch - before.lowest_pitch == semitones


@settings(deadline=None)
@given(rows, st.sampled_from([0.25, 0.5, 0.8, 1.25, 1.5, 2, 3]))
def test_another_tempo_leaves_the_identity_without_tempo(rows, ratio):
    notes = notes_of(rows)
    slower = notes._replace(onset_sec=notes.onset_sec * ratio, offset_sec=notes.offset_sec * ratio)
    before, after = hashes(notes), hashes(slower)
    assert same(before, after) == {"any_tempo"}
    assert np.isclose(after.span_sec, before.span_sec * ratio)


@settings(deadline=None)
@given(rows)
def test_one_note_of_another_pitch_changes_every_identity(rows):
    highest = max(range(len(rows)), key=lambda i: rows[i][1])
    assume(min(row[1] for row in rows) < rows[highest][1])
    onset, pitch, duration, velocity = rows[highest]
    changed = [*rows[:highest], (onset, pitch + 1, duration, velocity), *rows[highest + 1 :]]
    assert same(hashes(notes_of(rows)), hashes(notes_of(changed))) == set()


@settings(deadline=None)
@given(rows, st.data())
def test_one_note_less_changes_every_identity(rows, data):
    assume(len(rows) > 1)
    gone = data.draw(st.integers(0, len(rows) - 1))
    assert same(hashes(notes_of(rows)), hashes(notes_of(rows[:gone] + rows[gone + 1 :]))) == set()


def test_one_later_onset_changes_every_identity():
    rows = [(i, 60 + i, 2, 80) for i in range(8)]
    moved = [*rows[:4], (5, 64, 1, 80), *rows[5:]]
    assert same(hashes(notes_of(rows)), hashes(notes_of(moved))) == set()


def test_a_shorter_note_keeps_only_the_identity_that_does_not_look_at_offsets():
    rows = [(i, 60 + i, 2, 80) for i in range(8)]
    shorter = [*rows[:4], (4, 64, 1, 80), *rows[5:]]
    assert same(hashes(notes_of(rows)), hashes(notes_of(shorter))) == {"any_tempo"}


def in_bins(notes: Notes) -> dict[str, list[tuple[int, ...]]]:
    """What each identity stands for, by plain Python."""
    first, lowest = min(notes.onset_sec.tolist()), min(notes.pitch.tolist())
    span = max(notes.onset_sec.tolist()) - first

    def to_bin(sec: float) -> int:
        return round((sec - first) / BIN_SEC + LEAN)

    found: dict[str, list[tuple[int, ...]]] = {name: [] for name in ALL}
    for pitch, velocity, onset, offset in zip(*(column.tolist() for column in notes), strict=True):
        bins = to_bin(onset), to_bin(offset)
        part = round((onset - first) / span * SPAN_PARTS + LEAN) if span else bins[0]
        found["content_hash"].append((*bins, pitch, velocity))
        found["any_velocity"].append((*bins, pitch))
        found["any_key"].append((*bins, pitch - lowest))
        found["any_tempo"].append((part, pitch - lowest))
    return {name: sorted(rows) for name, rows in found.items()}


few_notes = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 60, 127]), st.integers(1, 2), st.sampled_from([1, 127])),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(few_notes, few_notes)
def test_identities_agree_where_what_they_stand_for_does_and_nowhere_else(rows, others):
    one, other = notes_of(rows), notes_of(others)
    mine, its = in_bins(one), in_bins(other)
    assert same(hashes(one), hashes(other)) == {name for name in ALL if mine[name] == its[name]}


@settings(deadline=None)
@given(rows, st.integers(0, 2**31))
def test_noise_in_the_last_digits_changes_no_identity(rows, seed):
    notes = notes_of(rows)
    noise = np.random.default_rng(seed).uniform(-1e-9, 1e-9, (2, len(rows)))
    noisy = notes._replace(onset_sec=notes.onset_sec + noise[0], offset_sec=notes.offset_sec + noise[1])
    # Where the span is cut into parts, one may lie on an edge that a hair more or less moves it over.
    assert same(hashes(notes), hashes(noisy)) >= ALL - {"any_tempo"}


@pytest.mark.parametrize("hours", [40, 60, 1000])
def test_notes_two_days_away_spoil_no_other_column(hours):
    far = hours * 3600.0
    notes = Notes(np.array([60, 62, 64]), np.array([80, 80, 80]), np.array([0.0, 1.0, far]), np.array([1, 2, far + 1]))
    assert same(hashes(notes), hashes(notes._replace(pitch=np.array([60, 62, 65])))) == set()
    assert same(hashes(notes), hashes(notes._replace(velocity=np.array([80, 80, 81])))) == ALL - {"content_hash"}
    # Beyond the last bin all onsets are one.
    later = notes._replace(onset_sec=np.array([0.0, 1.0, far + 600]), offset_sec=np.array([1, 2, far + 601]))
    assert ("content_hash" in same(hashes(notes), hashes(later))) == (hours > 46)


def test_one_note_has_identities_and_no_span():
    one = hashes(Notes(np.array([0]), np.array([1]), np.array([3.0]), np.array([3.0])))
    assert (one.lowest_pitch, one.span_sec) == (0, 0.0)
    other = hashes(Notes(np.array([127]), np.array([127]), np.array([9.0]), np.array([9.0])))
    assert same(one, other) == {"any_key", "any_tempo"}
    for name in ("content_hash", "content_hash_any_velocity", "content_hash_any_key", "content_hash_any_tempo"):
        assert len(getattr(one, name)) == 32
        assert int(getattr(one, name), 16) >= 0


def test_narrow_columns_are_as_good_as_wide_ones():
    notes = notes_of([(i, 100 + i, 2, 127) for i in range(20)])
    narrow = notes._replace(pitch=notes.pitch.astype(np.uint8), velocity=notes.velocity.astype(np.uint8))
    assert hashes(narrow) == hashes(notes)
