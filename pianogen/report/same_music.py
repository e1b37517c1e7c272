"""What the report and the assets tell of duplicates: rows of the views, few enough to be looked at.

A leak is a pair of any relation but `shared_melody` whose two performances stand in different splits. Lists end after
`SHOWN` rows; `num_all` of each row says how many there are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from pianogen.dedupe.groups import COPIES, TIERS

Row = dict[str, Any]

SHOWN = 20
"""Rows of a list of files, clusters or titles."""
PER_DATASET = 3
"""Largest clusters told of each dataset."""
PER_RELATION = 3
"""Pairs of each relation that stand for the others."""
STANDINGS = ("published", "ours")
SPLITS = ("train", "validation", "test")
HEAT = (1, 4, 20, 100)
"""Pairs from which a cell of the matrix has its next shade."""

VIEWS = (
    "performances_with_sources",
    "pairs_with_files",
    "contamination_matrix",
    "split_leakage",
    "split_leaks_published",
    "split_agreement",
    "datasets_sharing_music",
    "removed_by_tier",
    "clusters_with_files",
    "cluster_summaries",
    "clusters_by_dataset",
    "titles_across_splits",
)
"""What `QUERIES` read, and what those read."""

_TIER = f"list_position({list(TIERS)}, relation)"

QUERIES = {
    "leakage": """
        select standing, dataset, split, other_split, num_held_out, num_leaking, share_leaking, num_pairs
        from split_leakage order by all""",
    "agreement": """
        select dataset, published_split, split, num_performances
        from split_agreement order by all""",
    "matrix": """
        select standing, dataset_a, split_a, dataset_b, split_b, relation, is_across, num_pairs
        from contamination_matrix order by all""",
    "published_leaks": f"""
        select dataset, published_split_a, path_a, published_split_b, path_b, relation, score, semitones, is_mirrored,
               tempo_ratio, split_a, split_b, is_mended, count(*) over () as num_all
        from split_leaks_published
        order by relation = 'shared_melody', dataset, {_TIER}, score desc, path_a, path_b limit {SHOWN}""",
    "titles": f"""
        select dataset, composer, title, num_train, num_validation, num_test, num_pairs, count(*) over () as num_all
        from titles_across_splits order by num_pairs desc, dataset, composer, title limit {SHOWN}""",
    "sharing": f"""
        select dataset_a, dataset_b, relation, num_pairs, num_performances_a, num_performances_b
        from datasets_sharing_music order by dataset_a, dataset_b, {_TIER}""",
    "copies": f"""
        select dataset_a, path_a, dataset_b, path_b, relation, score, coverage_a, coverage_b,
               count(*) over () as num_all
        from pairs_with_files
        where dataset_a <> dataset_b and relation in {(*COPIES, "excerpt")}
        order by {_TIER}, score desc, dataset_a, path_a, dataset_b, path_b limit {SHOWN}""",
    "examples": f"""
        select dataset_a, path_a, dataset_b, path_b, relation, score, coverage_a, coverage_b, semitones, is_mirrored,
               tempo_ratio, residual_sec, num_anchors
        from pairs_with_files
        qualify row_number() over (
            partition by relation order by dataset_a = dataset_b, score desc, dataset_a, path_a, dataset_b, path_b
        ) <= {PER_RELATION}
        order by {_TIER}, dataset_a = dataset_b, score desc, dataset_a, path_a, dataset_b, path_b""",
    "removed": "select dataset, relation, num_removed from removed_by_tier order by dataset, tier",
    "clusters": """
        select dataset, num_performances, num_clusters, num_repeated, num_in_repeated, most_in_one, num_shared
        from clusters_by_dataset order by dataset""",
    "largest_clusters": f"""
        select cluster_size, dataset, path, title, datasets, splits, num_works, works
        from cluster_summaries
        qualify row_number() over (partition by dataset order by cluster_size desc, path) <= {PER_DATASET}
        order by dataset, cluster_size desc, path""",
}
"""What is asked of a connection with `VIEWS`; every query has an order, so that the same rows give the same page."""


def read(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of some of `QUERIES`."""
    return {name: connection.sql(QUERIES[name]).to_arrow_table().to_pylist() for name in names}


def side_by_side(leakage: Sequence[Row], agreement: Sequence[Row]) -> list[Row]:
    """Each published split beside ours, by dataset and split.

    Args:
        leakage: rows of the query of that name.
        agreement: rows of the query of that name.

    Returns:
        `dataset`, `split`, and for each of `STANDINGS` how many performances it has and, as `train` and `validation`,
        the row of `leakage` that says how many of them have music there; None where that is not asked.
    """
    sizes: dict[tuple[str, str, str], int] = {}
    for row in agreement:
        for standing, split in (("published", row["published_split"]), ("ours", row["split"])):
            key = (standing, row["dataset"], split)
            sizes[key] = sizes.get(key, 0) + row["num_performances"]
    leaks = {(row["standing"], row["dataset"], row["split"], row["other_split"]): row for row in leakage}
    return [
        {
            "dataset": dataset,
            "split": split,
            **{
                standing: {
                    "num_performances": sizes.get((standing, dataset, split), 0),
                    **{other: leaks.get((standing, dataset, split, other)) for other in SPLITS[:-1]},
                }
                for standing in STANDINGS
            },
        }
        for dataset in sorted({row["dataset"] for row in agreement})
        for split in SPLITS
        if any(sizes.get((standing, dataset, split)) for standing in STANDINGS)
    ]


def matrix(rows: Sequence[Row], standing: str) -> Row:
    """The contamination matrix as a triangle: places by places, where a place is one split of one dataset.

    Places stand by split, then by dataset, so that pairs within a split fill the blocks along the diagonal, and any
    pair off them is a leak. Places without a pair are left out.

    Args:
        rows: rows of the query `matrix`.
        standing: of `STANDINGS`.

    Returns:
        `places`, (split, dataset) each; `splits`, those of the places with how many there are of each; `lines`, one for
        each place with a cell for each place up to itself; `num_leaks`, `num_melodies`: pairs across splits that count,
        and that share a melody alone.
    """
    relations: dict[tuple, dict[str, int]] = {}
    for row in rows:
        if row["standing"] == standing:
            ends = sorted([(row["split_a"], row["dataset_a"]), (row["split_b"], row["dataset_b"])], key=_place_order)
            found = relations.setdefault(tuple(ends), {})
            found[row["relation"]] = found.get(row["relation"], 0) + row["num_pairs"]
    places = sorted({place for ends in relations for place in ends}, key=_place_order)
    across = [(relation, n) for (a, b), found in relations.items() if a[0] != b[0] for relation, n in found.items()]
    names = [split for split, _ in places]
    return {
        "places": places,
        "splits": [(split, names.count(split)) for split in dict.fromkeys(names)],
        "lines": [
            (place, [_cell(earlier, place, relations.get((earlier, place), {})) for earlier in places[: i + 1]])
            for i, place in enumerate(places)
        ],
        "num_leaks": sum(n for relation, n in across if relation != "shared_melody"),
        "num_melodies": sum(n for relation, n in across if relation == "shared_melody"),
    }


def _place_order(place: tuple[str, str]) -> tuple[int, str, str]:
    split, dataset = place
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), split, dataset


def _cell(a: tuple[str, str], b: tuple[str, str], found: Mapping[str, int]) -> Row:
    """One cell: pairs that count, what it is (leak, melody, or within with its shade), and all of it in words."""
    num_pairs = sum(n for relation, n in found.items() if relation != "shared_melody")
    num_melodies = found.get("shared_melody", 0)
    is_across = a[0] != b[0]
    if not found:
        kind = ""
    elif not num_pairs:
        kind = "melody"
    else:
        kind = "leak" if is_across else f"within heat{sum(num_pairs >= least for least in HEAT)}"
    told = ", ".join(f"{found[relation]} {relation}" for relation in TIERS if relation in found)
    return {
        "num_pairs": num_pairs or num_melodies,
        "kind": kind,
        "is_across": is_across,
        "text": f"{a[1]} {a[0]} and {b[1]} {b[0]}: {told}" if found else None,
    }


def tiers(removed: Sequence[Row], clusters: Sequence[Row]) -> list[Row]:
    """What each tier removes of each dataset.

    Args:
        removed: rows of the query of that name.
        clusters: rows of the query of that name.

    Returns:
        The rows of `clusters`, each with `num_removed`, a dict by relation, and `num_left`.
    """
    by_dataset: dict[str, dict[str, int]] = {}
    for row in removed:
        by_dataset.setdefault(row["dataset"], {})[row["relation"]] = row["num_removed"]
    return [
        {
            **row,
            "num_removed": (found := by_dataset.get(row["dataset"], {})),
            "num_left": row["num_performances"] - sum(found.values()),
        }
        for row in clusters
    ]


def sharing_by_datasets(sharing: Sequence[Row]) -> list[Row]:
    """The query `sharing`, two datasets a row: `dataset_a`, `dataset_b`, and `num_pairs`, a dict by relation."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in sharing:
        found.setdefault((row["dataset_a"], row["dataset_b"]), {})[row["relation"]] = row["num_pairs"]
    return [{"dataset_a": a, "dataset_b": b, "num_pairs": counts} for (a, b), counts in found.items()]
