"""Duplicate pairs in any folder of music, with no project and no lake of one's own."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pianogen import parallel
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.errors import SettingsError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings

StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class FolderPairs:
    """Pairs by path, and what was not compared."""

    pairs: pa.Table
    """path_a < path_b, relation, score, semitones, tempo_ratio, coverage, residual_sec; ordered by path. b is a
    transposed up by `semitones`, which of mirror images is the sum of a pitch and its image; `tempo_ratio` is seconds
    of b per second of a."""
    rejections: pa.Table
    """Rows of the lake's table of that name."""
    num_files: int


def dedupe_folder(folder: Path, settings: Settings, progress: StageProgress | None = None) -> FolderPairs:
    """Compare every file below a folder with every other.

    Args:
        folder: any folder of MIDI or MusicXML files; nothing is written to it.
        settings: number of workers and backend.
        progress: told what is being done, and how far it is.

    Raises:
        SettingsError: the folder is not there.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder")
    with tempfile.TemporaryDirectory(prefix="pianogen-dedupe-") as scratch:
        lake = Lake(Path(scratch))
        # Links that leave the folder are followed: whoever gathers links from several places wants them compared.
        dataset = Dataset(name="folder", title=folder.name, folder=folder.absolute(), follow_links=True)
        compare(lake, [dataset], settings, progress)
        with lake.connect(["files", "duplicate_pairs"]) as connection:
            pairs = connection.sql(_BY_PATH).to_arrow_table()
        return FolderPairs(pairs, lake.read("rejections"), lake.read("files", ["path"]).num_rows)


def compare(lake: Lake, datasets: Sequence[Dataset], settings: Settings, progress: StageProgress | None = None) -> None:
    """Files of datasets to their duplicate pairs, in a lake of their own."""
    several = len(datasets) > 1
    for dataset in datasets:
        of = f" of {dataset.name}" if several else ""
        ingest_dataset(lake, dataset, settings, stage(f"files read{of}", progress))
        fingerprint_dataset(lake, dataset.name, settings, stage(f"blocks fingerprinted{of}", progress))
    find_duplicate_pairs(lake, settings=settings, progress=stage("pairs compared", progress))


def stage(what: str, progress: StageProgress | None) -> parallel.Progress | None:
    """Progress of one stage, told under its name."""
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)


# A pair is told from the path that sorts first; seen from the other side, a transposition and a tempo are the inverse
# ones, and the sum of a pitch and its mirror image is the same.
_BY_PATH = """
select
    least(a.path, b.path)                                                     as path_a,
    greatest(a.path, b.path)                                                  as path_b,
    relation,
    score,
    if(a.path < b.path or is_mirrored, semitones, -semitones)                 as semitones,
    if(a.path < b.path, tempo_ratio, 1 / nullif(tempo_ratio, 0))              as tempo_ratio,
    coverage,
    residual_sec
from duplicate_pairs
inner join files as a on a.performance_id = performance_a
inner join files as b on b.performance_id = performance_b
order by path_a, path_b
"""
