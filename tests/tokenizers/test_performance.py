"""Events of performances beside a plain definition of them."""

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, SPECIAL_TOKENS, TokenBlock
from pianogen.tokenizers.performance import Performance

CODER = Performance()
PAGE = Path(__file__).parents[2] / "docs/tokenizers/performance.md"
COARSE = Performance(
    lowest_pitch=40, highest_pitch=90, step_ms=25, max_shift_ms=75, num_velocities=5, pedal=False
)  # every option another


def plain_tokens(columns: NoteColumns, coder: Performance) -> list[str]:
    """Every event with its sorting key, in words."""
    low, high, step = (coder.options[name] for name in ("lowest_pitch", "highest_pitch", "step_ms"))

    def step_of(tick: int) -> int:
        sec = float(columns.tempo_map.seconds(np.array([tick]))[0])
        return math.floor(sec * 1000 / step + 0.5)

    def bin_of(velocity: int) -> int:
        return velocity * coder.options["num_velocities"] // 128

    def name_of(bin: int) -> str:
        inside = [v for v in range(1, 128) if bin_of(v) == bin]
        return f"Velocity_{math.ceil((inside[0] + inside[-1]) / 2)}"

    events = []
    every = zip(columns.pitch, columns.velocity, columns.onset_tick, columns.duration_tick, strict=True)
    for n, (p, v, tick, ticks) in enumerate(tuple(int(x) for x in row) for row in every):
        if low <= p <= high:
            begin = step_of(tick)
            end = max(step_of(tick + ticks), begin + 1)
            events.append(((begin, 3, p, end, n), ("NoteOn", p, bin_of(v))))
            events.append(((end, 0, p, 0, n), ("NoteOff", p, None)))
    if coder.options["pedal"]:
        for n, (down, up) in enumerate(columns.press_tick.tolist()):
            if step_of(down) < step_of(up):
                events.append(((step_of(down), 2, 0, 0, n), ("PedalOn", None, None)))
                events.append(((step_of(up), 1, 0, 0, n), ("PedalOff", None, None)))
    found, now, velocity = [], 0, None
    most = coder.options["max_shift_ms"] // step
    for key, (kind, p, v) in sorted(events):
        while now < key[0]:
            shift = min(most, key[0] - now)
            found.append(f"TimeShift_{shift * step}")
            now += shift
        if kind == "NoteOn" and v != velocity:
            found.append(name_of(v))
            velocity = v
        found.append(kind if p is None else f"{kind}_{p}")
    return found


def plain_music(tokens: list[str], step: int, velocity: int = 64) -> tuple[list, list]:
    """Notes (onset, pitch, duration, velocity) and presses, milliseconds, of any tokens."""
    now, down, found, presses, lasting = 0, None, [], [], defaultdict(list)
    for token in [*tokens, *[f"NoteOff_{p}" for p in range(128) for _ in tokens], "PedalOff"]:
        kind, _, value = token.partition("_")
        if kind == "TimeShift":
            now += int(value)
        elif kind == "Velocity":
            velocity = int(value)
        elif kind == "NoteOn":
            lasting[int(value)].append((now, velocity))
        elif kind == "NoteOff" and lasting[int(value)]:
            onset, loud = lasting[int(value)].pop(0)
            found.append((onset, int(value), max(now - onset, step), loud))
        elif kind == "PedalOn" and down is None:
            down = now
        elif kind == "PedalOff":
            if down is not None and now > down:
                presses.append([down, now])
            down = None
    return sorted(found), presses


@st.composite
def music(draw, lowest: int = 0, highest: int = 127) -> NoteColumns:
    """Any notes, presses and tempos: close together, overlapping, of no length, with silence between."""
    num_notes = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from([1, 30, 3000]))
    press = np.unique(rng.integers(0, spread, 2 * draw(st.integers(0, 6))))
    tempo_tick = np.unique(rng.integers(0, spread, draw(st.integers(0, 4))))
    return NoteColumns(
        pitch=rng.integers(lowest, min(highest, lowest + draw(st.sampled_from([2, 127]))) + 1, num_notes, np.uint8),
        velocity=rng.integers(1, 128, num_notes, np.uint8),
        onset_tick=rng.integers(0, spread, num_notes, np.int32),
        duration_tick=rng.integers(0, draw(st.sampled_from([1, 20, 4000])), num_notes, np.int32),
        ticks_per_quarter=draw(st.sampled_from([24, 480])),
        press_tick=press[: len(press) // 2 * 2].reshape(-1, 2).astype(np.int32),
        tempos=np.stack([tempo_tick, rng.integers(0, 2_000_000, len(tempo_tick))], 1).astype(np.int32),
    ).sorted()


def words(coder: Performance, ids: np.ndarray) -> list[str]:
    return [coder.vocab[i] for i in ids]


def rows_of(columns: NoteColumns) -> list[tuple[int, ...]]:
    names = ("onset_tick", "pitch", "duration_tick", "velocity")
    return list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))


def ends_of(columns: NoteColumns) -> list[tuple[int, int]]:
    return sorted(zip(columns.pitch.tolist(), (columns.onset_tick + columns.duration_tick).tolist(), strict=True))


@pytest.mark.parametrize("coder", [CODER, COARSE], ids=["default", "coarse"])
@settings(max_examples=100, deadline=None)
@given(columns=music())
def test_ids_are_those_of_the_plain_definition(coder, columns):
    assert words(coder, coder.encode(columns)) == plain_tokens(columns, coder)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, len(CODER.vocab) - 1), max_size=60))
def test_any_ids_decode_to_what_the_plain_definition_says(ids):
    back = CODER.decode(np.array(ids, np.uint16))
    found, presses = plain_music(words(CODER, np.array(ids, int)), 10)
    assert [row[:3] for row in rows_of(back)] == [row[:3] for row in found]
    assert sorted(rows_of(back)) == found
    assert back.press_tick.tolist() == presses
    assert back.ticks_per_quarter == 500
    CODER.encode(back)


@given(st.lists(st.lists(st.sampled_from(["NoteOn_60", "NoteOff_60", "TimeShift_10", "PedalOn", "PedalOff"]))))
@settings(deadline=None)
def test_decoding_a_block_equals_decoding_each(sequences):
    ids = [np.array([CODER.vocab.index(w) for w in one], np.uint16) for one in sequences]
    edges = np.cumsum([0, *map(len, ids)])
    block = CODER.decode_block(TokenBlock(np.concatenate([np.empty(0, np.uint16), *ids]), edges))
    assert len(block) == len(ids)
    again = music_block([block[i] for i in range(len(block))])
    for i, one in enumerate(ids):
        assert rows_of(block[i]) == rows_of(CODER.decode(one))
        assert block[i].press_tick.tolist() == CODER.decode(one).press_tick.tolist()
    assert np.array_equal(again.onset_sec, block.onset_sec)
    assert np.array_equal(again.offset_sec, block.offset_sec)


@given(st.lists(music(), max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_block_equals_piece_by_piece(pieces):
    block = CODER.encode_block(music_block(pieces))
    assert len(block) == len(pieces)
    assert [one.tolist() for one in block] == [CODER.encode(columns).tolist() for columns in pieces]
    assert block.values.dtype == np.uint16


@given(music())
@settings(deadline=None)
def test_decoding_and_encoding_again_changes_nothing_more(columns):
    ids = CODER.encode(columns)
    assert CODER.encode(CODER.decode(ids)).tolist() == ids.tolist()


@given(music(lowest=21, highest=108))
@settings(deadline=None)
def test_decoding_keeps_onsets_ends_and_velocities_on_the_grid(columns):
    onset, end = (
        np.floor(columns.tempo_map.seconds(t) * 100 + 0.5).astype(np.int64)
        for t in (columns.onset_tick, columns.onset_tick.astype(np.int64) + columns.duration_tick)
    )
    back = CODER.decode(CODER.encode(columns))
    assert sorted(zip(onset * 10, columns.pitch, strict=True)) == [row[:2] for row in rows_of(back)]
    assert ends_of(back) == sorted(zip(columns.pitch, np.maximum(end, onset + 1) * 10, strict=True))
    assert np.abs(np.sort(back.velocity.astype(int)) - np.sort(columns.velocity.astype(int))).max(initial=0) <= 2


def on_grid(seed: int) -> NoteColumns:
    """Notes that nothing is lost of: on the grid, of velocities that have a token, no pitch struck while it lasts."""
    rng = np.random.default_rng(seed)
    num_notes = int(rng.integers(1, 60))
    pitch = rng.integers(21, 109, num_notes)
    onset, duration, free_at = np.zeros(num_notes, int), 10 * rng.integers(1, 300, num_notes), defaultdict(int)
    for k, p in enumerate(pitch):
        onset[k] = free_at[p] + 10 * rng.integers(0, 200)
        free_at[p] = onset[k] + duration[k]
    middles = [int(w.partition("_")[2]) for w in CODER.vocab if w.startswith("Velocity")]
    return NoteColumns(
        pitch=pitch.astype(np.uint8),
        velocity=rng.choice(middles, num_notes).astype(np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=duration.astype(np.int32),
        ticks_per_quarter=500,
        press_tick=np.array([[0, 500], [500, 1210], [3000, 3010]], np.int32),
    ).sorted()


@pytest.mark.parametrize("seed", range(20))
def test_decoding_gives_back_what_lies_on_the_grid(seed):
    columns = on_grid(seed)
    back = CODER.decode(CODER.encode(columns))
    assert rows_of(back) == rows_of(columns)
    assert back.press_tick.tolist() == columns.press_tick.tolist()


def test_notes_and_pedal_in_words():
    columns = replace(notes((0, 60, 1), (0, 64, 1), (1, 60, 0.5)), press_tick=np.array([[0, 480], [480, 4800]]))
    assert words(CODER, CODER.encode(columns)) == [
        *("PedalOn", "Velocity_82", "NoteOn_60", "NoteOn_64", "TimeShift_500"),
        *("NoteOff_60", "NoteOff_64", "PedalOff", "PedalOn", "NoteOn_60", "TimeShift_250", "NoteOff_60"),
        *("TimeShift_1000",) * 4,
        *("TimeShift_250", "PedalOff"),
    ]


def test_the_page_of_the_scheme_shows_what_is_encoded():
    columns = replace(notes((0, 60, 0.5), (0.5, 64, 0.5)), press_tick=np.array([[0, 480]], np.int32))
    text = PAGE.read_text(encoding="utf-8")
    assert " ".join(words(CODER, CODER.encode(columns))) in " ".join(text.split())


def test_the_vocabulary_is_the_published_one_with_pedal():
    assert CODER.vocab[:3] == SPECIAL_TOKENS
    assert (PAD_ID, BOS_ID, EOS_ID) == (0, 1, 2)
    of_2018 = {"lowest_pitch": 0, "highest_pitch": 127, "pedal": False}
    assert len(Performance(**of_2018).vocab[3:]) == 128 + 128 + 100 + 32 == 388
    assert len(Performance(**of_2018, step_ms=8).vocab[3:]) == 128 + 128 + 125 + 32 == 413
    assert len(CODER.vocab) == len(set(CODER.vocab)) == 3 + 88 + 88 + 100 + 32 + 2 == 313
    assert "pedal" in CODER.carries
    assert "pedal" not in COARSE.carries


def test_of_overlapping_notes_the_first_ends_first():
    columns = notes((0, 60, 4), (1, 60, 1))
    assert [row[:3] for row in rows_of(CODER.decode(CODER.encode(columns)))] == [(0, 60, 1000), (500, 60, 1500)]


def test_a_press_within_a_step_is_left_out_and_a_lift_within_a_step_is_kept():
    columns = replace(notes((0, 60, 4)), press_tick=np.array([[98, 100], [480, 960], [961, 1440]], np.int32))
    assert CODER.decode(CODER.encode(columns)).press_tick.tolist() == [[500, 1000], [1000, 1500]]


def test_a_tempo_change_in_mid_note_moves_its_end():
    columns = replace(notes((0, 60, 2)), tempos=np.array([[480, 1_000_000]], np.int32))
    assert rows_of(CODER.decode(CODER.encode(columns)))[0][2] == 1500


def test_no_notes_are_no_ids_and_no_ids_no_notes():
    empty = CODER.encode(notes())
    assert empty.dtype == np.uint16
    assert len(empty) == len(CODER.decode(empty)) == len(CODER.transpose(empty, 5)) == 0
    assert len(CODER.encode_block(music_block([]))) == len(CODER.decode_block(CODER.encode_block(music_block([])))) == 0


def test_every_key_at_once_and_notes_of_no_length_survive():
    columns = notes(*[(3, p, 0) for p in range(128)])
    back = CODER.decode(CODER.encode(columns))
    assert rows_of(back) == [(1500, p, 10, 82) for p in range(21, 109)]


def test_many_notes_of_one_step_are_sorted_as_few_are():
    columns = improvise(3, 500)
    columns = replace(columns, onset_tick=columns.onset_tick // 3000).sorted()
    assert words(CODER, CODER.encode(columns)) == plain_tokens(columns, CODER)


def test_special_ids_and_unknown_ones_are_passed_over():
    ids = CODER.encode(improvise(1, 20)).astype(np.int64)
    wrapped = np.concatenate(([PAD_ID, BOS_ID], ids[:30], [PAD_ID, len(CODER.vocab)], ids[30:], [EOS_ID, PAD_ID]))
    assert rows_of(CODER.decode(wrapped)) == rows_of(CODER.decode(ids))


def test_time_stops_before_ticks_overflow():
    long = Performance(max_shift_ms=10_000_000, step_ms=1000)
    last_shift = long.vocab.index("TimeShift_10000000")
    ids = [long.vocab.index("NoteOn_60"), *[last_shift] * 300, long.vocab.index("NoteOn_61")]
    back = long.decode(np.array(ids, np.uint16))
    assert back.onset_tick.tolist() == [0, 2**30]
    assert back.duration_tick.min() > 0


@given(music(lowest=33, highest=96), st.integers(-12, 12))
@settings(deadline=None)
def test_transposing_ids_equals_encoding_transposed_notes(columns, semitones):
    ids = CODER.encode(columns)
    before = ids.copy()
    moved = CODER.transpose(ids, semitones)
    assert moved.tolist() == CODER.encode(transposed(columns, semitones)).tolist()
    assert np.array_equal(CODER.transpose(moved, -semitones), ids)
    assert np.array_equal(ids, before)
    assert moved.dtype == np.uint16


@pytest.mark.parametrize(("pitch", "semitones"), [(21, -1), (108, 1), (60, 60), (60, -60), (60, 400)])
def test_transposing_off_the_piano_is_refused(pitch, semitones):
    ids = CODER.encode(notes((0, pitch, 1)))
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(21, 108\)"):
        CODER.transpose(ids, semitones)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest_pitch": "C4"}, r"lowest_pitch must be a whole number, found 'C4'"),
        ({"num_velocities": True}, r"num_velocities must be a whole number, found True"),
        ({"pedal": 1}, r"pedal must be true or false, found 1"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, "must lie in 0-127 and ascend, found 70 to 60"),
        ({"highest_pitch": 128}, "0-127 and ascend, found 21 to 128"),
        ({"step_ms": 0}, r"step_ms must lie in 1-1000, found 0"),
        ({"max_shift_ms": 1005}, r"times step_ms, found 1005 with step_ms 10"),
        ({"max_shift_ms": 0}, r"times step_ms, found 0"),
        ({"num_velocities": 128}, r"num_velocities must lie in 1-127, found 128"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        Performance(**options)


@pytest.mark.parametrize("num_velocities", [1, 2, 31, 32, 64, 126, 127])
def test_every_bin_of_velocities_has_a_middle_of_its_own(num_velocities):
    coder = Performance(num_velocities=num_velocities)
    assert len(set(coder.vocab)) == len(coder.vocab)
    for velocity in range(1, 128):
        columns = notes((0, 60, 1), velocity=velocity)
        once = coder.decode(coder.encode(columns))
        assert abs(int(once.velocity[0]) - velocity) <= 64 / num_velocities + 1
        assert np.array_equal(coder.encode(once), coder.encode(columns))


def test_the_version_changes_with_every_option():
    assert Performance().version == CODER.version
    versions = {
        Performance(**{name: COARSE.options[name]}).version for name in COARSE.options if name != "max_shift_ms"
    }
    assert len({*versions, Performance(max_shift_ms=750).version, CODER.version}) == 7


def test_real_files_are_those_of_the_plain_definition(real_music):
    for path, columns in list(real_music.items())[::3]:
        columns = columns.take(slice(0, 1500))
        ids = CODER.encode(columns)
        assert words(CODER, ids) == plain_tokens(columns, CODER), path
        back = CODER.decode(ids)
        assert len(back) == ((columns.pitch >= 21) & (columns.pitch <= 108)).sum()
        assert CODER.encode(back).tolist() == ids.tolist()


def test_real_files_decode_to_their_notes_within_a_step(real_music):
    for path, columns in real_music.items():
        columns = columns.take((columns.pitch >= 21) & (columns.pitch <= 108))
        onset = np.floor(columns.tempo_map.seconds(columns.onset_tick) * 100 + 0.5).astype(np.int64) * 10
        back = CODER.decode(CODER.encode(columns))
        assert sorted(zip(onset, columns.pitch, strict=True)) == [row[:2] for row in rows_of(back)], path
        assert abs(back.press_tick.shape[0] - columns.press_tick.shape[0]) <= 0.1 * columns.press_tick.shape[0]
