"""Exact identities of a performance's notes, each blind to one more kind of edit.

    content_hash               pitch, velocity, onset and offset in 10 ms bins, first onset at 0
    content_hash_any_velocity  the same without velocity
    content_hash_any_key       the same with the lowest pitch moved to 0
    content_hash_any_tempo     pitches from the lowest, onsets as 1/4096 of the span, no offsets

Bins are brittle at their edges: equal hashes prove equal notes, different ones prove nothing. Drums
do not count.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

BIN_SEC = 0.01
SPAN_PARTS = 4096
LEAN = 1e-4
"""Of a bin, added before rounding: a sixteenth at 120 qpm is 12.5 bins, which noise in the last digit of a
float would round either way."""


@dataclass(frozen=True)
class ContentHashes:
    """The four identities, hexadecimal, and what a comparison of two performances needs beside them."""

    content_hash: str
    content_hash_any_velocity: str
    content_hash_any_key: str
    content_hash_any_tempo: str
    lowest_pitch: int
    span_sec: float


def content_hashes(
    pitch: np.ndarray, velocity: np.ndarray, onset_sec: np.ndarray, offset_sec: np.ndarray
) -> ContentHashes:
    """Identities of one performance.

    Args:
        pitch: MIDI numbers, shape (num_notes,), at least one.
        velocity: 1-127, shape (num_notes,).
        onset_sec: seconds, shape (num_notes,).
        offset_sec: seconds, shape (num_notes,).
    """
    pitch, velocity = pitch.astype(np.int64), velocity.astype(np.int64)
    from_start = onset_sec - onset_sec.min()
    span_sec = float(from_start.max())
    onset = _bins(from_start / BIN_SEC)
    offset = _bins((offset_sec - onset_sec.min()) / BIN_SEC)
    from_lowest = pitch - pitch.min()
    part = _bins(from_start / span_sec * SPAN_PARTS) if span_sec > 0 else onset
    return ContentHashes(
        content_hash=_hash(onset, pitch, offset, velocity),
        content_hash_any_velocity=_hash(onset, pitch, offset),
        content_hash_any_key=_hash(onset, from_lowest, offset),
        content_hash_any_tempo=_hash(part, from_lowest),
        lowest_pitch=int(pitch.min()),
        span_sec=span_sec,
    )


def _bins(position: np.ndarray) -> np.ndarray:
    return np.rint(position + LEAN).astype(np.int64)


def _hash(
    onset: np.ndarray, pitch: np.ndarray, offset: np.ndarray | None = None, velocity: np.ndarray | None = None
) -> str:
    # A row is one number, as sorting and hashing those is several times faster: 24 bits for bins of the onset, 7 for
    # the pitch, 24 for bins of the offset and 7 for the velocity. Bins beyond, 46 hours away, count as the last.
    row = np.minimum(onset, _LAST_BIN) << 38 | pitch << 31
    if offset is not None:
        row |= np.minimum(offset, _LAST_BIN) << 7
    if velocity is not None:
        row |= velocity
    return hashlib.sha256(np.sort(row).astype("<i8", copy=False).tobytes()).hexdigest()[:32]


_LAST_BIN = 2**24 - 1
