"""What a piece is like in the terms of Yang and Lerch (2020): numbers, and vectors that are compared as a whole.

    pitch_count           different pitches                                                      pitches
    pitch_range           highest less lowest                                                    semitones
    pitch_interval        mean size of the step from a note to the next                          semitones
    note_count            notes                                                                  notes
    ioi                   mean time from an onset to the next; several at one time are none      seconds
    pitch_class_histogram    time that each pitch class is held, by all of it                    12 shares
    pitch_class_transitions  steps from pitch class to pitch class, by all of them               144 shares
    note_length_histogram    notes by the nearest of 12 lengths of a bar of 4/4, by all of them  12 shares
    note_length_transitions  steps from length to length, by all of them                         144 shares

Notes are ordered by onset, then pitch. The lengths, in 96ths of a bar: 96, 48, 24, 12, 6 (whole to 16th), 72, 36, 18, 9
(dotted half to dotted 16th), 32, 16, 8 (half, quarter and eighth of a triplet); of two equally near ones the first.

Source: Yang and Lerch, "On the evaluation of generative models in music" (Neural Computing and Applications 32, 2020),
section 3, and mgeval's core.py. There pitch classes are weighted by velocity as well; transitions count only where a
note begins within 50 ms of another's end, and are not divided by their number; onsets that several notes share count
several times. All of these measure what a tokenizer without velocity, or a chord, is like, and not the music.
"""

import numpy as np

from pianogen.evaluation.excerpts import Excerpt

LENGTHS = np.array([96, 48, 24, 12, 6, 72, 36, 18, 9, 32, 16, 8], np.float64)
"""In 96ths of a bar."""
QUARTERS_PER_BAR = 4
NUMBERS = ("pitch_count", "pitch_range", "pitch_interval", "note_count", "ioi")
VECTORS = (
    "pitch_class_histogram",
    "pitch_class_transitions",
    "note_length_histogram",
    "note_length_transitions",
)


def features_of(excerpt: Excerpt) -> dict[str, float | np.ndarray | None]:
    """The features of the header by name; None where there are too few notes for one."""
    notes = excerpt.notes
    pitch, num = notes.pitch, len(notes.pitch)
    if not num:
        return dict.fromkeys((*NUMBERS, *VECTORS))
    onsets = np.unique(notes.onset_sec)
    unit = QUARTERS_PER_BAR * excerpt.ticks_per_quarter / 96
    length = np.abs(LENGTHS[None, :] - (notes.duration_tick / unit)[:, None]).argmin(axis=1)
    return {
        "pitch_count": float(len(np.unique(pitch))),
        "pitch_range": float(pitch.max() - pitch.min()),
        "pitch_interval": float(np.abs(np.diff(pitch)).mean()) if num > 1 else None,
        "note_count": float(num),
        "ioi": float(np.diff(onsets).mean()) if len(onsets) > 1 else None,
        "pitch_class_histogram": _shares(
            np.bincount(pitch % 12, weights=notes.offset_sec - notes.onset_sec, minlength=12)
        ),
        "pitch_class_transitions": _transitions(pitch % 12),
        "note_length_histogram": _shares(np.bincount(length, minlength=len(LENGTHS)).astype(np.float64)),
        "note_length_transitions": _transitions(length),
    }


def _transitions(classes: np.ndarray) -> np.ndarray | None:
    """Steps from each of 12 classes to each, by all of them, shape (144,)."""
    return _shares(np.bincount(classes[:-1] * 12 + classes[1:], minlength=144).astype(np.float64))


def _shares(weights: np.ndarray) -> np.ndarray | None:
    total = weights.sum()
    return weights / total if total > 0 else None
