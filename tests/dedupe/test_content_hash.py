import dataclasses
from typing import NamedTuple

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from pianogen.dedupe.content_hash import ContentHashes, content_hashes

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


@given(rows, st.floats(0, 5000))
def test_silence_before_the_first_note_changes_no_identity(rows, shift_sec):
    notes = notes_of(rows)
    later = notes._replace(onset_sec=notes.onset_sec + shift_sec, offset_sec=notes.offset_sec + shift_sec)
    assert same(hashes(notes), hashes(later)) == ALL


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_notes_changes_nothing(rows, random):
    assert hashes(notes_of(random.sample(rows, len(rows)))) == hashes(notes_of(rows))


@given(rows, st.integers(1, 126))
def test_velocity_matters_to_one_identity_alone(rows, step):
    notes = notes_of(rows)
    touched = notes._replace(velocity=(notes.velocity - 1 + step) % 127 + 1)
    assert same(hashes(notes), hashes(touched)) == ALL - {"content_hash"}


@given(rows, st.integers(-30, 37).filter(bool))
def test_transposition_leaves_the_two_identities_without_key(rows, semitones):
    notes = notes_of(rows)
    before, after = hashes(notes), hashes(notes._replace(pitch=notes.pitch + semitones))
    assert same(before, after) == {"any_key", "any_tempo"}
    assert after.lowest_pitch - before.lowest_pitch == semitones


@given(rows, st.sampled_from([0.25, 0.5, 0.8, 1.25, 1.5, 2, 3]))
def test_another_tempo_leaves_the_identity_without_tempo(rows, ratio):
    notes = notes_of(rows)
    slower = notes._replace(onset_sec=notes.onset_sec * ratio, offset_sec=notes.offset_sec * ratio)
    before, after = hashes(notes), hashes(slower)
    assert same(before, after) == {"any_tempo"}
    assert np.isclose(after.span_sec, before.span_sec * ratio)


@given(rows)
def test_one_note_of_another_pitch_changes_every_identity(rows):
    highest = max(range(len(rows)), key=lambda i: rows[i][1])
    assume(min(row[1] for row in rows) < rows[highest][1])
    onset, pitch, duration, velocity = rows[highest]
    changed = [*rows[:highest], (onset, pitch + 1, duration, velocity), *rows[highest + 1 :]]
    assert same(hashes(notes_of(rows)), hashes(notes_of(changed))) == set()


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
