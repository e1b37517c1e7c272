"""Any music, for properties of tokenizers: on and off their grids, with pedal, tempos and metres, chords and parts."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from pianogen.midi.columns import NoteColumns

METRES = [(4, 4), (3, 4), (6, 8), (7, 8), (5, 4), (2, 2), (3, 8)]


@st.composite
def any_music(draw, lowest: int = 0, highest: int = 127, shortest: int = 0, most: int = 30) -> NoteColumns:
    """Notes of any length anywhere, at ticks of any size, with whatever else is said of time."""
    quarter = draw(st.sampled_from([8, 16, 96, 220, 384, 480, 1024]))
    tick = st.integers(0, 24 * quarter)
    note = st.tuples(tick, st.integers(lowest, highest), st.integers(shortest, 14 * quarter), st.integers(1, 127))
    rows = draw(st.lists(note, max_size=most))
    edges = sorted(draw(st.sets(tick, max_size=8)))
    metre_ticks = sorted(draw(st.sets(st.one_of(tick, st.integers(0, 24).map(lambda n: n * quarter)), max_size=4)))
    metres = [(at, *draw(st.sampled_from(METRES))) for at in metre_ticks]
    tempos = [(at, draw(st.integers(200_000, 2_000_000))) for at in sorted(draw(st.sets(tick, max_size=4)))]
    return columns_of_rows(rows, quarter, edges, tempos, metres)


def columns_of_rows(rows: list, quarter: int, edges: list[int], tempos: list, metres: list) -> NoteColumns:
    """Columns of notes as onset, pitch, duration and velocity, edges of presses, tempos and metres."""
    onset, pitch, duration, velocity = zip(*rows, strict=True) if rows else ((), (), (), ())
    return NoteColumns(
        pitch=np.array(pitch, np.uint8),
        velocity=np.array(velocity, np.uint8),
        onset_tick=np.array(onset, np.int32),
        duration_tick=np.array(duration, np.int32),
        ticks_per_quarter=quarter,
        press_tick=np.array(edges[: len(edges) // 2 * 2], np.int32).reshape(-1, 2),
        tempos=np.array(tempos, np.int32).reshape(-1, 2),
        metres=np.array(metres, np.int32).reshape(-1, 3),
    ).sorted()


INTERVALS = [(3, 7), (4, 7), (4, 8), (5, 7), (3, 6, 9), (4, 7, 10), (4, 7, 10, 14), (4, 7, 10, 13), (1, 2), (12, 24)]


@st.composite
def any_chords(draw, lowest: int = 21, highest: int = 108, most: int = 8) -> NoteColumns:
    """Chords with and without names, spread and held a little, with whatever is said of time."""
    quarter = draw(st.sampled_from([8, 24, 96, 480]))
    little = st.sampled_from([0, 0, 0, 1, quarter // 16, quarter // 8, quarter // 4])
    tick = st.integers(0, 12 * 4).map(lambda n: n * quarter // 4)
    rows = []
    for _ in range(draw(st.integers(0, most))):
        onset, root = draw(tick), draw(st.integers(lowest, highest - 24))
        duration = draw(st.sampled_from([quarter // 4, quarter // 2, quarter, 3 * quarter]))
        intervals = draw(st.one_of(st.sampled_from(INTERVALS), st.lists(st.integers(0, 24), max_size=12)))
        for interval in (0, *intervals):
            rows.append((onset + draw(little), root + interval, duration + draw(little), draw(st.integers(1, 127))))
    metres = [(at, *draw(st.sampled_from(METRES))) for at in sorted(draw(st.sets(tick, max_size=2)))]
    edges, tempos = sorted(draw(st.sets(tick, max_size=4))), [(at, 600_000) for at in draw(st.sets(tick, max_size=1))]
    return columns_of_rows(rows, quarter, edges, tempos, metres)


@st.composite
def in_parts(draw, music: st.SearchStrategy[NoteColumns]) -> NoteColumns:
    """The same music on a few tracks, of which some share an instrument and some have several."""
    columns = draw(music)
    pair = st.sampled_from([(0, 0), (1, 0), (1, 40), (2, 40), (3, 127), (4, 5)])
    track, program = np.array([draw(pair) for _ in range(len(columns))], np.int64).reshape(-1, 2).T
    return replace(columns, track=track.astype(np.int16), program=program.astype(np.uint8))


def rows_of(columns: NoteColumns) -> list[tuple[int, ...]]:
    """Notes as onset, pitch, duration and velocity."""
    names = ("onset_tick", "pitch", "duration_tick", "velocity")
    return list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))
