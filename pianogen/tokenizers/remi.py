"""REMI without byte-pair merges, through MidiTok.

Bar, position in the bar, pitch, velocity, duration. All pitched notes of a performance become one
piano part. Every bar has four quarters: tempo, time signatures and pedal are not encoded.

Source: Huang & Yang, "Pop Music Transformer" (2020); MidiTok's REMI, whose ids these are, after the
three special ones.
"""

import hashlib
import importlib.metadata
import json
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pianogen.errors import SettingsError
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID


@dataclass(frozen=True, kw_only=True)
class RemiConfig:
    """The options of MidiTok that this scheme uses, with its defaults."""

    lowest_pitch: int = 21
    highest_pitch: int = 108
    num_velocities: int = 32
    positions_per_quarter: int = 8
    """For notes up to 4 quarters long; longer ones have half as many steps, up to 12 quarters."""


class Remi:
    """REMI ids of note columns; `version` hashes the options, the vocabulary and MidiTok's version."""

    name = "remi"

    def __init__(self, config: RemiConfig | None = None) -> None:
        self.config = config or RemiConfig()
        self.pitch_range = (self.config.lowest_pitch, self.config.highest_pitch)
        if wrong := [name for name, value in asdict(self.config).items() if type(value) is not int]:
            raise SettingsError(
                f"tokenizer remi: {wrong[0]} must be a whole number, found {getattr(self.config, wrong[0])!r}"
            )
        if not 0 <= self.pitch_range[0] <= self.pitch_range[1] <= 127:
            raise SettingsError(f"tokenizer remi: pitches must lie in 0-127, found {self.pitch_range}")
        if self.config.num_velocities < 1 or self.config.positions_per_quarter < 2:
            raise SettingsError("tokenizer remi: num_velocities must be 1 or more, positions_per_quarter 2 or more")
        self._miditok = _make_miditok(self.config)
        vocab: Any = self._miditok.vocab  # a list of several where tokens have several parts; here they have one
        by_id = {token_id: token for token, token_id in vocab.items()}
        self.vocab = tuple(by_id[i] for i in range(len(by_id)))
        expected = {"PAD_None": PAD_ID, "BOS_None": BOS_ID, "EOS_None": EOS_ID}
        assert {t: self.vocab.index(t) for t in expected} == expected
        parts = [self.name, asdict(self.config), self.vocab, importlib.metadata.version("miditok")]
        self.version = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        self._first_pitch_id = self.vocab.index(f"Pitch_{self.config.lowest_pitch}")
        self._last_pitch_id = self.vocab.index(f"Pitch_{self.config.highest_pitch}")
        assert self._last_pitch_id - self._first_pitch_id == self.pitch_range[1] - self.pitch_range[0]

    def encode(self, notes: NoteColumns) -> np.ndarray:
        """Ids without BOS and EOS, uint16; notes off the pitch range are left out."""
        low, high = self.pitch_range
        kept = notes.take((notes.pitch >= low) & (notes.pitch <= high))
        if not len(kept):
            return np.empty(0, np.uint16)
        with warnings.catch_warnings():
            # MidiTok warns of files without notes after its own clean-up; the empty result says it.
            warnings.simplefilter("ignore")
            sequences = self._miditok.encode(_score(kept))
        ids = [sequence.ids for sequence in (sequences if isinstance(sequences, list) else [sequences])]
        return np.asarray(ids[0] if ids else [], np.uint16)

    def decode(self, token_ids: np.ndarray) -> NoteColumns:
        """Notes on the tokenizer's own grid."""
        ids = [int(i) for i in token_ids if i not in (PAD_ID, BOS_ID, EOS_ID)]
        score = self._miditok.decode([ids])
        parts = [track.notes.numpy() for track in score.tracks]
        column = {
            name: np.concatenate([part[name] for part in parts]).astype(dtype) if parts else np.empty(0, dtype)
            for name, dtype in (("pitch", np.uint8), ("velocity", np.uint8), ("time", np.int32), ("duration", np.int32))
        }
        return NoteColumns(
            pitch=column["pitch"],
            velocity=column["velocity"],
            onset_tick=column["time"],
            duration_tick=column["duration"],
            ticks_per_quarter=score.ticks_per_quarter,
        ).sorted()

    def transpose(self, token_ids: np.ndarray, semitones: int) -> np.ndarray:
        """A shift of the pitch ids: notes of one onset stay in their order, so nothing else changes."""
        is_pitch = (token_ids >= self._first_pitch_id) & (token_ids <= self._last_pitch_id)
        moved = token_ids.astype(np.int32) + semitones * is_pitch
        if ((moved < self._first_pitch_id) | (moved > self._last_pitch_id))[is_pitch].any():
            raise ValueError(f"{semitones} semitones move a pitch out of {self.pitch_range}")
        return moved.astype(np.uint16)


def _make_miditok(config: RemiConfig):
    from miditok import REMI, TokenizerConfig

    steps = config.positions_per_quarter
    return REMI(
        TokenizerConfig(
            pitch_range=(config.lowest_pitch, config.highest_pitch),  # MidiTok counts both in
            num_velocities=config.num_velocities,
            beat_res={(0, 4): steps, (4, 12): steps // 2},
            special_tokens=["PAD", "BOS", "EOS"],
            use_chords=False,
            use_programs=False,
            use_tempos=False,
            use_time_signatures=False,
            use_rests=False,
            use_sustain_pedals=False,
            use_pitch_bends=False,
            use_pitchdrum_tokens=False,
        )
    )


def _score(notes: NoteColumns):
    from symusic import Note, Score, Track

    score: Any = Score(notes.ticks_per_quarter)
    track: Any = Track(program=0, is_drum=False)
    track.notes = Note.from_numpy(
        time=notes.onset_tick.astype(np.int32),
        duration=notes.duration_tick.astype(np.int32),
        pitch=notes.pitch.astype(np.int8),
        velocity=notes.velocity.astype(np.int8),
        ttype="tick",
    )
    score.tracks.append(track)
    return score
