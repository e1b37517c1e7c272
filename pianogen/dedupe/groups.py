"""Which pairs join performances, and what hangs together by them.

relation        tier  joins
same_bytes      0     always: a copy
same_notes      1     always: a copy
edited_copy     2     always: a copy
excerpt         3     always
same_work       4     clusters always, splits unless `group_works = false`
shared_melody   5     where `group_shared_melodies = true`
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pianogen.lake import Lake
from pianogen.settings import SplitPolicy

COPIES = ("same_bytes", "same_notes", "edited_copy")
"""Relations of one rendition to itself."""
TIERS = (*COPIES, "excerpt", "same_work", "shared_melody")
"""Relations of pairs, the strictest first."""
WHOLE = 0.5
"""A pair is whole when it covers more than this share of both: two parts of a file that do not overlap cannot both be
more than half of it, so whole pairs do not chain through a concatenation."""
ALIKE_FROM, ALIKE = 1 / 3, 0.6
"""It is whole as well when it covers at least the former of both, and of the one at least the latter times what it
covers of the other: repeats that one of them leaves out cost both of them, but a part is covered wholly."""


class Pair(NamedTuple):
    """A row of the lake's `duplicate_pairs`, as far as grouping asks."""

    a: str
    b: str
    relation: str = "same_work"
    score: float = 1.0
    coverage_a: float = 1.0
    """Share of a's own time that the pair covers, 0-1."""
    coverage_b: float = 1.0

    def of(self, performance_id: str) -> float:
        """Share of one member's own time that the pair covers."""
        return self.coverage_a if performance_id == self.a else self.coverage_b

    def other(self, performance_id: str) -> str:
        """The other member."""
        return self.b if performance_id == self.a else self.a

    @property
    def mutual(self) -> float:
        """Share of the one that is covered less."""
        return min(self.coverage_a, self.coverage_b)

    @property
    def is_whole(self) -> bool:
        """Whether the two are the same music, neither a part of the other."""
        mutual = self.mutual
        return mutual > WHOLE or (mutual >= ALIKE_FROM and mutual >= ALIKE * max(self.coverage_a, self.coverage_b))


class Order:
    """Who goes before whom: earlier datasets first, then smaller ids; a dataset that is not named comes last."""

    def __init__(self, dataset_of: Mapping[str, str], dataset_order: Sequence[str]) -> None:
        self._dataset_of = dataset_of
        self._rank = {name: i for i, name in enumerate(dataset_order)}

    def __call__(self, performance_id: str) -> tuple[int, str]:
        """Sorting key of a performance; one that is not known stands last."""
        return self._rank.get(self._dataset_of.get(performance_id, ""), len(self._rank)), performance_id

    def first(self, performance_ids: Iterable[str]) -> str:
        """The one that names what hangs together: a recording added to a later dataset takes no name away."""
        return min(performance_ids, key=self)


class Components:
    """What hangs together: sets of performances, joined two by two (union-find, Tarjan 1975)."""

    def __init__(self, performance_ids: Iterable[str]) -> None:
        self._parent = {performance_id: performance_id for performance_id in performance_ids}

    def root(self, performance_id: str) -> str:
        """One of the set, the same for all of it until it is joined with another."""
        parent = self._parent
        while parent[performance_id] != performance_id:
            parent[performance_id] = parent[parent[performance_id]]
            performance_id = parent[performance_id]
        return performance_id

    def join(self, a: str, b: str) -> None:
        """Make one set of those of a and b, whose root is that of b."""
        self._parent[self.root(a)] = self.root(b)

    def sets(self) -> list[list[str]]:
        """Every set, ascending; in the order of their first members."""
        members: dict[str, list[str]] = {}
        for performance_id in sorted(self._parent):
            members.setdefault(self.root(performance_id), []).append(performance_id)
        return list(members.values())


def components(performance_ids: Iterable[str], pairs: Iterable[Pair]) -> list[list[str]]:
    """The sets of performances that pairs join, each ascending, in the order of their first members."""
    found = Components(performance_ids)
    for pair in pairs:
        found.join(pair.a, pair.b)
    return found.sets()


def pairs_of(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """The pairs of every performance that has one."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.a, []).append(pair)
        found.setdefault(pair.b, []).append(pair)
    return found


def clustering_relations(policy: SplitPolicy) -> frozenset[str]:
    """Relations that make two performances the same music."""
    return frozenset(TIERS if policy.group_shared_melodies else TIERS[:-1])


def splitting_relations(policy: SplitPolicy) -> frozenset[str]:
    """Relations that want two performances in one split."""
    return clustering_relations(policy) - (frozenset() if policy.group_works else {"same_work"})


def read_pairs(lake: Lake, relations: Collection[str]) -> list[Pair]:
    """The current pairs of these relations, ordered by their ids; a share that is not known counts as 1."""
    table = lake.read(
        "duplicate_pairs", ["performance_a", "performance_b", "relation", "score", "coverage_a", "coverage_b"]
    )
    columns = [column.to_pylist() for column in table.columns]
    found = (
        Pair(a, b, relation, score, 1.0 if of_a is None else of_a, 1.0 if of_b is None else of_b)
        for a, b, relation, score, of_a, of_b in zip(*columns, strict=True)
        if relation in relations
    )
    return sorted(found)


def read_published(lake: Lake) -> dict[str, str]:
    """The split that its dataset publishes, of every performance that has one."""
    with lake.connect(["files", "sources"]) as connection:
        rows = connection.sql(_PUBLISHED).fetchall()
    return dict(rows)


_PUBLISHED = """
select performance_id, published_split
from files
inner join sources using (dataset, path)
where performance_id is not null and published_split in ('train', 'validation', 'test')
order by performance_id
"""
