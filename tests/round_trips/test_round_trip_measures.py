"""What is measured of a round trip is what the music says that it must be."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from builders import TPQ

from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns
from pianogen.round_trips.decoded import decoded_seconds
from pianogen.round_trips.measures import measure_round_trip
from pianogen.round_trips.tokenizers import BUILT_IN
from pianogen.tokenizers.base import LearnedTokenizer, PieceTokenizer, Tokenizer, make_tokenizer

TEMPOS = np.array([[0, 500_000], [4 * TPQ, 1_200_000], [9 * TPQ, 300_000]], np.int32)


def music(num_notes: int = 40, *, step: int = TPQ // 4, seed: int = 0, low: int = 40, high: int = 80) -> NoteColumns:
    """Notes on a grid of 16ths, each alone, velocities and lengths such as every scheme has."""
    rng = np.random.default_rng(seed)
    return NoteColumns(
        pitch=rng.integers(low, high, num_notes).astype(np.uint8),
        velocity=np.full(num_notes, 79, np.uint8),
        onset_tick=(np.arange(num_notes) * 2 * step).astype(np.int32),
        duration_tick=np.full(num_notes, step, np.int32),
        ticks_per_quarter=TPQ,
    )


def coder_of(name: str, *pieces: NoteColumns) -> Tokenizer:
    """A built-in tokenizer; one that learns, learns from the pieces."""
    coder = make_tokenizer(BUILT_IN[name])
    return coder.learned_from([music_block(pieces)]) if isinstance(coder, LearnedTokenizer) else coder


def measured(coder: Tokenizer, *pieces: NoteColumns) -> list[dict]:
    block = music_block(pieces)
    return measure_round_trip(coder, block, "mine", pa.array([f"{i:032x}" for i in range(len(pieces))])).to_pylist()


@pytest.mark.parametrize("name", ["remi", "remi_bpe", "tsd", "midi_like", "performance", "continuous", "jsb"])
def test_all_comes_back_of_music_on_the_schemes_grid(name):
    """At 120 quarters a minute a 16th is 125 ms, so that 8 of them stand on the grid of 10 ms too."""
    pieces = [music(seed=seed, step=4 * TPQ) for seed in range(3)]
    for row in measured(coder_of(name, *pieces), *pieces):
        assert row["num_notes"] == row["num_decoded"] == row["num_matched"] == row["num_same_pitch"] == 40
        assert row["num_unencodable"] == row["num_unknown"] == 0
        assert row["onset_error_sec"] == row["duration_error_sec"] == 0


@pytest.mark.parametrize("name", ["remi", "tsd", "midi_like", "jsb"])
def test_tempi_that_tokens_do_not_tell_are_no_error(name):
    piece = replace(music(step=TPQ // 2), tempos=TEMPOS)
    (row,) = measured(coder_of(name), piece)
    assert row["num_matched"] == 40
    assert row["onset_error_sec"] == row["duration_error_sec"] == 0


def test_errors_of_a_grid_are_seconds_of_the_source():
    """Half a step late, so rounded up: at 50 quarters a minute a step of REMI lasts 150 ms, at 200 37.5 ms."""
    off = TPQ // 16
    slow = replace(music(), onset_tick=music().onset_tick + off, tempos=np.array([[0, 1_200_000]], np.int32))
    fast = replace(slow, tempos=np.array([[0, 300_000]], np.int32))
    rows = measured(coder_of("remi"), slow, fast)
    assert [row["num_matched"] for row in rows] == [0, 40]
    assert rows[1]["onset_error_sec"] == pytest.approx(40 * 0.01875, abs=1e-4)
    assert rows[1]["onset_shift_sec"] == pytest.approx(40 * 0.01875, abs=1e-4)


def test_notes_without_a_token_count_against_recall():
    piece = music()
    piece = replace(piece, pitch=np.where(np.arange(40) % 4 == 0, 5, piece.pitch).astype(np.uint8))
    (row,) = measured(coder_of("remi"), piece)
    assert (row["num_notes"], row["num_unencodable"], row["num_matched"], row["num_decoded"]) == (40, 10, 30, 30)


class Forgetful(PieceTokenizer):
    """Loses every fifth note, exactly."""

    name, options, pitch_range, vocab = "forgetful", {}, (0, 127), ()
    width, carries = 4, frozenset({"pitch", "onset", "duration", "velocity"})

    def encode(self, notes: NoteColumns) -> np.ndarray:
        kept = np.arange(len(notes)) % 5 > 0
        columns = (notes.pitch, notes.velocity, notes.onset_tick, notes.duration_tick)
        return np.stack(columns, axis=1)[kept].astype(self.dtype)

    def decode(self, tokens: np.ndarray) -> NoteColumns:
        pitch, velocity, onset, duration = tokens.astype(np.int32).T
        return NoteColumns(pitch.astype(np.uint8), velocity.astype(np.uint8), onset, duration, TPQ)


def test_every_note_that_is_dropped_lowers_recall_and_nothing_else():
    (row,) = measured(Forgetful(), replace(music(), tempos=TEMPOS))
    assert (row["num_notes"], row["num_decoded"], row["num_matched"], row["num_tokens"]) == (40, 32, 32, 32)
    assert row["onset_error_sec"] == row["duration_error_sec"] == row["velocity_error"] == 0


def test_what_tokens_say_nothing_of_has_no_error():
    piece = music()
    told = {name: measured(coder_of(name, piece), piece)[0] for name in ("remi", "jsb", "craykh", "note_chord")}
    nulls = {
        name: [column for column in ("onset_error_sec", "duration_error_sec", "velocity_error") if row[column] is None]
        for name, row in told.items()
    }
    assert nulls == {
        "remi": [],
        "jsb": ["velocity_error"],
        "craykh": ["velocity_error"],
        "note_chord": ["onset_error_sec", "duration_error_sec", "velocity_error"],
    }
    assert told["note_chord"]["num_same_pitch"] == 40


def test_unknown_tokens_are_counted_where_a_vocabulary_can_lack_some():
    train, test = music(low=60, high=64), music(low=60, high=68, seed=1)
    coder = coder_of("note_chord", train)
    (row,) = measured(coder, test)
    expected = int(np.count_nonzero(~np.isin(test.pitch, np.unique(train.pitch))))
    assert 0 < expected == row["num_unknown"] < row["num_tokens"] == 40
    words = make_tokenizer({"name": "subwords", "base": {"name": "note_chord", **coder.options}})
    assert isinstance(words, LearnedTokenizer)
    learned = words.learned_from([music_block([test, test])])
    (row,) = measured(learned, test)
    names = [learned.vocab[i] for i in learned.encode(test)]
    assert row["num_unknown"] == sum("UNK" in name for name in names) > 0
    assert measured(coder_of("remi"), test)[0]["num_unknown"] == 0


@pytest.mark.parametrize("name", BUILT_IN)
def test_music_without_notes_is_a_row(name):
    nothing = music(0)
    row = measured(coder_of(name, music()), nothing, music())[0]
    assert (row["num_notes"], row["num_decoded"], row["num_matched"]) == (0, 0, 0)


def test_each_performance_is_measured_as_if_alone():
    pieces = [replace(music(seed=seed, step=TPQ // 4 + 7), tempos=TEMPOS[: seed + 1]) for seed in range(3)]
    for name in BUILT_IN:
        coder = coder_of(name, *pieces)
        together = measured(coder, *pieces)
        alone = [measured(coder, piece)[0] for piece in pieces]
        assert [{**row, "performance_id": None} for row in together] == [
            {**row, "performance_id": None} for row in alone
        ]


def test_seconds_of_decoded_quarters_are_by_the_sources_tempi():
    source = music_block([replace(music(), tempos=TEMPOS)])
    decoded: MusicBlock = music_block(
        [replace(music(), ticks_per_quarter=TPQ // 4, onset_tick=music().onset_tick // 4)]
    )
    onset, offset = decoded_seconds(coder_of("remi"), decoded, source)
    assert np.array_equal(onset, source.onset_sec)
    long = replace(source, duration_tick=source.duration_tick * 4)
    assert np.array_equal(offset, long[0].tempo_map.seconds(long.onset_tick + long.duration_tick))
    assert pc.all(pa.array(offset > onset)).as_py()
