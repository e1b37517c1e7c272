"""Structureness: how well some segment of a piece explains the rest of it, by the length of the segment.

    structure_short   highest fitness of a segment of 3 to 8 seconds      0-1
    structure_mid     the same of 8 to 15 seconds                         0-1
    structure_long    the same from 15 seconds on                         0-1

The fitness of a segment is the harmonic mean of two: how well the rest of the piece repeats it, and how much of the
piece its repeats cover; both less what the segment says of itself. They are read off the best family of paths
through the segment's columns of the self-similarity matrix. 0 where the piece is shorter than two segments.

The matrix: frames of one second, longer ones where a piece has more than `MAX_FRAMES`; of each the time that pitch
classes are held, of length 1, alike in all classes where nothing is; products of the frames with those of every
transposition, smoothed along diagonals of `SMOOTHED` frames to both sides; the highest quarter of the values as they
are between 0 and 1, the others a penalty of -2; the diagonal 1.

Source: structureness indicators, Wu and Yang, "The Jazz Transformer on the Front Line" (ISMIR 2020), section 4; the
fitness, Mueller, Jiang and Grosche, "A Robust Fitness Measure for Capturing Repetitions in Music Recordings With
Applications to Audio Thumbnailing" (2013). Theirs is of audio at two frames a second, with seven tempos: ours is read
off the notes, at one tempo, and equals theirs from the matrix on.
"""

from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit

# pyright: reportArgumentType=false
# Its scalars are what numba makes of them.

FRAME_SEC = 1.0
MAX_FRAMES = 150
"""The time that the fitness of all segments takes grows with the fourth power of it."""
SMOOTHED = 4
KEPT = 0.25
PENALTY = -2.0
BOUNDS = {"structure_short": (3.0, 8.0), "structure_mid": (8.0, 15.0), "structure_long": (15.0, np.inf)}


class Fitness(NamedTuple):
    """Of each segment by its length less one and its first frame, shape (num_frames, num_frames)."""

    values: np.ndarray
    frame_sec: float


def measure_structure(pitch: np.ndarray, onset_sec: np.ndarray, offset_sec: np.ndarray) -> dict[str, float | None]:
    """The measures of the header by name; None without notes.

    Args:
        pitch: MIDI numbers, shape (num_notes,).
        onset_sec: seconds.
        offset_sec: seconds.
    """
    if not len(pitch):
        return dict.fromkeys(BOUNDS)
    chroma, frame_sec = frames_of(pitch, onset_sec, offset_sec)
    fitness = Fitness(segment_fitness(similarity(chroma)), frame_sec)
    return {name: structureness(fitness, *bounds) for name, bounds in BOUNDS.items()}


def structureness(fitness: Fitness, at_least_sec: float, at_most_sec: float) -> float:
    """Highest fitness of a segment between two lengths; 0 where none is that long.

    Source: MusDr's compute_structure_indicator.
    """
    first = max(int(at_least_sec / fitness.frame_sec) - 1, 0)
    last = len(fitness.values) if np.isinf(at_most_sec) else int(at_most_sec / fitness.frame_sec)
    values = fitness.values[first : max(last, first + 1)]
    return float(np.clip(values.max(initial=0.0), 0.0, 1.0))


def frames_of(pitch: np.ndarray, onset_sec: np.ndarray, offset_sec: np.ndarray) -> tuple[np.ndarray, float]:
    """Pitch classes by frame, shape (num_frames, 12), each of length 1, and how long a frame is.

    Arguments as of `measure_structure`, one note at least.
    """
    begin = onset_sec.min()
    duration = max(float(offset_sec.max() - begin), 1e-9)
    frame_sec = max(FRAME_SEC, duration / MAX_FRAMES)
    num = max(1, int(np.ceil(duration / frame_sec - 1e-9)))
    held = _held(pitch.astype(np.int64), (onset_sec - begin) / frame_sec, (offset_sec - begin) / frame_sec, num)
    norm = np.linalg.norm(held, axis=1, keepdims=True)
    return np.where(norm > 0, held / np.where(norm > 0, norm, 1), 1 / np.sqrt(12)), frame_sec


@njit
def _held(pitch, onset, offset, num):
    """Time that each pitch class is held in each frame."""
    held = np.zeros((num, 12))
    for k in range(len(pitch)):
        for n in range(int(onset[k]), min(int(offset[k]) + 1, num)):
            held[n, pitch[k] % 12] += max(0.0, min(offset[k], n + 1) - max(onset[k], n))
    return held


def similarity(chroma: np.ndarray) -> np.ndarray:
    """The self-similarity matrix of the header, shape (num_frames, num_frames)."""
    num = len(chroma)
    best = np.zeros((num, num))
    for semitones in range(12):
        # Sums that do not depend on the machine's library.
        product = (chroma[:, None, :] * np.roll(chroma, semitones, axis=1)[None, :, :]).sum(axis=2)
        for step in (1, -1):
            best = np.maximum(best, _along_diagonals(product, step))
    highest = np.sort(best, axis=None)[min(round(best.size * (1 - KEPT)), best.size - 1)]
    is_kept, low, high = best >= highest, highest, best.max()
    scaled = (best - low) / (high - low) if high > low else np.ones_like(best)
    matrix = np.where(is_kept, scaled, PENALTY)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _along_diagonals(matrix: np.ndarray, step: int) -> np.ndarray:
    """The mean of `SMOOTHED` values along a diagonal, forwards or backwards; beyond the edges they are 0."""
    num = len(matrix)
    total = np.zeros_like(matrix)
    for k in range(min(SMOOTHED, num)):
        if step > 0:
            total[: num - k, : num - k] += matrix[k:, k:]
        else:
            total[k:, k:] += matrix[: num - k, : num - k]
    return total / SMOOTHED


@njit
def segment_fitness(matrix: np.ndarray) -> np.ndarray:
    """Fitness of every segment: `values` of `Fitness`.

    The best family of paths through the columns of a segment is found row by row: a path climbs from its first column
    to its last by steps of (1, 1), (2, 1) and (1, 2), and between paths rows are passed over. With the score of
    the best family up to a cell go the number of its cells, the rows that its finished paths cover, and the row in
    which the path that is under way began.

    Args:
        matrix: similarity of frames, at most 1, 1 on the diagonal.
    """
    num = len(matrix)
    out = np.zeros((num, num))
    # The best score, and what goes with it, of the row and of the two before, by column; column 0 is between paths.
    score, cells, covered, began = (
        np.empty((3, num + 1)),
        np.empty((3, num + 1)),
        np.empty((3, num + 1)),
        np.empty((3, num + 1)),
    )
    for length in range(1, num + 1):
        for start in range(num - length + 1):
            for n in range(num):
                row, before, earlier = n % 3, (n - 1) % 3, (n - 2) % 3
                if n == 0:
                    score[row, 0], cells[row, 0], covered[row, 0], began[row, 0] = 0.0, 0.0, 0.0, 0.0
                else:
                    # Of equals the elevator stays where it is.
                    source = length if score[before, length] > score[before, 0] else 0
                    score[row, 0], cells[row, 0] = score[before, source], cells[before, source]
                    covered[row, 0] = covered[before, source]
                    if source:
                        covered[row, 0] += n - began[before, source]
                score[row, 1] = score[row, 0] + matrix[n, start]
                cells[row, 1], covered[row, 1], began[row, 1] = cells[row, 0] + 1, covered[row, 0], n
                for m in range(2, length + 1):
                    best, r, c = -np.inf, -1, -1
                    if n > 0 and score[before, m - 1] > best:
                        best, r, c = score[before, m - 1], before, m - 1
                    if n > 1 and score[earlier, m - 1] > best:
                        best, r, c = score[earlier, m - 1], earlier, m - 1
                    if n > 0 and m > 2 and score[before, m - 2] > best:
                        best, r, c = score[before, m - 2], before, m - 2
                    score[row, m] = best + matrix[n, start + m - 1]
                    if r >= 0:
                        cells[row, m], covered[row, m], began[row, m] = cells[r, c] + 1, covered[r, c], began[r, c]
            last = (num - 1) % 3
            total, num_cells, rows = score[last, 0], cells[last, 0], covered[last, 0]
            if score[last, length] >= total:
                total, num_cells = score[last, length], cells[last, length]
                rows = covered[last, length] + num - began[last, length]
            normal = (total - length) / (num_cells + 1e-16)
            coverage = (rows - length) / num
            out[length - 1, start] = 2 * normal * coverage / (normal + coverage + 1e-16)
    return out
