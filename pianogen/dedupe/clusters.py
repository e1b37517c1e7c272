"""Clusters: connected components of duplicate pairs.

A cluster is named after its representative, the member with the smallest id in the earliest dataset of
the catalogue, so that a recording added to a later dataset renames no cluster; where it joins two, one of
their names stays.
"""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.tables import SCHEMAS

STAGE = Stage(name="clusters", modules=("pianogen.dedupe.clusters",), packages=("pyarrow",), tables=("clusters",))


def find_clusters(lake: Lake, dataset_order: Sequence[str]) -> Manifest:
    """The cluster of every current performance.

    Args:
        lake: with `performances` and `duplicate_pairs`.
        dataset_order: dataset names, earliest first.

    Raises:
        LakeError: a pair names a performance that is no longer there.
    """
    performances = lake.read("performances", ["performance_id", "dataset"])
    dataset_of = dict(zip(*(c.to_pylist() for c in performances.columns), strict=True))
    pairs = lake.require("duplicate_pairs")
    key = STAGE.key(inputs=[pairs.version, sorted(dataset_of.items())], settings=list(dataset_order))
    if not lake.has_block(STAGE.name, key):
        edges = lake.read("duplicate_pairs", ["performance_a", "performance_b"])
        found = list(zip(*(c.to_pylist() for c in edges.columns), strict=True))
        if not {i for pair in found for i in pair} <= dataset_of.keys():
            raise LakeError("performances went since pairs were found; run the stage 'duplicate_pairs' again")
        rows = cluster_rows(dataset_of, found, dataset_order)
        lake.write_block(STAGE.name, key, {"clusters": pa.Table.from_pylist(rows, schema=SCHEMAS["clusters"])})
    clusters = lake.read_block(STAGE.name, key, "clusters")
    info = {
        "num_clusters": int(clusters["is_representative"].to_numpy().sum()),
        "largest": int(clusters["cluster_size"].to_numpy().max(initial=0)),
    }
    return lake.publish(STAGE, [key], info=info)


def cluster_rows(
    dataset_of: Mapping[str, str], pairs: Iterable[tuple[str, str]], dataset_order: Sequence[str]
) -> list[dict]:
    """Rows of the lake's `clusters`, ascending by performance.

    Args:
        dataset_of: dataset of each performance id.
        pairs: of performance ids that hold the same music.
        dataset_order: dataset names, earliest first; a dataset that is not named comes last.
    """
    parent = {performance_id: performance_id for performance_id in dataset_of}

    def root(performance_id: str) -> str:
        while parent[performance_id] != performance_id:
            parent[performance_id] = parent[parent[performance_id]]
            performance_id = parent[performance_id]
        return performance_id

    for a, b in pairs:
        parent[root(a)] = root(b)
    rank = {name: i for i, name in enumerate(dataset_order)}
    members: dict[str, list[str]] = {}
    for performance_id in dataset_of:
        members.setdefault(root(performance_id), []).append(performance_id)
    rows = []
    for ids in members.values():
        first = min(ids, key=lambda i: (rank.get(dataset_of[i], len(rank)), i))
        rows += [
            {"performance_id": i, "cluster_id": first, "is_representative": i == first, "cluster_size": len(ids)}
            for i in ids
        ]
    return sorted(rows, key=lambda row: row["performance_id"])
