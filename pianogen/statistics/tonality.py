"""The key of a performance, by the profile that fits the time its pitch classes are held.

Source: probe-tone profiles of Krumhansl and Kessler 1982; the algorithm of Krumhansl and Schmuckler (Krumhansl 1990).
"""

import numpy as np

MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""From the tonic up, by semitones."""

MODES = ("major", "minor")
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
"""Spelled with the fewer accidentals; of equally many, the way that is more often written."""
_FIFTHS = {
    "major": ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"),
    "minor": ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#"),
}
"""Tonics of the key signatures from seven flats to seven sharps."""

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))


def key_correlations(class_sec: np.ndarray) -> np.ndarray:
    """Correlation of each performance with each key.

    Args:
        class_sec: seconds that each pitch class is held, shape (num_performances, 12).

    Returns:
        Shape (num_performances, 24): major keys from C up, then minor keys; NaN where all classes are held alike.
    """
    profiles = np.array([np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)])
    profiles = profiles - profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    centred = class_sec - class_sec.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    # Not a matrix product, whose sums depend on the machine's library.
    products = (centred[:, None, :] * profiles[None, :, :]).sum(axis=2)
    return np.where(norm > 0, products / np.where(norm > 0, norm, 1), np.nan)


def scale_shares(class_counts: np.ndarray) -> np.ndarray:
    """Largest share of the notes that lie within one major or natural minor scale, shape (num_performances,).

    Args:
        class_counts: notes of each pitch class, shape (num_performances, 12).
    """
    masks = np.zeros((24, 12), np.int64)
    for mode, scale in enumerate(_SCALES):
        for root in range(12):
            masks[mode * 12 + root, [(root + step) % 12 for step in scale]] = 1
    num_notes = class_counts.sum(axis=1)
    most = (class_counts[:, None, :] * masks[None, :, :]).sum(axis=2).max(axis=1)
    return np.where(num_notes > 0, most / np.maximum(num_notes, 1), np.nan)


def key_name(tonic: int, mode: str) -> str:
    """The key as it is written, e.g. `Eb major`."""
    return f"{TONICS[mode][tonic]} {mode}"


def signature_name(sharps: int, mode: str) -> str:
    """The key of a key signature; flats are negative."""
    return f"{_FIFTHS[mode][sharps + 7]} {mode}"
