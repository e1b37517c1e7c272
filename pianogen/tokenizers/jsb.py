"""Four voices on a grid: on each step the pitches of soprano, alto, tenor and bass, one token each.

A note holds from the step nearest its onset to the step nearest its end, and one step at least. Notes tell of no
voice, so that voices follow from pitches: a note that is held stays in its voice; what is struck takes the voices that
are free, from high to low. Of more than four pitches the two highest and the two lowest are kept, and the others end.
docs/tokenizers/jsb.md has the rules in full, and what they lose.

Source: Boulanger-Lewandowski et al. 2012 (the chorales); Huang et al., "Music Transformer" 2018 (voice by voice).
"""

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, steady_music
from pianogen.tokenizers.base import (
    SPECIAL_TOKENS,
    ShiftedTokenizer,
    TokenBlock,
    check_ids,
    check_pitches,
    without_special,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

VOICES = "SATB"
REST_ID = len(SPECIAL_TOKENS)
SILENCE = -1
"""The pitch of a voice that rests, as in the JSON of the chorales."""
VOICE_RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))
"""Lowest and highest pitch of soprano, alto, tenor and bass in the 229 chorales of the standard split's train."""
MAX_STEPS = 2**22
"""What begins later is left out: a million quarters of 16ths, 12 hours at 1,456 quarters a minute. A file of a few
bytes can claim 2,000 times as many."""
NEVER = 2**62


class Jsb(ShiftedTokenizer):
    """Pitches of four voices, step by step.

    Args:
        steps_per_quarter: of the grid; 4 are 16ths.
        order: of the voices within a step: the letters of SATB, each once.
        voices: what says which voice sings a note: `pitches`, or `tracks` where there are four, each of which sings one
            note at a time; other music goes by pitches then too.
        onsets: whether the step on which a note is struck has a token other than those on which it is held.
        lowest_pitch: of those that are encoded.
        highest_pitch: of those that are encoded.
        velocity: of the notes that are decoded.

    Raises:
        SettingsError: an option is out of its range.
    """

    name = "jsb"
    carries = frozenset({"pitch", "onset", "duration"})

    def __init__(
        self,
        *,
        steps_per_quarter: int = 4,
        order: str = VOICES,
        voices: str = "pitches",
        onsets: bool = False,
        lowest_pitch: int = 21,
        highest_pitch: int = 108,
        velocity: int = 64,
    ) -> None:
        self.options = {
            "steps_per_quarter": steps_per_quarter,
            "order": order,
            "voices": voices,
            "onsets": onsets,
            "lowest_pitch": lowest_pitch,
            "highest_pitch": highest_pitch,
            "velocity": velocity,
        }
        for option in ("steps_per_quarter", "lowest_pitch", "highest_pitch", "velocity"):
            if type(self.options[option]) is not int:
                raise SettingsError(f"tokenizer jsb: {option} must be a whole number, found {self.options[option]!r}")
        if not 1 <= steps_per_quarter <= 96:
            raise SettingsError(f"tokenizer jsb: steps_per_quarter must lie in 1-96, found {steps_per_quarter}")
        if not isinstance(order, str) or sorted(order) != sorted(VOICES):
            raise SettingsError(f"tokenizer jsb: order must have each letter of {VOICES} once, found {order!r}")
        if voices not in ("pitches", "tracks"):
            raise SettingsError(f"tokenizer jsb: voices must be pitches or tracks, found {voices!r}")
        if type(onsets) is not bool:
            raise SettingsError(f"tokenizer jsb: onsets must be true or false, found {onsets!r}")
        check_pitches(self.name, lowest_pitch, highest_pitch)
        if not 1 <= velocity <= 127:
            raise SettingsError(f"tokenizer jsb: velocity must lie in 1-127, found {velocity}")
        self.pitch_range = (lowest_pitch, highest_pitch)
        self.reads_parts = voices == "tracks"
        kinds = ("Pitch", "Hold") if onsets else ("Pitch",)
        pitches = range(lowest_pitch, highest_pitch + 1)
        self.vocab = (*SPECIAL_TOKENS, "Rest", *(f"{kind}_{pitch}" for kind in kinds for pitch in pitches))
        self.pitch_of_id = np.array([*[-1] * (REST_ID + 1), *[*pitches] * len(kinds)])
        self._num_pitches = len(pitches)
        self._order = np.array([VOICES.index(voice) for voice in order])

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """Four tokens a step, from tick 0 to where the last voice falls silent."""
        values, edges = _encode(
            music.note_edges,
            music.ticks_per_quarter,
            music.pitch,
            music.onset_tick,
            music.duration_tick,
            self.options["steps_per_quarter"],
            *self.pitch_range,
            self._order,
            self._num_pitches * self.options["onsets"],
        )
        by_pitches = TokenBlock(values, edges)
        if not (self.reads_parts and len(music.track)):
            return by_pitches
        parts = [self._by_tracks(music, i, by_pitches[i]) for i in range(len(by_pitches))]
        return TokenBlock(np.concatenate([values[:0], *parts]), np.cumsum([0, *map(len, parts)], dtype=np.int64))

    def _by_tracks(self, music: MusicBlock, i: int, otherwise: np.ndarray) -> np.ndarray:
        """Tokens of one performance whose tracks are its voices, in their order; of another one `otherwise`."""
        notes = slice(music.note_edges[i], music.note_edges[i + 1])
        tracks, voice = np.unique(music.track[notes], return_inverse=True)
        if len(tracks) != len(VOICES):
            return otherwise
        values, is_sung = _encode_tracks(
            music.ticks_per_quarter[i],
            voice,
            music.pitch[notes],
            music.onset_tick[notes],
            music.duration_tick[notes],
            self.options["steps_per_quarter"],
            *self.pitch_range,
            np.argsort(self._order),
            self._num_pitches * self.options["onsets"],
        )
        return values if is_sung else otherwise

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """Notes in ticks of one step, at 120 quarters a minute; without `onsets` equal pitches of a voice are one."""
        edges, pitch, onset, duration = _decode(
            self._ids(tokens.values),
            np.asarray(tokens.edges),
            len(self.vocab),
            self._num_pitches,
            self.pitch_range[0],
            self._order,
            self.options["onsets"],
        )
        return steady_music(
            self.options["steps_per_quarter"],
            edges,
            pitch=pitch,
            velocity=np.full(len(pitch), self.options["velocity"], np.uint8),
            onset_tick=onset,
            duration_tick=duration,
        )

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Those that keep voices within VOICE_RANGES where they are within; other music has the range of pitches."""
        if tokens is None:
            assert music is not None
            tokens = self.encode_block(music)
        tokens = without_special(tokens)
        bounds = super().semitone_bounds(None, tokens)
        extremes = _extremes(tokens.values, tokens.edges, self._num_pitches, self.pitch_range[0], self._order)
        room = np.array(VOICE_RANGES) - extremes
        is_sung = (room[:, :, 0] <= 0).all(axis=1) & (room[:, :, 1] >= 0).all(axis=1)
        bounds[is_sung, 0] = np.maximum(bounds[is_sung, 0], room[is_sung, :, 0].max(axis=1))
        bounds[is_sung, 1] = np.minimum(bounds[is_sung, 1], room[is_sung, :, 1].min(axis=1))
        return bounds

    def bar_starts(self, tokens: np.ndarray) -> np.ndarray:
        """Every four quarters from the first step: the scheme says nothing of metres."""
        check_ids(tokens, self.vocab)
        steps = np.flatnonzero(np.asarray(tokens) >= REST_ID)[:: len(VOICES)]
        return steps[:: 4 * self.options["steps_per_quarter"]]

    def voices_of(self, tokens: np.ndarray) -> np.ndarray:
        """Pitches of soprano, alto, tenor and bass on each step, SILENCE where one rests, shape (num_steps, 4).

        PAD, BOS and EOS are passed over; voices that a last step lacks are silent.
        """
        ids = self._ids(tokens)
        ids = ids[(ids >= REST_ID) & (ids < len(self.vocab))].astype(np.int64)
        ids = np.concatenate([ids, np.full(-len(ids) % len(VOICES), REST_ID)])
        pitch = np.where(ids == REST_ID, SILENCE, (ids - (REST_ID + 1)) % self._num_pitches + self.pitch_range[0])
        voices = np.empty((len(ids) // len(VOICES), len(VOICES)), np.int16)
        voices[:, self._order] = pitch.reshape(-1, len(VOICES))
        return voices

    def _ids(self, values: np.ndarray) -> np.ndarray:
        """Of the tokenizer's type; what is no id becomes one that is passed over."""
        ids = np.asarray(values)
        return ids if ids.dtype == self.dtype else np.clip(ids, 0, 2**16 - 1).astype(self.dtype)


@njit
def _step(tick: int, ticks_per_quarter: int, steps_per_quarter: int) -> int:
    """The step nearest a tick; of two as near the later."""
    return (2 * np.int64(tick) * steps_per_quarter + ticks_per_quarter) // (2 * ticks_per_quarter)


@njit
def _encode(
    edges: np.ndarray,
    ticks_per_quarter: np.ndarray,
    pitch: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    steps_per_quarter: int,
    lowest: int,
    highest: int,
    order: np.ndarray,
    first_hold: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and edges; the token of a held pitch is `first_hold` above that of a struck one."""
    num = len(edges) - 1
    room = 0
    for i in range(num):
        tpq, end = np.int64(ticks_per_quarter[i]), 0
        for k in range(edges[i], edges[i + 1]):
            end = max(end, np.int64(onset_tick[k]) + duration_tick[k])
        room += 4 * min(_step(end, tpq, steps_per_quarter) + 1, MAX_STEPS)
    values, token_edges = np.empty(room, np.uint16), np.zeros(num + 1, np.int64)
    # What each voice sings, from and until which step, and whether it is struck on this one; what has just ended.
    sung, since, until = np.empty(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.int64)
    is_struck, gone = np.zeros(4, np.bool_), np.empty(4, np.int64)
    # What could be sung from a step on, from high to low: no more than every pitch once, and four held.
    found = np.empty((136, 5), np.int64)
    at = 0
    for i in range(num):
        tpq, k, step = np.int64(ticks_per_quarter[i]), edges[i], 0
        sung[:] = SILENCE
        gone[:] = SILENCE
        while True:
            while k < edges[i + 1] and (pitch[k] < lowest or pitch[k] > highest):
                k += 1
            begin = NEVER
            if k < edges[i + 1]:
                begin = max(_step(onset_tick[k], tpq, steps_per_quarter), step)
                if begin >= MAX_STEPS:
                    begin = NEVER
            while step < begin:
                stop = begin
                for v in range(4):
                    if sung[v] != SILENCE:
                        stop = min(stop, until[v])
                if stop == NEVER:
                    break
                at = _write(values, at, stop - step, sung, is_struck, order, REST_ID + 1 - lowest, first_hold)
                step = stop
                for v in range(4):
                    gone[v] = SILENCE
                    if until[v] <= step:
                        gone[v], sung[v] = sung[v], SILENCE
            if begin == NEVER:
                break
            k = _choose(
                found,
                sung,
                since,
                until,
                is_struck,
                gone,
                begin,
                k,
                edges[i + 1],
                tpq,
                pitch,
                onset_tick,
                duration_tick,
                steps_per_quarter,
                lowest,
                highest,
            )
        token_edges[i + 1] = at
    return values[:at].copy(), token_edges


@njit
def _encode_tracks(
    ticks_per_quarter: int,
    voice: np.ndarray,
    pitch: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    steps_per_quarter: int,
    lowest: int,
    highest: int,
    place: np.ndarray,
    first_hold: int,
) -> tuple[np.ndarray, bool]:
    """Tokens of one performance, each voice at its place in the step, and whether each sings one note at a time."""
    tpq, num_steps = np.int64(ticks_per_quarter), 0
    begins, ends = np.empty(len(voice), np.int64), np.empty(len(voice), np.int64)
    for k in range(len(voice)):
        begins[k] = _step(onset_tick[k], tpq, steps_per_quarter)
        end = _step(np.int64(onset_tick[k]) + duration_tick[k], tpq, steps_per_quarter)
        ends[k] = min(max(end, begins[k] + 1), MAX_STEPS)
        if lowest <= pitch[k] <= highest and begins[k] < MAX_STEPS:
            num_steps = max(num_steps, ends[k])
    values = np.full(4 * num_steps, REST_ID, np.uint16)
    for k in range(len(voice)):
        if lowest <= pitch[k] <= highest and begins[k] < MAX_STEPS:
            struck = np.int64(pitch[k]) - lowest + REST_ID + 1
            for step in range(begins[k], ends[k]):
                at = 4 * step + place[voice[k]]
                if values[at] != REST_ID:
                    return values, False
                values[at] = struck if step == begins[k] else struck + first_hold
    return values, True


@njit
def _write(
    values: np.ndarray,
    at: int,
    num_steps: int,
    sung: np.ndarray,
    is_struck: np.ndarray,
    order: np.ndarray,
    shift: int,
    first_hold: int,
) -> int:
    """Write steps on which nothing changes; where the tokens end then."""
    for n in range(4):
        v = order[n]
        if sung[v] == SILENCE:
            struck = held = REST_ID
        else:
            held = sung[v] + shift + first_hold
            struck = sung[v] + shift if is_struck[v] else held
        values[at + n] = struck
        for s in range(1, num_steps):
            values[at + 4 * s + n] = held
    is_struck[:] = False
    return at + 4 * num_steps


PITCH, UNTIL, TICK, VOICE, IS_STRUCK = range(5)
"""Columns of what could be sung: pitch, until which step, until which tick, voice or -1, whether it is struck."""


@njit
def _choose(
    found: np.ndarray,
    sung: np.ndarray,
    since: np.ndarray,
    until: np.ndarray,
    is_struck: np.ndarray,
    gone: np.ndarray,
    begin: int,
    k: int,
    last: int,
    tpq: int,
    pitch: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    steps_per_quarter: int,
    lowest: int,
    highest: int,
) -> int:
    """Let the voices sing the notes that begin on a step, and what they hold; the first note after."""
    for v in range(4):
        for w in range(4):
            if sung[v] != SILENCE and gone[w] == sung[v] and since[w] == since[v]:
                num_higher = 0
                for u in range(4):
                    num_higher += sung[u] > sung[v]
                n = k
                while n < last and _step(onset_tick[n], tpq, steps_per_quarter) <= begin:
                    num_higher += pitch[n] > sung[v] and pitch[n] <= highest
                    n += 1
                # Either may be the one that goes on: the one with as many voices above as there are higher pitches.
                if abs(num_higher - w) < abs(num_higher - v):
                    sung[w], until[w] = sung[v], until[v]
                    sung[v], gone[w] = SILENCE, SILENCE
    num = 0
    for v in range(4):
        if sung[v] != SILENCE:
            num = _put(found, num, sung[v])
            n = _place(found, num, sung[v])
            found[n, UNTIL], found[n, TICK], found[n, VOICE], found[n, IS_STRUCK] = until[v], NEVER, v, 0
    is_crowded = False
    while k < last:
        p = np.int64(pitch[k])
        if p < lowest or p > highest:
            k += 1
            continue
        onset = np.int64(onset_tick[k])
        if _step(onset, tpq, steps_per_quarter) > begin:
            break
        offset = onset + duration_tick[k]
        end = min(max(_step(offset, tpq, steps_per_quarter), begin + 1), MAX_STEPS)
        # Of one pitch struck again on the step, or of more than can be sung, one note is made.
        n = _place(found, num, p)
        while n >= 0 and not is_crowded and found[n, TICK] > onset:
            n = n - 1 if n and found[n - 1, PITCH] == p else -1
        if n >= 0:
            found[n, UNTIL], found[n, TICK] = max(found[n, UNTIL], end), max(found[n, TICK], offset)
            found[n, IS_STRUCK] = 1
        else:
            num = _put(found, num, p)
            n = _place(found, num, p)
            found[n, UNTIL], found[n, TICK], found[n, VOICE], found[n, IS_STRUCK] = end, offset, -1, 1
            if num > 4 and not is_crowded:
                is_crowded = True
                num = _joined(found, num)
        k += 1
    _assign(found, _outer(found, num), begin, sung, since, until, is_struck)
    return k


@njit
def _put(found: np.ndarray, num: int, p: int) -> int:
    """Make room for a pitch below those that are as high; how many there are then."""
    n = num
    while n and found[n - 1, PITCH] < p:
        for c in range(5):
            found[n, c] = found[n - 1, c]
        n -= 1
    found[n, PITCH] = p
    return num + 1


@njit
def _place(found: np.ndarray, num: int, p: int) -> int:
    """Where the last of a pitch stands, or -1."""
    n = num - 1
    while n >= 0 and found[n, PITCH] < p:
        n -= 1
    return n if n >= 0 and found[n, PITCH] == p else -1


@njit
def _joined(found: np.ndarray, num: int) -> int:
    """Make one of those of one pitch, in the voice of the first; how many there are then."""
    left = 0
    for n in range(num):
        if left and found[left - 1, PITCH] == found[n, PITCH]:
            found[left - 1, UNTIL] = max(found[left - 1, UNTIL], found[n, UNTIL])
            found[left - 1, TICK] = max(found[left - 1, TICK], found[n, TICK])
            found[left - 1, IS_STRUCK] |= found[n, IS_STRUCK]
        else:
            for c in range(5):
                found[left, c] = found[n, c]
            left += 1
    return left


@njit
def _outer(found: np.ndarray, num: int) -> int:
    """Keep the two highest and the two lowest; how many there are then."""
    if num > 4:
        for n in range(2):
            for c in range(5):
                found[2 + n, c] = found[num - 2 + n, c]
    return min(num, 4)


@njit
def _assign(
    found: np.ndarray,
    num: int,
    begin: int,
    sung: np.ndarray,
    since: np.ndarray,
    until: np.ndarray,
    is_struck: np.ndarray,
) -> None:
    """Give each a voice: held ones keep theirs."""
    sung[:] = SILENCE
    num_new, num_free = 0, 4
    for n in range(num):
        v = found[n, VOICE]
        if v >= 0:
            sung[v] = found[n, PITCH]
            num_free -= 1
        else:
            num_new += 1
    first_below, v = 0, -1
    for n in range(num):
        if found[n, VOICE] >= 0:
            first_below = max(first_below, found[n, VOICE] + 1)
            continue
        num_new -= 1
        v += 1
        while True:
            if sung[v] == SILENCE:
                num_free -= 1
                # Below what is higher, unless the lower ones need the voices that are left.
                if v >= first_below or num_free == num_new:
                    break
            v += 1
        if n and n == num - 1 and sung[3] == SILENCE:
            v = 3
        sung[v], found[n, VOICE] = found[n, PITCH], v
    for n in range(num):
        v = found[n, VOICE]
        until[v], is_struck[v] = found[n, UNTIL], found[n, IS_STRUCK] == 1
        if is_struck[v]:
            since[v] = begin


@njit
def _decode(
    values: np.ndarray,
    edges: np.ndarray,
    num_vocab: int,
    num_pitches: int,
    lowest: int,
    order: np.ndarray,
    onsets: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges, pitches, onsets and durations of the notes."""
    pitch, onset = np.empty(len(values), np.uint8), np.empty(len(values), np.int32)
    duration = np.empty(len(values), np.int32)
    note_edges = np.zeros(len(edges), np.int64)
    # What each voice sings, and its note.
    sung, note_of = np.empty(4, np.int64), np.zeros(4, np.int64)
    num = 0
    for i in range(len(edges) - 1):
        sung[:] = SILENCE
        place, step, first_of_step = 0, 0, num
        for k in range(edges[i], edges[i + 1]):
            token = np.int64(values[k])
            if token < REST_ID or token >= num_vocab:
                continue
            v = order[place]
            p = SILENCE
            if token > REST_ID:
                p = token - (REST_ID + 1)
                is_held = not onsets or p >= num_pitches
                p = p - num_pitches + lowest if p >= num_pitches else p + lowest
                if is_held and p == sung[v]:
                    duration[note_of[v]] += 1
                else:
                    n = num
                    while n > first_of_step and pitch[n - 1] > p:
                        pitch[n] = pitch[n - 1]
                        n -= 1
                    for w in range(4):
                        note_of[w] += note_of[w] >= n
                    pitch[n], onset[num], duration[num], note_of[v] = p, step, 1, n
                    num += 1
            sung[v] = p
            place += 1
            if place == 4:
                place, step, first_of_step = 0, step + 1, num
        note_edges[i + 1] = num
        _sort_unisons(pitch, onset, duration, note_edges[i], num)
    return note_edges, pitch[:num].copy(), onset[:num].copy(), duration[:num].copy()


@njit
def _sort_unisons(pitch: np.ndarray, onset: np.ndarray, duration: np.ndarray, first: int, last: int) -> None:
    """Notes struck together on one pitch, of which there are few, by duration."""
    for k in range(first + 1, last):
        n = k
        while n > first and pitch[n] == pitch[n - 1] and onset[n] == onset[n - 1] and duration[n] < duration[n - 1]:
            duration[n], duration[n - 1] = duration[n - 1], duration[n]
            n -= 1


@njit
def _extremes(
    values: np.ndarray, edges: np.ndarray, num_pitches: int, first_pitch: int, order: np.ndarray
) -> np.ndarray:
    """Lowest and highest pitch of each voice, shape (num_performances, 4, 2); 127 and 0 of one that rests."""
    found = np.empty((len(edges) - 1, len(order), 2), np.int64)
    for i in range(len(edges) - 1):
        found[i, :, 0], found[i, :, 1] = 127, 0
        for n in range(edges[i], edges[i + 1]):
            if values[n] != REST_ID:
                pitch = (np.int64(values[n]) - (REST_ID + 1)) % num_pitches + first_pitch
                voice = order[(n - edges[i]) % len(order)]
                found[i, voice, 0] = min(found[i, voice, 0], pitch)
                found[i, voice, 1] = max(found[i, voice, 1], pitch)
    return found
