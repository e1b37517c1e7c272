"""Clusters to train, validation and test.

A whole cluster goes where the hash of its name falls, so the same music is on one side. A dataset that
its owner pins to a split stays there, whatever its clusters say; it never moves other music. Where a
pinned performance copies music of another split, the contamination gate says so.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from pianogen.catalogue import Dataset
from pianogen.errors import SettingsError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.tables import SCHEMAS

STAGE = Stage(name="splits", modules=("pianogen.splits",), packages=("pyarrow",), tables=("splits",))
REPORT = Stage(name="contamination", modules=("pianogen.splits",), packages=("duckdb",), tables=("contamination",))


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Share of clusters held out; the rest is train."""

    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    salt: str = "v1"
    """Changing it redraws every split."""

    def __post_init__(self) -> None:
        """Refuse shares that leave no train."""
        if min(self.validation_fraction, self.test_fraction) < 0 or self.validation_fraction + self.test_fraction >= 1:
            raise SettingsError(
                f"held-out fractions must be 0 or more and sum to less than 1, found "
                f"{self.validation_fraction} and {self.test_fraction}"
            )


def split_of_cluster(name: str, config: SplitConfig) -> str:
    """Where the hash of a cluster's name falls."""
    at = int(hashlib.sha256(f"{config.salt}:{name}".encode()).hexdigest()[:13], 16) / 16**13
    if at < config.test_fraction:
        return "test"
    return "validation" if at < config.test_fraction + config.validation_fraction else "train"


def split_rows(
    clusters: Sequence[Mapping], dataset_of: Mapping[str, str], datasets: Sequence[Dataset], config: SplitConfig
) -> list[dict]:
    """Rows of the lake's `splits`, ascending by performance.

    Args:
        clusters: rows of the lake's `clusters`.
        dataset_of: dataset of each performance id.
        datasets: with their split policies, earliest first.
        config: shares and salt.
    """
    rank = {dataset.name: i for i, dataset in enumerate(datasets)}
    pinned = {dataset.name: dataset.split for dataset in datasets if dataset.split != "auto"}
    free: dict[str, list[str]] = {}
    for row in clusters:
        if dataset_of[row["performance_id"]] not in pinned:
            free.setdefault(row["cluster_id"], []).append(row["performance_id"])
    # The pinned members have no say in where the others go.
    name_of = {c: min(ids, key=lambda i: (rank.get(dataset_of[i], len(rank)), i)) for c, ids in free.items()}
    rows = []
    for row in clusters:
        dataset = dataset_of[row["performance_id"]]
        by_cluster = dataset not in pinned
        rows.append(
            {
                "performance_id": row["performance_id"],
                "dataset": dataset,
                "cluster_id": row["cluster_id"],
                "split": split_of_cluster(name_of[row["cluster_id"]], config) if by_cluster else pinned[dataset],
                "reason": "cluster" if by_cluster else "dataset",
            }
        )
    return sorted(rows, key=lambda row: row["performance_id"])


def assign_splits(lake: Lake, datasets: Sequence[Dataset], config: SplitConfig | None = None) -> Manifest:
    """The split of every current performance, and the report of what stands in two splits.

    Args:
        lake: with `performances`, `clusters`, `duplicate_pairs` and `files`.
        datasets: with their split policies, earliest first.
        config: shares and salt.

    Returns:
        The manifest of stage `splits`; its info counts performances by split and contaminated pairs.
    """
    config = config or SplitConfig()
    clusters = lake.require("clusters")
    policies = [(dataset.name, dataset.split) for dataset in datasets]
    key = STAGE.key(inputs=clusters.version, settings=[asdict(config), policies])
    if not lake.has_block(STAGE.name, key):
        performances = lake.read("performances", ["performance_id", "dataset"])
        dataset_of = dict(zip(*(c.to_pylist() for c in performances.columns), strict=True))
        rows = split_rows(lake.read("clusters").to_pylist(), dataset_of, datasets, config)
        lake.write_block(STAGE.name, key, {"splits": pa.Table.from_pylist(rows, schema=SCHEMAS["splits"])})
    counts = Counter(lake.read_block(STAGE.name, key, "splits")["split"].to_pylist())
    info = {
        "num_performances": {split: counts[split] for split in ("train", "validation", "test")},
        "config": asdict(config),
        "pinned": {name: split for name, split in policies if split != "auto"},
    }
    manifest = lake.publish(STAGE, [key], info=info)
    _report_contamination(lake, manifest)
    return manifest


def _report_contamination(lake: Lake, splits: Manifest) -> Manifest:
    """Every duplicate pair whose members stand in two splits, with the names of both files."""
    listings = [manifest.blocks for manifest in lake.manifests("listing")]
    key = REPORT.key(inputs=[splits.version, lake.require("duplicate_pairs").version, listings])
    if not lake.has_block(REPORT.name, key):
        with lake.connect(["files", "splits", "duplicate_pairs"]) as connection:
            rows = connection.sql(_CONTAMINATED).to_arrow_table()
        schema = SCHEMAS["contamination"]
        lake.write_block(REPORT.name, key, {"contamination": rows.select(schema.names).cast(schema)})
    num_pairs = lake.read_block(REPORT.name, key, "contamination").num_rows
    return lake.publish(REPORT, [key], info={"splits_version": splits.version, "num_pairs": num_pairs})


_CONTAMINATED = """
with placed as (
    select splits.performance_id, splits.split, splits.cluster_id, files.dataset, files.path
    from splits
    inner join files using (performance_id)
)
select
    a.split as split_a, a.dataset as dataset_a, a.path as path_a,
    b.split as split_b, b.dataset as dataset_b, b.path as path_b,
    relation, score, semitones, tempo_ratio, performance_a, performance_b, a.cluster_id
from duplicate_pairs
inner join placed as a on a.performance_id = performance_a
inner join placed as b on b.performance_id = performance_b
where a.split <> b.split
order by performance_a, performance_b
"""
