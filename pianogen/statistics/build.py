"""Statistics of a dataset: its blocks of the ingest, each measured once."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pianogen import parallel
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.settings import Settings
from pianogen.statistics.comparison import build_comparison
from pianogen.statistics.history import remember_version
from pianogen.statistics.measures import READS, measure

STAGE = Stage(
    name="statistics",
    modules=(
        "pianogen.owners",
        "pianogen.ordering",
        *(
            f"pianogen.statistics.{name}"
            for name in ("beats", "bins", "build", "counted_notes", "measures", "polyphony", "repetition", "tonality")
        ),
    ),
    packages=("numba", "numpy", "pyarrow"),
    tables=("performance_statistics", "histograms"),
)


def build_statistics(
    lake: Lake, dataset: str, settings: Settings, progress: parallel.Progress | None = None
) -> Manifest:
    """Measure every performance of an ingested dataset, one block for each of its blocks, unless it is done.

    Args:
        lake: read, and written to: the tables `performance_statistics` and `histograms`, a block for each block.
        dataset: has been ingested.
        settings: number of workers and backend.
        progress: told the number of blocks measured and of those to be measured.

    Returns:
        The manifest, with `num_performances` and `dataset_version` in `info`. What the dataset is like now is added
        to its history, the table `statistics_history`.

    Raises:
        LakeError: the dataset has not been ingested, or a block of it is damaged.
    """
    ingested = lake.require("ingest", dataset)
    tasks = [_Task(lake.root, block, _key_of(block)) for block in ingested.blocks]
    todo = [task for task in tasks if not lake.has_block(STAGE.name, task.key)]
    parallel.map_blocks(_measure_block, todo, settings, progress)
    info = {
        "num_performances": ingested.info["num_performances"],
        "dataset_version": ingested.info["dataset_version"],
    }
    manifest = lake.publish(STAGE, [task.key for task in tasks], partition=dataset, info=info)
    remember_version(lake, manifest, STAGE.key(inputs=[]))
    return manifest


def update_statistics(lake: Lake, settings: Settings, progress: parallel.Progress | None = None) -> None:
    """Bring the statistics of all ingested datasets up to date, and what compares them; nothing where nothing changed.

    Args:
        lake: read, and written to.
        settings: number of workers and backend, and where the views are.
        progress: as of `build_statistics`, for each dataset anew.
    """
    datasets = [manifest.partition for manifest in lake.manifests("ingest")]
    for dataset in datasets:
        if not statistics_are_current(lake, dataset):
            build_statistics(lake, dataset, settings, progress)
    if datasets:
        build_comparison(lake, settings.sql)


def statistics_are_current(lake: Lake, dataset: str) -> bool:
    """Whether the statistics of an ingested dataset are those of its performances, and of this code."""
    manifest, ingested = lake.manifest(STAGE.name, dataset), lake.manifest("ingest", dataset)
    return bool(manifest and ingested and manifest.blocks == tuple(map(_key_of, ingested.blocks)))


def _key_of(ingest_block: str) -> str:
    return STAGE.key(inputs=[ingest_block])


@dataclass(frozen=True)
class _Task:
    lake: Path
    ingest_block: str
    key: str


def _measure_block(task: _Task) -> None:
    lake = Lake(task.lake)
    folder = lake.block_path("ingest", task.ingest_block)
    tables = {}
    for name, columns in READS.items():
        path = folder / f"{name}.parquet"
        try:
            # The name of a performance stands in each of its rows: as a dictionary it is read once.
            tables[name] = pq.ParquetFile(path, read_dictionary=["performance_id"]).read(columns)
        except (OSError, ValueError) as error:  # pyarrow's errors of files and of their content
            raise LakeError(f"{path}: cannot be read ({error}); remove the block's folder and ingest again") from None
    lake.write_block(STAGE.name, task.key, measure(tables))
