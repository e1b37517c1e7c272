"""Piano performances as events in seconds: keys go down and up, time passes, velocity changes, the pedal moves.

Times are rounded to steps of `step_ms`. Within one step the order is: keys up by pitch; pedal up; pedal down; keys down
by pitch, then by the end of the note, each after its velocity where that changes. A note lasts at least one step. A
press of the pedal that begins and ends in one step is left out.

One key-up ends the earliest of the notes of its pitch that still last. docs/tokenizers/performance.md has an example
and says what is lost.

Source: Oore et al., "This Time with Feeling" (2018), with the steps of Huang et al., "Music Transformer" (2018); the
pedal is added.
"""

from typing import Any

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, steady_music
from pianogen.midi.time import DEFAULT_MICROSECONDS_PER_QUARTER, SEC_STEPS
from pianogen.tokenizers.base import SPECIAL_TOKENS, ShiftedTokenizer, TokenBlock, check_pitches

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

TICKS_PER_QUARTER = 500
"""Of decoded music: at 120 quarters a minute a tick is a millisecond."""
FIRST_VELOCITY = 64
"""Of notes before the first velocity token."""
MAX_TIME_SHIFTS = 10_000
LAST_MS = 2**30
"""Where time stops while decoding: twelve days."""
FEW_NOTES = 32
"""Up to so many notes of one step are sorted by insertion."""


class Performance(ShiftedTokenizer):
    """Events of a performance.

    Args:
        lowest_pitch: 0-127.
        highest_pitch: from lowest_pitch to 127; notes beyond both are left out.
        step_ms: unit of time, 1-1000 milliseconds.
        max_shift_ms: the longest time shift; longer times take several.
        num_velocities: 1-127 bins of nearly equal width.
        pedal: whether the sustain pedal is written.
    """

    code = ("pianogen.midi.time",)
    clock = "seconds"

    def __init__(
        self,
        *,
        lowest_pitch: int = 21,
        highest_pitch: int = 108,
        step_ms: int = 10,
        max_shift_ms: int = 1000,
        num_velocities: int = 32,
        pedal: bool = True,
    ) -> None:
        self.name = "performance"
        self.options: dict[str, Any] = {
            "lowest_pitch": lowest_pitch,
            "highest_pitch": highest_pitch,
            "step_ms": step_ms,
            "max_shift_ms": max_shift_ms,
            "num_velocities": num_velocities,
            "pedal": pedal,
        }
        _check(self.options)
        self.pitch_range = (lowest_pitch, highest_pitch)
        attributes = ("pitch", "onset", "duration", "velocity", "pedal")
        self.carries = frozenset(a for a in attributes if a != "pedal" or pedal)
        self._velocities = _middles(num_velocities)
        pitches = range(lowest_pitch, highest_pitch + 1)
        self._num_shifts = max_shift_ms // step_ms
        self.vocab = (
            *SPECIAL_TOKENS,
            *(f"NoteOn_{pitch}" for pitch in pitches),
            *(f"NoteOff_{pitch}" for pitch in pitches),
            *(f"TimeShift_{(i + 1) * step_ms}" for i in range(self._num_shifts)),
            *(f"Velocity_{velocity}" for velocity in self._velocities),
            *(("PedalOff", "PedalOn") if pedal else ()),
        )
        # The first id of each kind, and where the last kind ends.
        counts = (len(SPECIAL_TOKENS), len(pitches), len(pitches), self._num_shifts, num_velocities, 2 * pedal)
        self._first_ids = np.cumsum(counts)
        first_on, _, end = self._first_ids[:3]
        pitches = np.arange(self.pitch_range[0], self.pitch_range[1] + 1)
        self.pitch_of_id = np.full(len(self.vocab), -1)
        self.pitch_of_id[first_on:end] = np.tile(pitches, 2)

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""
        values, edges = _encode(
            music.note_edges,
            music.pitch,
            music.velocity,
            music.onset_sec,
            music.offset_sec,
            music.press_edges if self.options["pedal"] else np.zeros_like(music.press_edges),
            music.press_tick,
            music.tempo_edges,
            music.tempos,
            music.ticks_per_quarter,
            self._first_ids,
            *self.pitch_range,
            self.options["step_ms"],
            _bins(self.options["num_velocities"]),
        )
        return TokenBlock(values.astype(self.dtype, copy=False), edges)

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """See `Tokenizer`."""
        note_edges, pitch, velocity, onset, duration, press_edges, press_tick = _decode(
            np.ascontiguousarray(tokens.values),
            tokens.edges,
            self._first_ids,
            self.pitch_range[0],
            self.options["step_ms"],
            self._velocities,
        )
        if len(order := _order(note_edges, pitch, onset, duration)):
            pitch, velocity, onset, duration = pitch[order], velocity[order], onset[order], duration[order]
        return steady_music(
            TICKS_PER_QUARTER,
            note_edges,
            pitch=pitch,
            velocity=velocity,
            onset_tick=onset,
            duration_tick=duration,
            presses=(press_edges, press_tick),
        )


def _check(options: dict[str, Any]) -> None:
    for name, value in options.items():
        kind, words = (bool, "true or false") if name == "pedal" else (int, "a whole number")
        if type(value) is not kind:
            raise SettingsError(f"tokenizer performance: {name} must be {words}, found {value!r}")
    low, high, step, longest = (options[n] for n in ("lowest_pitch", "highest_pitch", "step_ms", "max_shift_ms"))
    check_pitches("performance", low, high)
    if not 1 <= step <= 1000:
        raise SettingsError(f"tokenizer performance: step_ms must lie in 1-1000, found {step}")
    if longest % step or not 1 <= longest // step <= MAX_TIME_SHIFTS:
        raise SettingsError(
            f"tokenizer performance: max_shift_ms must be 1 to {MAX_TIME_SHIFTS} times step_ms, "
            f"found {longest} with step_ms {step}"
        )
    if not 1 <= options["num_velocities"] <= 127:
        raise SettingsError(
            f"tokenizer performance: num_velocities must lie in 1-127, found {options['num_velocities']}"
        )


def _bins(num_velocities: int) -> np.ndarray:
    """The bin of each velocity, 0-127."""
    return np.arange(128) * num_velocities // 128


def _middles(num_velocities: int) -> np.ndarray:
    """The velocity in the middle of each bin, rounded up; none is 0."""
    velocities, bins = np.arange(1, 128), _bins(num_velocities)[1:]
    lowest = np.searchsorted(bins, np.arange(num_velocities))
    highest = np.searchsorted(bins, np.arange(num_velocities), side="right") - 1
    return ((velocities[lowest] + velocities[highest] + 1) // 2).astype(np.uint8)


def _order(note_edges: np.ndarray, pitch: np.ndarray, onset: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Rows by performance, onset, pitch, duration; empty where they are so already, as valid tokens leave them."""
    # Onset, pitch and duration are below 2**30, 2**7 and 2**30.
    key = onset.astype(np.int64) << 7 | pitch
    step_back = (key[1:] < key[:-1]) | ((key[1:] == key[:-1]) & (duration[1:] < duration[:-1]))
    step_back[note_edges[1:-1][(note_edges[1:-1] > 0) & (note_edges[1:-1] < len(pitch))] - 1] = False
    if not step_back.any():
        return np.empty(0, np.int64)
    performance = np.repeat(np.arange(len(note_edges) - 1), np.diff(note_edges))
    return np.lexsort((duration, key, performance))


@njit
def _step_of(sec: float, step_ms: int) -> int:
    """The nearest step; the later one where a time lies in the middle."""
    return np.int64(np.floor(sec * 1000.0 / step_ms + 0.5))


@njit
def _encode(
    note_edges: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    press_edges: np.ndarray,
    press_tick: np.ndarray,
    tempo_edges: np.ndarray,
    tempos: np.ndarray,
    ticks_per_quarter: np.ndarray,
    first_ids: np.ndarray,
    lowest_pitch: int,
    highest_pitch: int,
    step_ms: int,
    velocity_bins: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and their edges; `first_ids` as `Performance` has them, the other arguments as `MusicBlock`."""
    num = len(note_edges) - 1
    max_shift = first_ids[3] - first_ids[2]
    most_notes, most_presses = 0, 0
    for i in range(num):
        most_notes = max(most_notes, note_edges[i + 1] - note_edges[i])
        most_presses = max(most_presses, press_edges[i + 1] - press_edges[i])
    # Of each note of one performance: onset step, pitch and end; ends with their pitches; pedal steps, down and up.
    on, ends = np.empty(most_notes, np.int64), np.empty(most_notes, np.int64)
    low_bits, bins = np.empty(most_notes, np.int64), np.empty(most_notes, np.uint8)
    pedal = np.empty(2 * most_presses, np.int64)
    edges = np.zeros(num + 1, np.int64)
    # A note has at most on, off, velocity and two shifts, a press four; long shifts are counted as they come.
    values = np.empty(5 * note_edges[num] + 4 * press_edges[num] + 64, np.uint16)
    n = 0
    for i in range(num):
        num_notes = 0
        last = 0
        for k in range(note_edges[i], note_edges[i + 1]):
            p = np.int64(pitch[k])
            if p < lowest_pitch or p > highest_pitch:
                continue
            begin = _step_of(onset_sec[k], step_ms)
            end = max(_step_of(offset_sec[k], step_ms), begin + 1)
            on[num_notes] = begin
            # One number orders the notes of a step: pitch, then end.
            low_bits[num_notes] = p << 40 | end
            bins[num_notes] = velocity_bins[velocity[k]]
            ends[num_notes] = end << 7 | p
            last = max(last, end)
            num_notes += 1
        _sort_within_steps(on[:num_notes], low_bits[:num_notes], bins[:num_notes])
        ends[:num_notes].sort()
        presses = press_tick[press_edges[i] : press_edges[i + 1]]
        num_pedal = _pedal_steps(
            presses, tempos[tempo_edges[i] : tempo_edges[i + 1]], ticks_per_quarter[i], step_ms, pedal
        )
        if num_pedal:
            last = max(last, pedal[num_pedal - 1])
        most = n + 5 * num_notes + 2 * num_pedal + last // max_shift + 1
        if most > len(values):
            larger = np.empty(max(most, len(values) * 3 // 2), np.uint16)
            larger[:n] = values[:n]
            values = larger
        n = _tell(
            on[:num_notes], low_bits[:num_notes], bins[:num_notes], ends[:num_notes], pedal[:num_pedal], first_ids,
            lowest_pitch, values, n,
        )  # fmt: skip
        edges[i + 1] = n
    return values[:n].copy(), edges


@njit
def _tell(
    on: np.ndarray,
    low_bits: np.ndarray,
    bins: np.ndarray,
    ends: np.ndarray,
    pedal: np.ndarray,
    first_ids: np.ndarray,
    lowest_pitch: int,
    values: np.ndarray,
    n: int,
) -> int:
    """Write the ids of one performance from the n-th on; where they end.

    Args:
        on: steps at which notes begin, ascending.
        low_bits: of those notes the pitch << 40 with the end.
        bins: and their velocities.
        ends: steps at which notes end << 7 with their pitches, ascending.
        pedal: steps at which the pedal goes down, up, and so on.
        first_ids: as `Performance` has them.
        lowest_pitch: that has an id.
        values: to write to.
        n: where to begin.
    """
    first_on, first_off, first_shift, first_velocity, first_pedal = first_ids[:5]
    max_shift = first_velocity - first_shift
    time, now_bin = 0, -1
    a, b, c = 0, 0, 0
    while b < len(on) or c < len(pedal):
        # Notes end after they begin, so none is left to begin when all have ended.
        time_b = ends[b] >> 7 if b < len(on) else 2**62
        time_c = pedal[c] if c < len(pedal) else 2**62
        time_a = on[a] if a < len(on) else 2**62
        then = min(time_a, time_b, time_c)
        shift = then - time
        while shift > 0:
            part = min(shift, max_shift)
            values[n] = first_shift + part - 1
            n += 1
            shift -= part
        time = max(time, then)
        if time_b == then:
            values[n] = first_off + (ends[b] & 127) - lowest_pitch
            b += 1
        elif time_c == then:
            # Down and up alternate, from down.
            values[n] = first_pedal + 1 - (c & 1)
            c += 1
        else:
            if bins[a] != now_bin:
                now_bin = bins[a]
                values[n] = first_velocity + now_bin
                n += 1
            values[n] = first_on + (low_bits[a] >> 40) - lowest_pitch
            a += 1
        n += 1
    return n


@njit
def _sort_within_steps(on: np.ndarray, low_bits: np.ndarray, bins: np.ndarray) -> None:
    """Sort the notes of each step by `low_bits`; the steps ascend already."""
    begin = 0
    while begin < len(on):
        end = begin + 1
        while end < len(on) and on[end] == on[begin]:
            end += 1
        if end - begin > FEW_NOTES:
            order = np.argsort(low_bits[begin:end], kind="mergesort")
            low_bits[begin:end] = low_bits[begin:end][order]
            bins[begin:end] = bins[begin:end][order]
        else:
            for k in range(begin + 1, end):
                low, of_k, j = low_bits[k], bins[k], k
                while j > begin and low_bits[j - 1] > low:
                    low_bits[j], bins[j] = low_bits[j - 1], bins[j - 1]
                    j -= 1
                low_bits[j], bins[j] = low, of_k
        begin = end


@njit
def _pedal_steps(
    press_tick: np.ndarray, tempos: np.ndarray, ticks_per_quarter: int, step_ms: int, pedal: np.ndarray
) -> int:
    """Fill `pedal` with the steps of down and up, one after the other; how many there are."""
    sec_per_tick = DEFAULT_MICROSECONDS_PER_QUARTER / (1e6 * ticks_per_quarter)
    start_tick, start_sec = 0, 0.0
    num, k = 0, 0
    for press in range(len(press_tick)):
        for side in range(2):
            tick = np.int64(press_tick[press, side])
            while k < len(tempos) and tempos[k, 0] <= tick:
                if tempos[k, 1] > 0:
                    start_sec += (tempos[k, 0] - start_tick) * sec_per_tick
                    start_tick = np.int64(tempos[k, 0])
                    sec_per_tick = tempos[k, 1] / (1e6 * ticks_per_quarter)
                k += 1
            sec = np.rint((start_sec + (tick - start_tick) * sec_per_tick) * SEC_STEPS) / SEC_STEPS
            pedal[num + side] = _step_of(sec, step_ms)
        if pedal[num + 1] > pedal[num]:
            num += 2
    return num


@njit
def _decode(
    values: np.ndarray,
    edges: np.ndarray,
    first_ids: np.ndarray,
    lowest_pitch: int,
    step_ms: int,
    velocities: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns of notes and presses, and their edges, as `MusicBlock` has them; notes in the order of their tokens."""
    num = len(edges) - 1
    first_on, first_off, first_shift, first_velocity, first_pedal, end_of_ids = first_ids
    num_notes, num_presses = 0, 0
    for token in values:
        num_notes += first_on <= token < first_off
        num_presses += token == first_pedal + 1
    note_edges, press_edges = np.zeros(num + 1, np.int64), np.zeros(num + 1, np.int64)
    pitch, velocity = np.empty(num_notes, np.uint8), np.empty(num_notes, np.uint8)
    onset, duration = np.empty(num_notes, np.int32), np.empty(num_notes, np.int32)
    press_tick = np.empty((num_presses, 2), np.int32)
    # The notes that last, pitch by pitch: the first, the last, and of each note the next one.
    first, final = np.empty(128, np.int64), np.empty(128, np.int64)
    following = np.empty(num_notes, np.int64)
    n, m = 0, 0
    for i in range(num):
        time, down = np.int64(0), np.int64(-1)
        now_velocity = np.uint8(FIRST_VELOCITY)
        first[:] = -1
        for k in range(edges[i], edges[i + 1]):
            token = np.int64(values[k])
            if token < first_on or token >= end_of_ids:
                continue
            if token < first_off:
                p = token - first_on
                pitch[n], velocity[n], onset[n] = lowest_pitch + p, now_velocity, time
                following[n] = -1
                if first[p] < 0:
                    first[p] = n
                else:
                    following[final[p]] = n
                final[p] = n
                n += 1
            elif token < first_shift:
                p = token - first_off
                if first[p] >= 0:
                    duration[first[p]] = max(time - onset[first[p]], step_ms)
                    first[p] = following[first[p]]
            elif token < first_velocity:
                time = min(time + (token - first_shift + 1) * step_ms, LAST_MS)
            elif token < first_pedal:
                now_velocity = velocities[token - first_velocity]
            elif token == first_pedal:
                if 0 <= down < time:
                    press_tick[m, 0], press_tick[m, 1] = down, time
                    m += 1
                down = -1
            elif down < 0:
                down = time
        for p in range(128):
            while first[p] >= 0:
                duration[first[p]] = max(time - onset[first[p]], step_ms)
                first[p] = following[first[p]]
        if 0 <= down < time:
            press_tick[m, 0], press_tick[m, 1] = down, time
            m += 1
        note_edges[i + 1], press_edges[i + 1] = n, m
    return note_edges, pitch, velocity, onset, duration, press_edges, press_tick[:m].copy()
