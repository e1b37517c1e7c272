"""Duplicate pairs in any folder of music, with no project and no lake of one's own."""

import tempfile
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


@dataclass(frozen=True)
class FolderPairs:
    """Pairs by path, and what was not compared.

    `pairs` has the columns path_a, path_b, relation, score, semitones, tempo_ratio, num_shared, num_anchors;
    `rejections` are rows of the lake's table of that name.
    """

    pairs: pa.Table
    rejections: pa.Table
    num_files: int


def dedupe_folder(folder: Path, settings: Settings, progress: parallel.Progress | None = None) -> FolderPairs:
    """Compare every file below a folder with every other.

    Args:
        folder: any folder of MIDI or MusicXML files; nothing is written to it.
        settings: number of workers and backend.
        progress: told the number of files parsed.

    Raises:
        SettingsError: the folder is not there.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder")
    with tempfile.TemporaryDirectory(prefix="pianogen-dedupe-") as scratch:
        lake = Lake(Path(scratch))
        # Links that leave the folder are followed: whoever gathers links from several places wants them compared.
        dataset = Dataset(name="folder", title=folder.name, folder=folder.absolute(), follow_links=True)
        manifest = ingest_dataset(lake, dataset, settings, progress)
        fingerprint_dataset(lake, dataset.name, settings)
        find_duplicate_pairs(lake)
        with lake.connect(["files", "duplicate_pairs"]) as connection:
            pairs = connection.sql(_BY_PATH).to_arrow_table()
        return FolderPairs(pairs, lake.read("rejections"), manifest.info["num_files"])


# A pair is told from the path that sorts first; seen from the other side, the change is the inverse one.
_BY_PATH = """
select
    least(a.path, b.path)                                                     as path_a,
    greatest(a.path, b.path)                                                  as path_b,
    relation,
    score,
    if(a.path < b.path, semitones, -semitones)                                as semitones,
    if(a.path < b.path, tempo_ratio, round(1 / nullif(tempo_ratio, 0), 3))    as tempo_ratio,
    num_shared,
    num_anchors
from duplicate_pairs
inner join files as a on a.performance_id = performance_a
inner join files as b on b.performance_id = performance_b
order by path_a, path_b
"""
