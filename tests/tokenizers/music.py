"""Any music, for properties of tokenizers: on and off their grids, with pedal, tempos and metres."""

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


def rows_of(columns: NoteColumns) -> list[tuple[int, ...]]:
    """Notes as onset, pitch, duration and velocity."""
    names = ("onset_tick", "pitch", "duration_tick", "velocity")
    return list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))
