"""What tokens leave unsaid of music, in bits: the length of a code that makes the piece itself of what they decode to.

A scheme that drops detail has less to predict, so that fewer bits are no merit. The bits of its tokens and those of the
code below together write one and the same piece, whatever the scheme: sums of both compare all tokenizers. They are an
upper bound of what the piece takes, since the code is simple and knows no music.

The piece is its notes without drums (pitch, velocity, onset and end in bins of 10 ms) and the presses of its sustain
pedal (down and up in bins). The source's tempo map is taken as given, so what a scheme says of tempo, metre and program
is not counted. From the decoded music to the piece:

1. Decoded notes are paired with those of the source (`matching`). Whether all are, and none of the source is left: 1
   bit. If not: how many are paired and which, lb(d + 1) + lb C(d, m) bits of m paired notes of d.
2. Errors of paired notes in onset, duration and velocity, each by the law of `_errors`.
3. Notes of the source that are left: their number by Elias's gamma code, the bins that the music has by the same code,
   which pitches begin where, lb C(128 · bins + n - 1, n), then durations and velocities by `_errors`.
4. Presses: as many as decoded, with errors of down and up by `_errors`; or all anew, as gaps and lengths by `_errors`.
   Which, 1 bit; the number by the gamma code.

`_errors` is the cheaper of two laws (1 bit): all are zero; or a centre (its sign and gamma code) and a width (which of
`WIDTHS`), each error e then taking -lb of (1 - q) / (1 + q) · q^|e - centre| bits, q = exp(-1 / width).

Source: two-part codes, Rissanen, "Modeling by shortest data description" (1978); the gamma code, Elias, "Universal
codeword sets" (1975). What is coded how is this project's own.
"""

import math

import numpy as np

from pianogen.midi.blocks import MusicBlock
from pianogen.round_trips.decoded import decoded_seconds
from pianogen.round_trips.matching import NUM_PITCHES, pair_notes
from pianogen.tokenizers.base import Tokenizer

BIN_SEC = 0.01
WIDTHS = 2.0 ** np.arange(-3, 21)
"""Of errors, in bins or velocities."""
_LB = 1 / math.log(2)


def residual_bits(tokenizer: Tokenizer, source: MusicBlock, decoded: MusicBlock) -> np.ndarray:
    """Bits that make each performance of what its tokens decode to, float64, shape (num_performances,).

    Args:
        tokenizer: that encoded and decoded.
        source: what was encoded.
        decoded: what came back.
    """
    onset_sec, offset_sec = decoded_seconds(tokenizer, decoded, source)
    mates = pair_notes(
        source.note_edges,
        source.pitch,
        source.onset_sec,
        source.offset_sec - source.onset_sec,
        decoded.note_edges,
        decoded.pitch,
        onset_sec,
        offset_sec - onset_sec,
    )
    theirs = _columns(onset_sec, offset_sec, decoded.velocity)
    ours = _columns(source.onset_sec, source.offset_sec, source.velocity)
    bits = np.zeros(len(source))
    for i in range(len(source)):
        notes, found = (slice(*block.note_edges[i : i + 2]) for block in (source, decoded))
        bits[i] = _note_bits(ours[:, notes], source.pitch[notes], theirs[:, found], mates[found] - notes.start)
        bits[i] += _press_bits(_presses(source, source, i), _presses(decoded, source, i, tokenizer.clock))
    return bits


def _bins(sec: np.ndarray) -> np.ndarray:
    return np.floor(sec / BIN_SEC + 0.5).astype(np.int64)


def _columns(onset_sec: np.ndarray, offset_sec: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Onset and duration in bins, and velocity, int64, shape (3, num_notes)."""
    onset = _bins(onset_sec)
    return np.stack((onset, _bins(offset_sec) - onset, velocity.astype(np.int64)))


def _presses(block: MusicBlock, source: MusicBlock, i: int, clock: str = "quarters") -> np.ndarray:
    """When the sustain pedal of a performance goes down and comes up, bins, shape (num_presses, 2)."""
    ticks = block.press_tick[block.press_edges[i] : block.press_edges[i + 1]].astype(np.float64)
    if clock == "seconds":
        return _bins(block[i].tempo_map.seconds(ticks))
    ratio = source.ticks_per_quarter[i] / block.ticks_per_quarter[i]
    return _bins(source[i].tempo_map.seconds(ticks * ratio))


def _note_bits(ours: np.ndarray, pitch: np.ndarray, theirs: np.ndarray, mates: np.ndarray) -> float:
    """Bits of the notes of a performance; `mates` of a decoded note is its place in ours, below 0 where it has none."""
    num_decoded = theirs.shape[1]
    paired = np.flatnonzero(mates >= 0)
    is_left = np.ones(len(pitch), bool)
    is_left[mates[paired]] = False
    bits = 1.0
    for error in ours[:, mates[paired]] - theirs[:, paired]:
        bits += _errors(error)
    if len(paired) == num_decoded and not is_left.any():
        return bits
    bits += math.log2(num_decoded + 1) + _lb_choose(num_decoded, len(paired))
    left, num_left = ours[:, is_left], int(is_left.sum())
    bits += _gamma(num_left)
    if num_left:
        num_bins = int(left[0].max()) + 1
        bits += _gamma(num_bins) + _lb_choose(NUM_PITCHES * num_bins + num_left - 1, num_left)
        bits += _errors(left[1]) + _errors(left[2])
    return bits


def _press_bits(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Bits of the presses of a performance, (num_presses, 2) each."""
    anew = _gamma(len(ours)) + _errors(np.diff(ours[:, 0], prepend=0)) + _errors(ours[:, 1] - ours[:, 0])
    if len(ours) != len(theirs):
        return 1.0 + anew
    return 1.0 + min(anew, sum(_errors(error) for error in (ours - theirs).T))


def _errors(error: np.ndarray) -> float:
    """Bits of whole numbers by the law of the module; those of no numbers are none."""
    if not len(error):
        return 0.0
    if not error.any():
        return 1.0
    centre = int(np.median(error))
    q = np.exp(-1 / WIDTHS)
    each = np.log((1 + q) / (1 - q)) * _LB
    size = np.abs(error - centre).sum()
    return (
        1.0
        + 1.0
        + _gamma(abs(centre))
        + math.log2(len(WIDTHS))
        + float((len(error) * each + size * _LB / WIDTHS).min())
    )


def _gamma(number: int) -> float:
    """Bits of a whole number from 0 on by Elias's gamma code."""
    return 2.0 * math.floor(math.log2(number + 1)) + 1.0


def _lb_choose(n: int, k: int) -> float:
    """The binary logarithm of n over k."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) * _LB
