"""Many MIDI files at once to columns: `scan` and `assemble` in one compiled loop over files."""

import codecs
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import local

import numba
import numpy as np

from pianogen.midi import assemble, codes, scan, time
from pianogen.midi.assemble import NUM_COUNTERS, Columns, assemble_file, new_columns
from pianogen.midi.codes import Code, Kind, Warn
from pianogen.midi.scan import NAMES, NOTES, Events, new_events, scan_file


@dataclass(frozen=True, eq=False)
class ReadFiles:
    """What was read: a row for each file in the arrays of facts, and columns of the accepted ones together."""

    buffer: np.ndarray
    code: np.ndarray
    """A `Code` for each file."""
    position: np.ndarray
    """The byte of the file that the code speaks of."""
    value: np.ndarray
    """What the code found there."""
    events: Events
    columns: Columns
    num_events: np.ndarray
    """Rows of `events` up to each file and with it, shape (num_files + 1, 7)."""
    num_rows: np.ndarray
    """Rows of `columns` up to each file and with it, shape (num_files + 1, NUM_COUNTERS); none of a refused file."""
    counts: np.ndarray
    """Messages of each file by `Kind`."""
    warnings: np.ndarray
    """Numbers of each file by `Warn`."""
    programs: np.ndarray
    """Programs that have pitched notes, bool, shape (num_files, 128)."""
    facts: np.ndarray
    """Ticks per quarter, tracks, format, pitched notes, drum notes, last tick of each file."""
    duration_sec: np.ndarray
    """Last note-off of each file."""

    @cached_property
    def accepted(self) -> np.ndarray:
        """Numbers of the files that are performances."""
        return np.flatnonzero(self.code == Code.OK)


MAX_NAME_BYTES = 1024
_kept = local()
MAX_KEPT_BYTES = 2**25
"""Room for more is given back at once: one huge file must not hold a worker's memory for good."""


def read_files(files: list[bytes], *, only_piano: bool = False, reuse: bool = False) -> ReadFiles:
    """Read MIDI files.

    Args:
        files: their bytes.
        only_piano: leave out drums and the programs that are no piano.
        reuse: the columns may lie where those of the last call of this thread lay, which end there.
            Fresh memory costs its first touch.
    """
    buffer = np.frombuffer(b"".join(files), np.uint8)
    size = np.array([len(data) for data in files], np.int64)
    end = np.cumsum(size)
    begin = end - size
    first = begin + np.array([_inside_riff(data) for data in files], np.int64)
    events, columns = _room(len(buffer), len(files), reuse)
    num_files = len(files)
    outcome = np.zeros((num_files, 3), np.int64)
    num_events = np.zeros((num_files + 1, 7), np.int64)
    num_rows = np.zeros((num_files + 1, NUM_COUNTERS), np.int64)
    counts = np.zeros((num_files, len(Kind)), np.int64)
    warnings = np.zeros((num_files, len(Warn)), np.int64)
    programs = np.zeros((num_files, 128), np.bool_)
    facts = np.zeros((num_files, 6), np.int64)
    figures = np.zeros((num_files, 1))
    _read_all(
        buffer, first, end, events, columns, outcome, num_events, num_rows, counts, warnings, programs, facts, figures,
        only_piano,
    )  # fmt: skip
    return ReadFiles(
        buffer=buffer,
        code=outcome[:, 0],
        position=outcome[:, 1] + (first - begin),
        value=outcome[:, 2],
        events=events,
        columns=columns,
        num_events=num_events,
        num_rows=num_rows,
        counts=counts,
        warnings=warnings,
        programs=programs,
        facts=facts,
        duration_sec=figures[:, 0],
    )


def _sources_version() -> str:
    """Changes with the source of whatever is compiled."""
    sources = [inspect.getsource(module) for module in (assemble, codes, scan, time)]
    return hashlib.sha256("".join(sources).encode()).hexdigest()


def _compiled_for(version: str) -> Callable:
    """The compiled loop over files.

    numba's cache on disk knows a function by its own file, its code and the values that it encloses: without the
    version among those, it would go on with an old `scan` after an edit there.
    """

    @numba.njit(cache=True, error_model="numpy")
    def _read_all(
        buffer, first, end, events, columns, outcome, num_events, num_rows, counts, warnings, programs, facts, figures,
        only_piano,
    ):  # fmt: skip
        _ = version
        num = np.zeros(7, np.int64)
        at = np.zeros(NUM_COUNTERS, np.int64)
        for i in range(len(first)):
            before = num.copy()
            rows = at.copy()
            code, position, value = scan_file(buffer, first[i], end[i], events, num, counts[i], warnings[i], facts[i])
            if code == Code.OK:
                warnings[i, Warn.UNKNOWN_CHUNKS] = counts[i, Kind.UNKNOWN_CHUNK]
                code, position, value = assemble_file(
                    events, before, num, columns, at, programs[i], warnings[i], facts[i], figures[i], only_piano
                )
            if code != Code.OK:
                # Its rows are written over by the next file's.
                num[:] = before
                at[:] = rows
            outcome[i, 0] = code
            outcome[i, 1] = position
            outcome[i, 2] = value
            num_events[i + 1] = num
            num_rows[i + 1] = at

    return _read_all


_read_all = _compiled_for(_sources_version())


def _inside_riff(data: bytes) -> int:
    """Where the MIDI file begins in a RIFF file of MIDI (.rmi); 0 for all others."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return 0
    position = 12
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"data":
            return position + 8
        position += 8 + size + size % 2
    return 0


def _room(num_bytes: int, num_files: int, reuse: bool) -> tuple[Events, Columns]:
    if not reuse or num_bytes > MAX_KEPT_BYTES:
        return new_events(num_bytes), new_columns(num_bytes, num_files)
    if getattr(_kept, "num_bytes", -1) < num_bytes or _kept.num_files < num_files:
        _kept.num_bytes, _kept.num_files = max(num_bytes, 2**22), max(num_files, 256)
        _kept.room = new_events(_kept.num_bytes), new_columns(_kept.num_bytes, _kept.num_files)
    return _kept.room


def names_of(read: ReadFiles, number: int) -> dict[int, str]:
    """Names of the tracks of one file: UTF-8 where it is that, else Latin-1, of which every byte is a letter.

    Of a longer one the first `MAX_NAME_BYTES`: it stands in the row of every part of its track.
    """
    begin, end = read.num_events[number, NAMES], read.num_events[number + 1, NAMES]
    found = {}
    for i in range(begin, end):
        first = read.events.name_first[i]
        size = int(read.events.name_size[i])
        data = read.buffer[first : first + min(size, MAX_NAME_BYTES)].tobytes()
        try:
            # Where a name is cut, its last letter may be too.
            found[int(read.events.name_track[i])], _ = codecs.utf_8_decode(data, "strict", size <= MAX_NAME_BYTES)
        except UnicodeDecodeError:
            found[int(read.events.name_track[i])] = data.decode("latin-1")
    return found


assert NOTES == 0, "columns count notes where events do"
