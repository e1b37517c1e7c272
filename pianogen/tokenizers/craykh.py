"""Cary-compressed text: a frame is the characters of the pitches that sound, and a space ends it.

A note begins in the frame of its onset. Its last frame is left blank, so that a pitch struck again is told from one
that is held; a note of one frame, or less, fills one. Seconds count, not ticks, so that tempo changes are kept.

Source: carykh/caryCompressionMIDICSV (Cary Huang, 2017), whose differences are in docs/tokenizers/craykh.md.
"""

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, steady_music
from pianogen.midi.time import SEC_STEPS
from pianogen.tokenizers.base import SPECIAL_TOKENS, ShiftedTokenizer, TokenBlock

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

FIRST_CHARACTER, FIRST_PITCH = 33, 22
"""`!` is pitch 22: pitch 21 would be the space."""
LAST_PITCH = FIRST_PITCH + 126 - FIRST_CHARACTER
"""`~`, the last character that can be printed."""

SPACE_ID = len(SPECIAL_TOKENS)
TICKS_PER_QUARTER = 500
"""Of what is decoded: at 120 quarters a minute a tick is a millisecond."""
SLACK_SEC = 1 / SEC_STEPS
"""Seconds are rounded to steps of the lake: what begins with a frame may seem to begin so much before it."""
LAST_MS = 2**30
"""Where frames stop when they are decoded, so that all times are int32."""
NEVER = 2**62


class Craykh(ShiftedTokenizer):
    """Characters of the pitches of each frame.

    Args:
        frame_ms: how long a frame lasts, milliseconds.
        lowest_pitch: of those that are encoded, 22 or more.
        highest_pitch: 115 or less.
        velocity: of the notes that are decoded.

    Raises:
        SettingsError: an option is out of its range.
    """

    name = "craykh"
    carries = frozenset({"pitch", "onset", "duration"})
    clock = "seconds"

    def __init__(
        self, *, frame_ms: int = 50, lowest_pitch: int = 22, highest_pitch: int = 108, velocity: int = 64
    ) -> None:
        self.options = {
            "frame_ms": frame_ms,
            "lowest_pitch": lowest_pitch,
            "highest_pitch": highest_pitch,
            "velocity": velocity,
        }
        for option, value in self.options.items():
            if type(value) is not int:
                raise SettingsError(f"tokenizer craykh: {option} must be a whole number, found {value!r}")
        if not 1 <= frame_ms <= 1000:
            raise SettingsError(f"tokenizer craykh: frame_ms must lie in 1-1000, found {frame_ms}")
        if not FIRST_PITCH <= lowest_pitch <= highest_pitch <= LAST_PITCH:
            raise SettingsError(
                f"tokenizer craykh: pitches must ascend within {FIRST_PITCH}-{LAST_PITCH}, which have characters, "
                f"found ({lowest_pitch}, {highest_pitch})"
            )
        if not 1 <= velocity <= 127:
            raise SettingsError(f"tokenizer craykh: velocity must lie in 1-127, found {velocity}")
        self.pitch_range = (lowest_pitch, highest_pitch)
        pitches = range(lowest_pitch, highest_pitch + 1)
        self.vocab = (*SPECIAL_TOKENS, " ", *(chr(FIRST_CHARACTER + pitch - FIRST_PITCH) for pitch in pitches))
        self.pitch_of_id = np.array([*[-1] * (SPACE_ID + 1), *pitches])

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """Characters of each performance up to the last one that is no space."""
        columns = (music.note_edges, music.pitch, music.onset_sec, music.offset_sec)
        frame_ms = float(self.options["frame_ms"])
        edges = _count(*columns, frame_ms, *self.pitch_range)
        values = np.empty(edges[-1], self.dtype)
        _encode(*columns, frame_ms, *self.pitch_range, edges, values)
        return TokenBlock(values, edges)

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """Notes at 120 quarters a minute, a tick a millisecond, each as long as its characters and the blank after."""
        # What is no id becomes one that is passed over.
        ids = np.asarray(tokens.values)
        ids = ids if ids.dtype == self.dtype else np.clip(ids, 0, 2**16 - 1).astype(self.dtype)
        frame_ms = self.options["frame_ms"]
        edges, token_id, onset_frame, num_frames = _decode(
            ids, np.asarray(tokens.edges), len(self.vocab), LAST_MS // frame_ms
        )
        onset, duration = onset_frame * frame_ms, num_frames * frame_ms
        return steady_music(
            TICKS_PER_QUARTER,
            edges,
            pitch=token_id + np.uint8(self.pitch_range[0] - SPACE_ID - 1),
            velocity=np.full(len(onset), self.options["velocity"], np.uint8),
            onset_tick=onset,
            duration_tick=duration,
        )

    def text_of(self, tokens: np.ndarray) -> str:
        """The tokens as text, without PAD, BOS and EOS."""
        is_text = (tokens >= SPACE_ID) & (tokens < len(self.vocab))
        shift = FIRST_CHARACTER + self.pitch_range[0] - FIRST_PITCH - (SPACE_ID + 1)
        ids = tokens[is_text].astype(np.int64)
        return np.where(ids == SPACE_ID, ord(" "), ids + shift).astype(np.uint8).tobytes().decode("ascii")

    def tokens_of(self, text: str) -> np.ndarray:
        """Tokens of a text; ends of lines, of which the published files have one every 50 frames, are passed over.

        Raises:
            ValueError: a character is neither a space nor that of a pitch in `pitch_range`.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
        first = FIRST_CHARACTER + self.pitch_range[0] - FIRST_PITCH
        is_space, is_end = codes == ord(" "), (codes == ord("\n")) | (codes == ord("\r"))
        is_pitch = (codes >= first) & (codes < first + len(self.vocab) - (SPACE_ID + 1))
        if (wrong := np.flatnonzero(~(is_space | is_end | is_pitch))).size:
            at = int(wrong[0])
            line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
            raise ValueError(
                f"line {line}, character {column}: {text[at]!r} is neither a space nor a pitch of {self.pitch_range}, "
                f"which are {self.vocab[SPACE_ID + 1]!r} to {self.vocab[-1]!r}"
            )
        return np.where(is_space, SPACE_ID, codes - first + (SPACE_ID + 1))[~is_end].astype(self.dtype)


@njit
def _frame(sec: float, frame_ms: float) -> int:
    """The frame in which a moment lies."""
    return np.int64((sec + SLACK_SEC) * 1000.0 / frame_ms)


@njit
def _count(
    edges: np.ndarray,
    pitch: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    frame_ms: float,
    lowest: int,
    highest: int,
) -> np.ndarray:
    """Edges of the tokens that `_encode` writes."""
    token_edges = np.zeros(len(edges), np.int64)
    filled_until = np.zeros(128, np.int64)
    for i in range(len(edges) - 1):
        filled_until[:] = 0
        begin, num_frames, num_filled = 0, 0, 0
        for k in range(edges[i], edges[i + 1]):
            p = np.int64(pitch[k])
            if p < lowest or p > highest:
                continue
            begin = max(_frame(onset_sec[k], frame_ms), begin)
            end = max(_frame(offset_sec[k], frame_ms) - 1, begin + 1)
            if end > filled_until[p]:
                num_filled += end - max(begin, filled_until[p])
                filled_until[p] = end
                num_frames = max(num_frames, end)
        token_edges[i + 1] = token_edges[i] + num_frames + num_filled
    return token_edges


@njit
def _encode(
    edges: np.ndarray,
    pitch: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    frame_ms: float,
    lowest: int,
    highest: int,
    token_edges: np.ndarray,
    values: np.ndarray,
) -> None:
    """Write the tokens of all performances, frame by frame."""
    # Ids of the pitches that are there, ascending, and until which frame each is.
    ids, until = np.zeros(128, values.dtype), np.zeros(128, np.int64)
    for i in range(len(edges) - 1):
        num_there, first_end, frame, at = 0, NEVER, 0, token_edges[i]
        for k in range(edges[i], edges[i + 1] + 1):
            is_over = k == edges[i + 1]
            p = lowest if is_over else np.int64(pitch[k])
            if p < lowest or p > highest:
                continue
            begin = NEVER if is_over else max(_frame(onset_sec[k], frame_ms), frame)
            while num_there and frame < begin:
                stop = min(begin, first_end)
                for _ in range(frame, stop):
                    for n in range(num_there):
                        values[at + n] = ids[n]
                    values[at + num_there] = SPACE_ID
                    at += num_there + 1
                frame = stop
                if frame == first_end:
                    num_there, first_end = _without_ended(ids, until, num_there, frame)
            if is_over:
                break
            while frame < begin:
                values[at] = SPACE_ID
                at += 1
                frame += 1
            token = p - lowest + (SPACE_ID + 1)
            end = max(_frame(offset_sec[k], frame_ms) - 1, begin + 1)
            n = num_there
            while n and ids[n - 1] > token:
                n -= 1
            if n and ids[n - 1] == token:
                until[token] = max(until[token], end)
                # Whatever ended first may have been this one.
                first_end = NEVER
                for m in range(num_there):
                    first_end = min(first_end, until[ids[m]])
            else:
                for m in range(num_there, n, -1):
                    ids[m] = ids[m - 1]
                ids[n], until[token] = token, end
                num_there += 1
                first_end = min(first_end, end)


@njit
def _without_ended(ids: np.ndarray, until: np.ndarray, num_there: int, frame: int) -> tuple[int, int]:
    """Leave out what has ended; how many there are then, and when the first of them ends."""
    num, first_end = 0, NEVER
    for n in range(num_there):
        token = ids[n]
        # Written over by the next, where it has ended.
        ids[num] = token
        if until[token] > frame:
            num += 1
            first_end = min(first_end, until[token])
    return num, first_end


@njit
def _decode(
    values: np.ndarray, edges: np.ndarray, num_vocab: int, last_frame: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges of the notes; of each note its id, the frame of its onset, and its frames with the blank one."""
    token_id, onset = np.empty(len(values), np.uint8), np.empty(len(values), np.int64)
    num_frames = np.empty(len(values), np.int64)
    note_edges = np.zeros(len(edges), np.int64)
    # The frame in which each pitch was seen last, and its note.
    seen, note_of = np.empty(num_vocab, np.int64), np.zeros(num_vocab, np.int64)
    num = 0
    for i in range(len(edges) - 1):
        seen[:] = -2
        frame, first_of_frame = 0, num
        for k in range(edges[i], edges[i + 1]):
            token = np.int64(values[k])
            if token == SPACE_ID:
                if frame < last_frame:
                    frame += 1
                    first_of_frame = num
            elif token > SPACE_ID and token < num_vocab and seen[token] < frame:
                if seen[token] == frame - 1:
                    num_frames[note_of[token]] += 1
                else:
                    onset[num], num_frames[num] = frame, 2
                    n = num
                    # Any characters stand here in any order; notes ascend.
                    while n > first_of_frame and token_id[n - 1] > token:
                        token_id[n] = token_id[n - 1]
                        note_of[token_id[n]] = n
                        n -= 1
                    token_id[n], note_of[token] = token, n
                    num += 1
                seen[token] = frame
        note_edges[i + 1] = num
    return note_edges, token_id[:num].copy(), onset[:num].copy(), num_frames[:num].copy()
