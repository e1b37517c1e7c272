"""Music of many performances side by side: what is encoded and decoded at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pianogen.midi.columns import PARTS, NoteColumns, no_programs, no_tracks, united
from pianogen.midi.time import DEFAULT_MICROSECONDS_PER_QUARTER, SEC_STEPS, tempo_map
from pianogen.ordering import order_of
from pianogen.owners import Owners

READS = {
    "performances": ["performance_id", "ticks_per_quarter"],
    "notes": [
        "performance_id", "is_drum", "pitch", "velocity", "onset_tick", "duration_tick", "onset_sec", "offset_sec",
    ],
    "tempos": ["performance_id", "tick", "tempo_qpm"],
    "time_signatures": ["performance_id", "tick", "numerator", "denominator"],
    "pedal_presses": ["performance_id", "pedal", "press_sec", "lift_sec"],
}  # fmt: skip
"""Tables and columns of an ingest that are tokenized."""
READS_PARTS = {**READS, "notes": [*READS["notes"], *PARTS]}
"""The same by a tokenizer that reads parts."""


@dataclass(frozen=True, eq=False)
class MusicBlock:
    """Music of several performances, one after the other: what is encoded at once.

    Rows of performance i of a column are edges[i] to edges[i + 1] of the edges that the column goes by.
    """

    ticks_per_quarter: np.ndarray
    """Shape (num_performances,), int32."""
    note_edges: np.ndarray
    """Shape (num_performances + 1,), int64, as all edges; of the columns up to `offset_sec`."""
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    onset_sec: np.ndarray
    """Seconds, float64."""
    offset_sec: np.ndarray
    press_edges: np.ndarray
    press_tick: np.ndarray
    """As in `NoteColumns`, and so are the columns below."""
    tempo_edges: np.ndarray
    tempos: np.ndarray
    metre_edges: np.ndarray
    metres: np.ndarray
    track: np.ndarray = field(default_factory=no_tracks)
    """By the edges of notes, or empty, as in `NoteColumns`."""
    program: np.ndarray = field(default_factory=no_programs)

    def __len__(self) -> int:
        """Number of performances."""
        return len(self.ticks_per_quarter)

    def __getitem__(self, i: int) -> NoteColumns:
        """One of them, without a copy."""
        notes = slice(self.note_edges[i], self.note_edges[i + 1])
        return NoteColumns(
            pitch=self.pitch[notes],
            velocity=self.velocity[notes],
            onset_tick=self.onset_tick[notes],
            duration_tick=self.duration_tick[notes],
            ticks_per_quarter=int(self.ticks_per_quarter[i]),
            press_tick=self.press_tick[self.press_edges[i] : self.press_edges[i + 1]],
            tempos=self.tempos[self.tempo_edges[i] : self.tempo_edges[i + 1]],
            metres=self.metres[self.metre_edges[i] : self.metre_edges[i + 1]],
            track=self.track[notes],
            program=self.program[notes],
        )

    def take(self, chosen: np.ndarray) -> "MusicBlock":
        """The chosen performances in this order, by number, shape (num_chosen,)."""
        notes, note_edges = _rows_of(self.note_edges, chosen)
        presses, press_edges = _rows_of(self.press_edges, chosen)
        tempos, tempo_edges = _rows_of(self.tempo_edges, chosen)
        metres, metre_edges = _rows_of(self.metre_edges, chosen)
        return MusicBlock(
            ticks_per_quarter=self.ticks_per_quarter[chosen],
            note_edges=note_edges,
            pitch=self.pitch[notes],
            velocity=self.velocity[notes],
            onset_tick=self.onset_tick[notes],
            duration_tick=self.duration_tick[notes],
            onset_sec=self.onset_sec[notes],
            offset_sec=self.offset_sec[notes],
            press_edges=press_edges,
            press_tick=self.press_tick[presses],
            tempo_edges=tempo_edges,
            tempos=self.tempos[tempos],
            metre_edges=metre_edges,
            metres=self.metres[metres],
            track=self.track[notes] if len(self.track) else self.track,
            program=self.program[notes] if len(self.program) else self.program,
        )


def _rows_of(edges: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the chosen performances, one after the other, and their edges."""
    lengths = np.diff(edges)[chosen]
    new_edges = _edges(lengths)
    return np.arange(new_edges[-1]) + np.repeat(edges[:-1][chosen] - new_edges[:-1], lengths), new_edges


def music_block(music: Sequence[NoteColumns]) -> MusicBlock:
    """Performances side by side; if one tells its parts, those that do not are a piano's on one track."""
    maps = [one.tempo_map for one in music]
    offsets = [one.onset_tick.astype(np.int64) + one.duration_tick for one in music]
    return MusicBlock(
        ticks_per_quarter=np.array([one.ticks_per_quarter for one in music], np.int32),
        note_edges=_edges([len(one) for one in music]),
        pitch=_joined([one.pitch for one in music], np.uint8),
        velocity=_joined([one.velocity for one in music], np.uint8),
        onset_tick=_joined([one.onset_tick for one in music], np.int32),
        duration_tick=_joined([one.duration_tick for one in music], np.int32),
        onset_sec=_joined([m.seconds(one.onset_tick) for one, m in zip(music, maps, strict=True)], np.float64),
        offset_sec=_joined([m.seconds(tick) for tick, m in zip(offsets, maps, strict=True)], np.float64),
        press_edges=_edges([len(one.press_tick) for one in music]),
        press_tick=np.concatenate([np.empty((0, 2), np.int32), *(one.press_tick for one in music)]).astype(np.int32),
        tempo_edges=_edges([len(one.tempos) for one in music]),
        tempos=np.concatenate([np.empty((0, 2), np.int32), *(one.tempos for one in music)]).astype(np.int32),
        metre_edges=_edges([len(one.metres) for one in music]),
        metres=np.concatenate([np.empty((0, 3), np.int32), *(one.metres for one in music)]).astype(np.int32),
        track=_parts([one.track for one in music], music, np.int16),
        program=_parts([one.program for one in music], music, np.uint8),
    )


def joined_blocks(blocks: Sequence[MusicBlock]) -> MusicBlock:
    """Performances of several blocks, one after the other; of all blocks parts are told, or of none."""
    if not blocks:
        return music_block([])
    joined = {}
    for column in fields(MusicBlock):
        values = [getattr(block, column.name) for block in blocks]
        if column.name.endswith("_edges"):
            values = [np.zeros(1, np.int64), *(np.diff(edges) for edges in values)]
            joined[column.name] = np.cumsum(np.concatenate(values), dtype=np.int64)
        else:
            joined[column.name] = np.concatenate(values)
    return MusicBlock(**joined)


def steady_music(
    ticks_per_quarter: int,
    note_edges: np.ndarray,
    *,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    presses: tuple[np.ndarray, np.ndarray] | None = None,
    track: np.ndarray | None = None,
    program: np.ndarray | None = None,
) -> MusicBlock:
    """Notes at 120 quarters a minute in 4/4, as schemes without tempo decode them; columns as of `MusicBlock`.

    Args:
        ticks_per_quarter: of all performances.
        note_edges: of the columns.
        pitch: and the others, shape (num_notes,).
        velocity: 1-127.
        onset_tick: note-on.
        duration_tick: to the note-off.
        presses: edges and ticks of the sustain pedal's; none without.
        track: of each note; without, parts are not told.
        program: the same.
    """
    num = len(note_edges) - 1
    none = np.zeros(num + 1, np.int64)
    press_edges, press_tick = presses or (none, np.empty((0, 2), np.int32))
    # As `TempoMap.seconds` has them, without a search for the tempo of each tick.
    sec_per_tick = DEFAULT_MICROSECONDS_PER_QUARTER / (1e6 * ticks_per_quarter)
    offset_tick = onset_tick.astype(np.int64) + duration_tick
    return MusicBlock(
        ticks_per_quarter=np.full(num, ticks_per_quarter, np.int32),
        note_edges=note_edges,
        pitch=pitch,
        velocity=velocity,
        onset_tick=onset_tick.astype(np.int32),
        duration_tick=duration_tick.astype(np.int32),
        onset_sec=np.rint(onset_tick * sec_per_tick * SEC_STEPS) / SEC_STEPS,
        offset_sec=np.rint(offset_tick * sec_per_tick * SEC_STEPS) / SEC_STEPS,
        press_edges=press_edges,
        press_tick=press_tick,
        tempo_edges=none,
        tempos=np.empty((0, 2), np.int32),
        metre_edges=none,
        metres=np.empty((0, 3), np.int32),
        track=no_tracks() if track is None else track,
        program=no_programs() if program is None else program,
    )


def in_its_tempos(music: MusicBlock) -> MusicBlock:
    """The same with seconds as its tempos make them of its ticks."""
    onset_sec, offset_sec = np.empty(len(music.pitch)), np.empty(len(music.pitch))
    for i in range(len(music)):
        one, rows = music[i], slice(music.note_edges[i], music.note_edges[i + 1])
        seconds = one.tempo_map.seconds
        onset_sec[rows] = seconds(one.onset_tick)
        offset_sec[rows] = seconds(one.onset_tick.astype(np.int64) + one.duration_tick)
    return replace(music, onset_sec=onset_sec, offset_sec=offset_sec)


def _edges(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype, copy=False)


def _parts(columns: Sequence[np.ndarray], music: Sequence[NoteColumns], dtype: type) -> np.ndarray:
    if not any(map(len, columns)):
        return np.empty(0, dtype)
    told = [column if len(column) else np.zeros(len(one), dtype) for column, one in zip(columns, music, strict=True)]
    return _joined(told, dtype)


def read_music(tables: Mapping[str, pa.Table]) -> MusicBlock:
    """The music of one block of the ingest, drums left out.

    Args:
        tables: those of READS, or of READS_PARTS, with the columns named there; `notes` in the lake's order.
    """
    quarter = tables["performances"]["ticks_per_quarter"].to_numpy().astype(np.int32)
    owner = Owners(tables["performances"]["performance_id"])
    notes = tables["notes"]
    is_note = ~notes["is_drum"].to_numpy()
    owners = owner.of(notes)[is_note]
    names = [name for name in READS_PARTS["notes"][2:] if name not in PARTS or name in notes.column_names]
    column = {name: notes[name].to_numpy()[is_note] for name in names}
    # The lake's notes come by onset and pitch; those of one pitch struck twice at once by duration, too.
    order = order_of(owners, column["onset_tick"], column["pitch"], column["duration_tick"])
    if order is not None:
        column = {name: values[order] for name, values in column.items()}
    tempos, tempo_edges = _table(owner, tables["tempos"], "tick", "tempo_qpm")
    tempos[:, 1] = np.rint(60e6 / tempos[:, 1])
    metres, metre_edges = _table(owner, tables["time_signatures"], "tick", "numerator", "denominator")
    presses = tables["pedal_presses"]
    is_sustain = pc.equal(presses["pedal"], "sustain")  # pyright: ignore[reportAttributeAccessIssue]
    press_sec, press_edges = _table(owner, presses.filter(is_sustain), "press_sec", "lift_sec")
    found = []
    for i in range(owner.num):
        own = press_sec[press_edges[i] : press_edges[i + 1]]
        if len(own):
            tempo = tempos[tempo_edges[i] : tempo_edges[i + 1]].astype(np.int64)
            own = tempo_map(tempo[:, 0], tempo[:, 1], int(quarter[i])).ticks(own)
        found.append(united(own.astype(np.int32)))
    return MusicBlock(
        ticks_per_quarter=quarter,
        note_edges=np.searchsorted(owners, np.arange(owner.num + 1)).astype(np.int64),
        **column,
        press_edges=_edges([len(one) for one in found]),
        press_tick=np.concatenate([np.empty((0, 2), np.int32), *found]),
        tempo_edges=tempo_edges,
        tempos=tempos.astype(np.int32),
        metre_edges=metre_edges,
        metres=metres.astype(np.int32),
    )


def _table(owner: Owners, table: pa.Table, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns as an array of float64, by performance and by the first of them, and its edges."""
    owners = owner.of(table)
    values = np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
    order = np.lexsort((np.arange(len(owners)), values[:, 0], owners))
    return values[order], np.searchsorted(owners[order], np.arange(owner.num + 1)).astype(np.int64)
