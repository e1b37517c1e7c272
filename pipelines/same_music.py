"""What the assets on duplicates show of them: small tables, each saying in which view the rest is.

An asset's page gives a value some 40 characters of width, and shows texts of about a thousand in place, longer ones
on a click: so tables of numbers are narrow, and lists of files open.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import table

Row = dict[str, Any]
Shown = dict[str, dg.MarkdownMetadataValue]


def of_pairs(workspace: Workspace) -> Shown:
    """Duplicate pairs: how many any two datasets share, files of one that are another's, and some of each relation."""
    from pianogen.report.same_music import sharing_by_datasets

    rows = _read(workspace, "sharing", "copies", "examples")
    sharing = [
        [f"{row['dataset_a']} – {row['dataset_b']}", _counted(row["num_pairs"])]
        for row in sharing_by_datasets(rows["sharing"])
    ]
    copies = [[_file(row, "a"), row["relation"], _file(row, "b"), row["score"]] for row in rows["copies"]]
    evidence = ("score", "semitones", "tempo_ratio", "coverage_a", "coverage_b", "residual_sec", "num_anchors")
    examples = [
        [row["relation"], _file(row, "a"), _file(row, "b"), row["is_mirrored"], *_picked(row, evidence)]
        for row in rows["examples"]
    ]
    return {
        "music_shared_by_datasets": table(["datasets", "pairs"], sharing),
        "copies_between_datasets": table(
            ["file", "relation", "file", "score"], copies, _num_all(rows["copies"]), view="pairs_with_files"
        ),
        "pairs_of_each_relation": table(["relation", "a", "b", "is_mirrored", *evidence], examples),
    }


def of_clusters(workspace: Workspace) -> Shown:
    """Clusters: what each tier removes of each dataset, and the largest with their names."""
    from pianogen.report.same_music import tiers

    rows = _read(workspace, "removed", "clusters", "largest_clusters")
    removed = [
        [row["dataset"], row["num_performances"], _counted(row["num_removed"]), row["num_left"]]
        for row in tiers(rows["removed"], rows["clusters"])
    ]
    counts = ("dataset", "num_clusters", "num_repeated", "most_in_one", "num_shared")
    largest = [
        [
            *_picked(row, ["dataset", "cluster_size"]),
            row["title"] or row["path"],
            ", ".join(row["datasets"]),
            row["num_works"] or None,
        ]
        for row in rows["largest_clusters"]
    ]
    return {
        "removed_by_tier": table(["dataset", "all", "would go", "left"], removed),
        "clusters_by_dataset": table(
            ["dataset", "clusters", "of several", "largest", "shared"],
            [_picked(row, counts) for row in rows["clusters"]],
        ),
        "largest_clusters": table(
            ["dataset", "performances", "represented by", "datasets", "names of the work"],
            largest,
            view="cluster_summaries",
        ),
    }


def of_splits(workspace: Workspace) -> Shown:
    """Splits: the published ones beside the clean ones, and what leaks in the published ones."""
    from pianogen.report.same_music import STANDINGS

    rows = _read(workspace, "leakage", "agreement", "matrix", "published_leaks", "titles")
    across: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows["matrix"]:
        if row["is_across"]:
            splits = f"{row['dataset_a']} {row['split_a']} – {row['dataset_b']} {row['split_b']}"
            across.setdefault((splits, row["relation"]), {})[row["standing"]] = row["num_pairs"]
    matrix = [[*key, *(found.get(standing, 0) for standing in STANDINGS)] for key, found in sorted(across.items())]
    pair = ("dataset", "published_split_a", "path_a", "published_split_b", "path_b", "relation", "score")
    leaks = [[*_picked(row, pair), f"{row['split_a']} – {row['split_b']}"] for row in rows["published_leaks"]]
    title = ("dataset", "composer", "title", "num_train", "num_validation", "num_test", "num_pairs")
    return {
        "published_beside_clean": _beside(rows),
        "pairs_across_splits": table(["splits", "relation", "published", "here"], matrix, view="contamination_matrix"),
        "published_leaks": table(
            ["dataset", "in", "file", "and in", "file", "relation", "score", "here they stand in"],
            leaks,
            _num_all(rows["published_leaks"]),
            view="split_leaks_published",
        ),
        "titles_across_splits": table(
            ["dataset", "composer", "title", "train", "validation", "test", "pairs of the same music"],
            [_picked(row, title) for row in rows["titles"]],
            _num_all(rows["titles"]),
            view="titles_across_splits",
        ),
    }


def of_gate(workspace: Workspace) -> Shown:
    """The gate: how many of the held-out performances leak, as published and as they stand."""
    return {"published_beside_clean": _beside(_read(workspace, "leakage", "agreement"))}


def _beside(rows: dict[str, list[Row]]) -> dg.MarkdownMetadataValue:
    """Of each held-out split, how many of its performances have music in another one; of train, its size."""
    from pianogen.report.same_music import STANDINGS, side_by_side

    lines = []
    for row in side_by_side(rows["leakage"], rows["agreement"]):
        name = f"{row['dataset']} {row['split']}"
        if row["split"] == "train":
            lines.append([f"{name}, performances", *(row[standing]["num_performances"] for standing in STANDINGS)])
        for other in ("train", "validation"):
            found = [row[standing][other] for standing in STANDINGS]
            if all(found):
                lines.append([f"{name} in {other}", *(f"{one['num_leaking']}/{one['num_held_out']}" for one in found)])
    return table(["music of", "published", "here"], lines)


def _read(workspace: Workspace, *names: str) -> dict[str, list[Row]]:
    from pianogen.report.same_music import VIEWS, read
    from pianogen.warehouse import open_lake

    with open_lake(workspace.lake, workspace.settings.sql, VIEWS) as connection:
        return read(connection, names)


def _file(row: Row, side: str) -> str:
    return f"{row[f'dataset_{side}']}/{row[f'path_{side}']}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number) or "–"


def _picked(row: Row, names: Sequence[str]) -> list[object]:
    return [row[name] for name in names]


def _num_all(rows: Sequence[Row]) -> int:
    """Of how many rows a query gave the first."""
    return rows[0]["num_all"] if rows else 0
