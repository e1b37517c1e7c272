"""A lake of training music, and pieces with copies of it planted in them."""

from pathlib import Path

import numpy as np
from corpora import folder_dataset, here, improvise, write_midi
from shingling import Notes, improvised

from pianogen.evaluation.memorization import Copy, CopyConfig, find_copies
from pianogen.evaluation.window_index import Melody, WindowIndex, build_window_index
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake

CONFIG = CopyConfig()


def index_of_files(lake: Lake, folder: Path, work_of: dict[str, str] | None = None) -> WindowIndex:
    """The index of every file below a folder."""
    settings = here(lake.root.parent)
    ingest_dataset(lake, folder_dataset(folder), settings)
    ids = lake.read("performances", ["performance_id"])["performance_id"].to_pylist()
    return WindowIndex(lake, build_window_index(lake, "mine", ids, settings), ids, work_of or {})


def improvised_index(lake: Lake, num_pieces: int = 8, num_notes: int = 300) -> WindowIndex:
    """Of pieces that are `improvised(0)` to `improvised(num_pieces - 1)`."""
    folder = lake.root.parent / "train"
    for seed in range(num_pieces):
        write_midi(folder / f"{seed}.mid", improvise(seed, num_notes))
    return index_of_files(lake, folder)


def between(notes: Notes, first: int, end: int) -> Notes:
    return notes.take(slice(first, end)).later(-notes.onset_sec[first])


def planted(host: Notes, passage: Notes, at: int) -> tuple[Notes, np.ndarray]:
    """A piece with a passage put into it before a note, and which of its notes are the passage's."""
    before, after = host.take(slice(0, at)), host.take(slice(at, None))
    passage = passage.later(host.onset_sec[at] + 0.2 - passage.onset_sec[0])
    after = after.later(passage.onset_sec[-1] + 0.2 - host.onset_sec[at] + 0.2)
    whole = Notes(*(np.concatenate(columns) for columns in zip(before, passage, after, strict=True)))
    is_passage = np.repeat([False, True, False], [len(before.pitch), len(passage.pitch), len(after.pitch)])
    order = np.lexsort((whole.pitch, whole.onset_sec))
    return whole.take(order), is_passage[order]


def copies_of(notes: Notes, index: WindowIndex) -> list[Copy]:
    (found,) = find_copies([Melody(*notes)], index, CONFIG)
    return found


def is_copied(notes: Notes, copies: list[Copy]) -> np.ndarray:
    mask = np.zeros(len(notes.pitch), bool)
    for copy in copies:
        mask[copy.notes] = True
    return mask


__all__ = ["CONFIG", "between", "copies_of", "improvised", "improvised_index", "index_of_files", "is_copied", "planted"]
