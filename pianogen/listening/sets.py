"""The two sets that a listening test compares: folders of music, or experiments with samples in the lake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pianogen.errors import ListeningError, RejectedFileError
from pianogen.foreign_text import steerless
from pianogen.lake import Lake
from pianogen.reading import MIDI_SUFFIXES, SCORE_SUFFIXES, parse_file
from pianogen.report.player_data import DIGITS, data_of_bytes, data_of_parsed

Row = dict[str, Any]


@dataclass(frozen=True)
class SampleSet:
    """Samples by their names; each is read when it is asked for."""

    name: str
    where: str
    """As the user named it."""
    samples: Mapping[str, Callable[[], Row]]

    def data(self, sample: str, seconds: float = 0.0) -> Row:
        """One sample as the player takes it, without what would tell whose it is.

        Args:
            sample: its name.
            seconds: of its beginning; 0: all of it.

        Raises:
            ListeningError: it is no performance.
        """
        try:
            found = self.samples[sample]()
        except RejectedFileError as error:
            raise ListeningError(f"{self.where}: {sample} is no performance, {error}; take it out") from None
        return cut({"notes": found["notes"], "pedal": found["pedal"], "duration_sec": found["duration_sec"]}, seconds)


def read_set(where: str, lake: Lake) -> SampleSet:
    """The samples of a folder, or of an experiment.

    Args:
        where: path of a folder, with its folders; or the name of an experiment.
        lake: has the samples of experiments.

    Raises:
        ListeningError: there is neither, or it has no samples.
    """
    folder = Path(where)
    if folder.is_dir():
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*MIDI_SUFFIXES, *SCORE_SUFFIXES))
        samples = {
            steerless(path.relative_to(folder).as_posix()): partial(_of_file, path) for path in paths if path.is_file()
        }
        if not samples:
            raise ListeningError(f"{where}: no MIDI or MusicXML file in this folder")
        return SampleSet(folder.resolve().name, where, samples)
    rows = lake.read("samples", ["experiment", "sample", "midi"]).to_pylist()
    found = {row["sample"]: partial(data_of_bytes, row["midi"]) for row in rows if row["experiment"] == where}
    if not found:
        known = ", ".join(sorted({row["experiment"] for row in rows})) or "none"
        raise ListeningError(f"{where}: neither a folder nor an experiment with samples; those that have some: {known}")
    return SampleSet(where, where, found)


def _of_file(path: Path) -> Row:
    return data_of_parsed(parse_file(path))


def cut(data: Row, seconds: float) -> Row:
    """The beginning of a performance, up to a time; what sounds there ends there. 0: all of it."""
    if not seconds or data["duration_sec"] <= seconds:
        return data

    def until(onset: float, duration: float) -> float:
        return round(max(0.0, min(duration, seconds - onset)), DIGITS)

    notes = []
    for pitch, onset, duration, velocity, *held in data["notes"]:
        if onset < seconds:
            rest = [until(onset + duration, one) for one in held]
            notes.append([pitch, onset, until(onset, duration), velocity, *(one for one in rest if one)])
    pedal = [[press, min(lift, seconds)] for press, lift in data["pedal"] if press < seconds]
    return {**data, "notes": notes, "pedal": pedal, "duration_sec": float(seconds)}
