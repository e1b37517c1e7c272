"""Clusters: performances that hold the same music.

Pairs join (see `groups`), but not every chain of pairs is one music: a medley, a concatenation, a sonata in
one file joins what is not each other's. Three steps:

1. **Cores.** Components over whole pairs, those that cover most of both, or about as much of both.
2. **Medoids.** Whole pairs may still chain, by a false one or by small steps. A core of more than
   `MAX_UNCHECKED` is taken apart: its medoid, the member with the largest sum of mutual coverage, takes those
   that are a whole pair with it and share no more with others than with these, then those that are a whole
   pair with half of the taken; what is left starts again.
3. **Parts.** A core of one rendition (its copies counted as one) has one way to go: to the core of which it
   holds most, as a share of its own time. It goes there when that core has several renditions, which makes
   it a work; or lies wholly in it; or has its own way to it. A work never goes anywhere. So an excerpt goes
   to its work, and a medley to the part it shares most with, and joins nothing.

What is cut here may not be torn apart by the splits: those follow groups, connected components over every
joining pair (see `splits`), and a cluster never decides more than what counts as one music.

A cluster is named after its member with the smallest id in the earliest dataset of the catalogue, so that a
recording added to a later dataset renames no cluster. Its **representative** is the most complete member:
the one that covers most of the others' time, in tenths; among equals of the published test, validation,
train split before the others; then of the earliest dataset; then the smallest id.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from pianogen.dedupe.groups import (
    COPIES,
    TIERS,
    WHOLE,
    Components,
    Order,
    Pair,
    clustering_relations,
    components,
    pairs_of,
    read_pairs,
    read_published,
)
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.settings import SplitPolicy
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="clusters",
    modules=("pianogen.dedupe.clusters", "pianogen.dedupe.groups"),
    packages=("pyarrow",),
    tables=("clusters",),
)
MAX_UNCHECKED = 8
"""Members of a core that is believed without a look at its medoid."""
_PREFERRED = ("test", "validation", "train")


def find_clusters(lake: Lake, dataset_order: Sequence[str], policy: SplitPolicy | None = None) -> Manifest:
    """The cluster of every current performance.

    Args:
        lake: with `performances`, `files`, `sources` and `duplicate_pairs`.
        dataset_order: dataset names, earliest first.
        policy: says whether a shared melody joins.

    Returns:
        The manifest; its info counts clusters, and performances that pairs join but clusters part.

    Raises:
        LakeError: a pair names a performance that is no longer there.
    """
    relations = clustering_relations(policy or SplitPolicy())
    performances = lake.read("performances", ["performance_id", "dataset"])
    dataset_of = dict(zip(*(c.to_pylist() for c in performances.columns), strict=True))
    published = read_published(lake)
    inputs = [lake.require("duplicate_pairs").version, digest(sorted(dataset_of.items()), sorted(published.items()))]
    key = STAGE.key(inputs=inputs, settings=[list(dataset_order), sorted(relations)])
    pairs = read_pairs(lake, relations)
    if not {i for pair in pairs for i in pair[:2]} <= dataset_of.keys():
        raise LakeError("performances went since pairs were found; run the stage 'duplicate_pairs' again")
    if not lake.has_block(STAGE.name, key):
        rows = cluster_rows(dataset_of, pairs, dataset_order, published)
        lake.write_block(STAGE.name, key, {"clusters": pa.Table.from_pylist(rows, schema=SCHEMAS["clusters"])})
    clusters = lake.read_block(STAGE.name, key, "clusters")
    cluster_of = dict(zip(clusters["performance_id"].to_pylist(), clusters["cluster_id"].to_pylist(), strict=True))
    info = {
        "num_clusters": len(set(cluster_of.values())),
        "largest": int(clusters["cluster_size"].to_numpy().max(initial=0)),
        "num_pairs_cut": sum(cluster_of[pair.a] != cluster_of[pair.b] for pair in pairs),
    }
    return lake.publish(STAGE, [key], info=info)


def cluster_rows(
    dataset_of: Mapping[str, str],
    pairs: Iterable[Pair],
    dataset_order: Sequence[str],
    published: Mapping[str, str] | None = None,
) -> list[dict]:
    """Rows of the lake's `clusters`, ascending by performance.

    Args:
        dataset_of: dataset of each performance id.
        pairs: those that join.
        dataset_order: dataset names, earliest first; a dataset that is not named comes last.
        published: published split of the performances that have one.
    """
    order, published, pairs = Order(dataset_of, dataset_order), published or {}, sorted(pairs)
    clusters = same_music(dataset_of, pairs, order)
    number_of = {i: number for number, ids in enumerate(clusters) for i in ids}
    inside = [pair for pair in pairs if number_of[pair.a] == number_of[pair.b]]
    by_member, absorbed = pairs_of(inside), _absorbed(dataset_of, inside, order)
    rows = []
    for ids in clusters:
        completeness = {i: _completeness(i, by_member.get(i, ()), len(ids)) for i in ids}

        def preference(i: str, of: Mapping[str, float] = completeness) -> tuple:
            split = published.get(i)
            rank = _PREFERRED.index(split) if split in _PREFERRED else len(_PREFERRED)
            return (-round(of[i], 1), rank, *order(i))

        name, representative = order.first(ids), min(ids, key=preference)
        for i in ids:
            nearest = _nearest(i, by_member.get(i, ()), order)
            rows.append(
                {
                    "performance_id": i,
                    "cluster_id": name,
                    "is_representative": i == representative,
                    "cluster_size": len(ids),
                    "completeness": completeness[i],
                    "absorbed_by": absorbed.get(i),
                    "nearest_id": nearest and nearest.other(i),
                    "nearest_relation": nearest and nearest.relation,
                    "nearest_score": nearest and nearest.score,
                    "nearest_coverage": nearest and nearest.of(i),
                }
            )
    return sorted(rows, key=lambda row: row["performance_id"])


def same_music(performance_ids: Collection[str], pairs: Sequence[Pair], order: Order) -> list[list[str]]:
    """The clusters, as sets of ids, each ascending; see the module's header for the rule."""
    whole = [pair for pair in pairs if pair.is_whole]
    by_member = pairs_of(whole)
    cores = [
        part
        for core in components(performance_ids, whole)
        for part in (_around_medoids(core, by_member, order) if len(core) > MAX_UNCHECKED else [core])
    ]
    return _with_parts(cores, pairs, order)


def _around_medoids(core: Sequence[str], by_member: Mapping[str, Sequence[Pair]], order: Order) -> list[list[str]]:
    free = set(core)
    # In thousandths: sums of whole numbers do not depend on their order.
    weight = {i: sum(round(1000 * pair.mutual) for pair in by_member[i]) for i in core}
    queue = [(-weight[i], order(i)) for i in core]
    heapq.heapify(queue)
    found = []
    while queue:
        heaviest, (_, medoid) = queue[0]
        if medoid not in free:
            heapq.heappop(queue)
            continue
        if -heaviest != weight[medoid]:
            # It lost members since it was queued.
            heapq.heapreplace(queue, (-weight[medoid], order(medoid)))
            continue
        reached = {medoid, *(pair.other(medoid) for pair in by_member[medoid])} & free
        near = {i for i in reached if i == medoid or _leans_to(i, reached, free, by_member)}
        ties = Counter(
            other for i in near for pair in by_member[i] if (other := pair.other(i)) in free and other not in near
        )
        taken = near | {i for i, num_ties in ties.items() if 2 * num_ties >= len(near)}
        free -= taken
        found.append(sorted(taken))
        for i in taken:
            for pair in by_member[i]:
                weight[pair.other(i)] -= round(1000 * pair.mutual)
    return found


def _leans_to(
    performance_id: str, reached: Collection[str], free: Collection[str], by_member: Mapping[str, Sequence[Pair]]
) -> bool:
    """Whether it shares no more with what is out of a medoid's reach: one false pair moves nobody."""
    balance = 0
    for pair in by_member[performance_id]:
        if (other := pair.other(performance_id)) in free:
            balance += round(1000 * pair.mutual) * (1 if other in reached else -1)
    return balance >= 0


def _with_parts(cores: Sequence[Sequence[str]], pairs: Sequence[Pair], order: Order) -> list[list[str]]:
    core_of = {i: number for number, core in enumerate(cores) for i in core}
    is_work = _are_works(cores, pairs, core_of)
    ways: dict[int, tuple[tuple, int, Pair]] = {}
    for pair in pairs:
        for here, there in ((pair.a, pair.b), (pair.b, pair.a)):
            mine, other = core_of[here], core_of[there]
            if mine == other or is_work[mine]:
                continue
            # In tenths: what an alignment misses at the edges must not decide between two renditions.
            preference = (-round(pair.of(here), 1), not is_work[other], -pair.of(there), -pair.score, *order(there))
            if mine not in ways or preference < ways[mine][0]:
                ways[mine] = (preference, other, pair)
    found = Components(core_of)
    for core in cores:
        for i in core[1:]:
            found.join(core[0], i)
    for mine, (_, other, pair) in ways.items():
        there = pair.a if core_of[pair.a] == other else pair.b
        goes_back = other in ways and ways[other][1] == mine
        if is_work[other] or pair.of(there) > WHOLE or goes_back:
            found.join(pair.a, pair.b)
    return found.sets()


def _are_works(cores: Sequence[Sequence[str]], pairs: Sequence[Pair], core_of: Mapping[str, int]) -> list[bool]:
    """Whether each core holds several renditions: more than copies of one."""
    copies = Components(core_of)
    for pair in pairs:
        if pair.relation in COPIES and core_of[pair.a] == core_of[pair.b]:
            copies.join(pair.a, pair.b)
    return [len({copies.root(i) for i in core}) > 1 for core in cores]


def _completeness(performance_id: str, pairs: Sequence[Pair], num_members: int) -> float:
    """Mean share of the other members' time that one covers; those it is no pair with count as 0."""
    covered = sum(round(1e6 * pair.of(pair.other(performance_id))) for pair in pairs)
    return round(covered / 1e6 / (num_members - 1), 6) if num_members > 1 else 1.0


def _nearest(performance_id: str, pairs: Sequence[Pair], order: Order) -> Pair | None:
    """The strictest pair of one member, of those the one that covers most of it."""
    return min(
        pairs,
        key=lambda p: (
            TIERS.index(p.relation),
            -p.of(performance_id),
            -p.score,
            *order(p.other(performance_id)),
        ),
        default=None,
    )


def _absorbed(performance_ids: Iterable[str], pairs: Sequence[Pair], order: Order) -> dict[str, str]:
    """By which relation each performance would go, were one of each cluster kept, the strictest tier first."""
    found = Components(performance_ids)
    absorbed = {}
    for pair in sorted(pairs, key=lambda p: TIERS.index(p.relation)):
        ends = found.root(pair.a), found.root(pair.b)
        if ends[0] != ends[1]:
            later, first = sorted(ends, key=order, reverse=True)
            found.join(later, first)
            absorbed[later] = pair.relation
    return absorbed
