"""Clusters to train, validation and test.

The same music stands on one side: splits follow groups, which are wider than clusters, and published
validation and test sets stay as they are; `split_groups` has the rules. A dataset that its owner pins to a
split stays there, whatever its groups say; it never moves other music, not even by joining two groups.
Where a pinned performance copies music of another split, the contamination gate says so.

What stands elsewhere than its dataset or its draw says is a row of `split_moves`, and so is what moved since
the splits were last made (see `split_moves`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pianogen.catalogue import Dataset
from pianogen.dedupe.groups import Order, pairs_of, read_pairs, read_published, splitting_relations
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.leakage import report_contamination
from pianogen.licences import recorded_licences
from pianogen.settings import SplitPolicy
from pianogen.split_groups import LEFT_OUT, Music, Place, bridges_of, place
from pianogen.split_moves import moves_from_earlier, moves_from_own, record_moves
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="splits",
    modules=("pianogen.splits", "pianogen.split_groups", "pianogen.split_moves", "pianogen.dedupe.groups"),
    packages=("pyarrow",),
    tables=("splits", "split_moves"),
)
GIANT_SHARE = 0.1
"""A group that holds more than this share of all notes is told: it may be no music's own, but chained."""
GIANT_FROM = 50
"""Performances that such a group has at least: of little music any work is a large share."""
NUM_BRIDGES_TOLD = 20


def policy_of(splits: Manifest) -> SplitPolicy:
    """The policy that splits were made by.

    Raises:
        LakeError: it has settings that are not known here.
    """
    try:
        return SplitPolicy(**splits.info.get("policy", {}))
    except TypeError as error:
        raise LakeError(f"the splits' policy is of another version ({error}); run the stage 'splits' again") from None


def assign_splits(lake: Lake, datasets: Sequence[Dataset], policy: SplitPolicy | None = None) -> Manifest:
    """The split of every current performance, and the report of what stands in two splits.

    Args:
        lake: with `performances`, `files`, `sources`, `clusters` and `duplicate_pairs`.
        datasets: with the splits they are pinned to, earliest first.
        policy: shares, salt, and what counts as the same music.

    Returns:
        The manifest of stage `splits`; its info counts performances by split, those left out by reason, what
        moved, and tells groups that hold a large share of all notes.

    Raises:
        LakeError: the clusters are of other performances than those in the lake now.
    """
    policy = policy or SplitPolicy()
    performances = lake.read("performances", ["performance_id", "dataset", "num_notes"]).to_pydict()
    dataset_of = dict(zip(performances["performance_id"], performances["dataset"], strict=True))
    clusters = lake.require("clusters")
    members = lake.read("clusters", ["performance_id", "cluster_id", "completeness"]).to_pydict()
    if set(members["performance_id"]) != dataset_of.keys():
        raise LakeError("performances came or went since the clusters were found; run the stage 'clusters' again")
    before = lake.manifest(STAGE.name)
    earlier_rows = _rows_before(lake, before)
    music = Music(
        dataset_of=dataset_of,
        cluster_of=dict(zip(members["performance_id"], members["cluster_id"], strict=True)),
        pairs=read_pairs(lake, splitting_relations(policy)),
        dataset_order=[dataset.name for dataset in datasets],
        pinned={dataset.name: dataset.split for dataset in datasets if dataset.split != "auto"},
        published=read_published(lake),
        completeness=dict(zip(members["performance_id"], members["completeness"], strict=True)),
        earlier={i: row["drawn_by"] for i, row in earlier_rows.items() if row["drawn_by"] is not None},
    )
    places = place(music, policy)
    made_by = {"policy": asdict(policy), "pinned": dict(music.pinned)}
    own_moves = moves_from_own(places, music, follow_published=policy.published == "keep")
    is_same = before is not None and {name: before.info.get(name) for name in made_by} == made_by
    moved = moves_from_earlier(places, music, earlier_rows, is_same_policy=is_same)
    # Before the splits of the last time are replaced.
    record_moves(lake, moved, places)
    kept_names = sorted({(p.group, p.drawn_by) for p in places.values() if p.drawn_by not in (None, p.group)})
    inputs = [clusters.version, lake.require("duplicate_pairs").version, digest(sorted(music.published.items()))]
    order_and_pins = [(dataset.name, dataset.split) for dataset in datasets]
    key = STAGE.key(inputs=[*inputs, kept_names], settings=[asdict(policy), order_and_pins])
    if not lake.has_block(STAGE.name, key):
        rows = {"splits": split_rows(places, music), "split_moves": own_moves}
        tables = {name: pa.Table.from_pylist(rows[name], schema=SCHEMAS[name]) for name in rows}
        lake.write_block(STAGE.name, key, tables)
    info = {
        "num_performances": {
            split: sum(p.split == split for p in places.values()) for split in ("train", "validation", "test")
        },
        "num_left_out": _counted(p.reason for p in places.values() if p.split == LEFT_OUT),
        "num_moves": _counted(f"{row['reason']} of {row['compared_with']}" for row in own_moves),
        "giant_groups": giant_groups(
            places, music, dict(zip(performances["performance_id"], performances["num_notes"], strict=True))
        ),
        **made_by,
        **recorded_licences(lake),
    }
    manifest = lake.publish(STAGE, [key], info=info)
    report_contamination(lake, manifest, policy)
    return manifest


def split_rows(places: Mapping[str, Place], music: Music) -> list[dict]:
    """Rows of the lake's `splits`, ascending by performance."""
    return [
        {
            "performance_id": i,
            "dataset": music.dataset_of[i],
            "cluster_id": music.cluster_of[i],
            "split_group": places[i].group,
            "drawn_by": places[i].drawn_by,
            "split": places[i].split,
            "reason": places[i].reason,
        }
        for i in sorted(places)
    ]


def _rows_before(lake: Lake, before: Manifest | None) -> dict[str, dict]:
    """The current splits by performance; none where they were written with other columns."""
    rows = [
        row
        for key in (before.blocks if before else ())
        for row in lake.read_block(STAGE.name, key, "splits").to_pylist()
    ]
    return {row["performance_id"]: row for row in rows if row.keys() == set(SCHEMAS["splits"].names)}


def _counted(names) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def giant_groups(places: Mapping[str, Place], music: Music, num_notes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Groups that hold a large share of all notes, with the performances that join their clusters."""
    groups: dict[str, list[str]] = {}
    for i, where in sorted(places.items()):
        if where.group is not None:
            groups.setdefault(where.group, []).append(i)
    total, found = sum(num_notes.values()), []
    order, by_member = Order(music.dataset_of, music.dataset_order), None
    for name, ids in sorted(groups.items()):
        share = sum(num_notes[i] for i in ids) / total if total else 0.0
        if len(ids) < GIANT_FROM or share <= GIANT_SHARE:
            continue
        by_member = by_member or pairs_of(pair for pair in music.pairs if {pair.a, pair.b} <= places.keys())
        inside = set(ids)
        own = {i: [p for p in by_member.get(i, ()) if p.other(i) in inside] for i in ids}
        bridges = [i for i, _ in bridges_of(ids, own, music.cluster_of, order)]
        found.append(
            {
                "split_group": name,
                "split": _counted(places[i].split for i in ids),
                "num_performances": len(ids),
                "num_clusters": len({music.cluster_of[i] for i in ids}),
                "note_share": round(share, 4),
                "num_bridges": len(bridges),
                "bridges": bridges[:NUM_BRIDGES_TOLD],
            }
        )
    return found
