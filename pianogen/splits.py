"""Clusters to train, validation and test.

A whole cluster goes where the hash of its name falls, so the same music is on one side. A dataset that
its owner pins to a split stays there, whatever its clusters say; it never moves other music, not even by
joining two clusters. Where a pinned performance copies music of another split, the contamination gate
says so.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from pianogen.catalogue import Dataset
from pianogen.dedupe.clusters import cluster_rows
from pianogen.errors import LakeError, SettingsError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.licences import recorded_licences
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="splits",
    modules=("pianogen.splits", "pianogen.dedupe.clusters"),
    packages=("pyarrow",),
    tables=("splits",),
)
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
    clusters: Sequence[Mapping],
    dataset_of: Mapping[str, str],
    pairs: Iterable[tuple[str, str]],
    datasets: Sequence[Dataset],
    config: SplitConfig,
) -> list[dict]:
    """Rows of the lake's `splits`, ascending by performance.

    Args:
        clusters: rows of the lake's `clusters`.
        dataset_of: dataset of each performance id.
        pairs: of performance ids that hold the same music.
        datasets: with their split policies, earliest first.
        config: shares and salt.
    """
    pinned = {dataset.name: dataset.split for dataset in datasets if dataset.split != "auto"}
    # The pinned have no say in where the others go: the clusters that count are those without them.
    free = {performance_id: dataset for performance_id, dataset in dataset_of.items() if dataset not in pinned}
    between_free = [(a, b) for a, b in pairs if a in free and b in free]
    free_clusters = cluster_rows(free, between_free, [dataset.name for dataset in datasets])
    name_of = {row["performance_id"]: row["cluster_id"] for row in free_clusters}
    rows = []
    for row in clusters:
        dataset = dataset_of[row["performance_id"]]
        by_cluster = dataset not in pinned
        rows.append(
            {
                "performance_id": row["performance_id"],
                "dataset": dataset,
                "cluster_id": row["cluster_id"],
                "split": split_of_cluster(name_of[row["performance_id"]], config) if by_cluster else pinned[dataset],
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
        The manifest of stage `splits`; its info counts performances by split.

    Raises:
        LakeError: the clusters are of other performances than those in the lake now.
    """
    config = config or SplitConfig()
    clusters = lake.require("clusters")
    policies = [(dataset.name, dataset.split) for dataset in datasets]
    key = STAGE.key(inputs=clusters.version, settings=[asdict(config), policies])
    if not lake.has_block(STAGE.name, key):
        performances = lake.read("performances", ["performance_id", "dataset"])
        dataset_of = dict(zip(*(c.to_pylist() for c in performances.columns), strict=True))
        members = lake.read("clusters").to_pylist()
        if {row["performance_id"] for row in members} != set(dataset_of):
            raise LakeError("performances came or went since the clusters were found; run the stage 'clusters' again")
        edges = lake.read("duplicate_pairs", ["performance_a", "performance_b"])
        pairs = zip(*(c.to_pylist() for c in edges.columns), strict=True)
        rows = split_rows(members, dataset_of, pairs, datasets, config)
        lake.write_block(STAGE.name, key, {"splits": pa.Table.from_pylist(rows, schema=SCHEMAS["splits"])})
    counts = Counter(lake.read_block(STAGE.name, key, "splits")["split"].to_pylist())
    info = {
        "num_performances": {split: counts[split] for split in ("train", "validation", "test")},
        "config": asdict(config),
        "pinned": {name: split for name, split in policies if split != "auto"},
        **recorded_licences(lake),
    }
    manifest = lake.publish(STAGE, [key], info=info)
    _report_contamination(lake, manifest)
    return manifest


def _report_contamination(lake: Lake, splits: Manifest) -> Manifest:
    """Every duplicate pair whose members stand in two splits, with the names of both files."""
    listings = [manifest.blocks for manifest in lake.manifests("listing")]
    key = REPORT.key(inputs=[splits.version, lake.require("duplicate_pairs").version, listings])
    if not lake.has_block(REPORT.name, key):
        lake.write_block(REPORT.name, key, {"contamination": contaminated_pairs(lake)})
    num_pairs = lake.read_block(REPORT.name, key, "contamination").num_rows
    return lake.publish(REPORT, [key], info={"splits_version": splits.version, "num_pairs": num_pairs})


def contaminated_pairs(lake: Lake) -> pa.Table:
    """Rows of the lake's `contamination`, by the current pairs and splits, ordered by the pairs' ids."""
    with lake.connect(["files", "splits", "duplicate_pairs"]) as connection:
        rows = connection.sql(_CONTAMINATED).to_arrow_table()
    return rows.select(SCHEMAS["contamination"].names).cast(SCHEMAS["contamination"])


_CONTAMINATED = """
with placed as (
    select splits.*, coalesce(files.path, performance_id) as path
    from splits
    left join files using (performance_id)
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
