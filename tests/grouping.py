"""Strategies for performances of three datasets and pairs between them, and a walk that checks components."""

from collections.abc import Iterable
from itertools import combinations

from hypothesis import settings
from hypothesis import strategies as st

from pianogen.dedupe.groups import TIERS, Pair

UNHURRIED = settings(deadline=None)
"""How long one example takes tells of the machine."""
IDS = [f"{i:02d}" for i in range(12)]
SHARES = (0.05, 0.3, 0.5, 0.6, 1.0)


def pair_of(ids: tuple[str, str], relation: str, coverage_a: float, coverage_b: float) -> Pair:
    return Pair(*ids, relation, round(min(coverage_a, coverage_b), 2), coverage_a, coverage_b)


def pair_lists(ids: Iterable[str] = IDS, relations: Iterable[str] = TIERS[:-1], max_size: int = 14):
    """Pairs of ids, a before b, each at most once, of any coverage."""
    ends = st.sampled_from(list(combinations(sorted(ids), 2)))
    found = st.builds(pair_of, ends, st.sampled_from(list(relations)), st.sampled_from(SHARES), st.sampled_from(SHARES))
    return st.lists(found, max_size=max_size, unique_by=lambda pair: (pair.a, pair.b))


def whole_pairs(ids: Iterable[str], max_size: int = 14):
    """Pairs of renditions that cover each other wholly."""
    return st.lists(
        st.builds(lambda ends: Pair(*ends), st.sampled_from(list(combinations(sorted(ids), 2)))),
        max_size=max_size,
        unique=True,
    )


def reachable(start: str, pairs: Iterable[Pair]) -> set[str]:
    """By walking, not by union-find."""
    pairs = list(pairs)
    found, todo = {start}, [start]
    while todo:
        at = todo.pop()
        for pair in pairs:
            if at in pair[:2]:
                todo += [i for i in pair[:2] if i not in found]
                found |= set(pair[:2])
    return found


def clique(ids: Iterable[str], relation: str = "same_work", coverage: float = 0.9) -> list[Pair]:
    """Every two of them a pair."""
    return [Pair(a, b, relation, 0.5, coverage, coverage) for a, b in combinations(sorted(ids), 2)]


def part(whole: str, held: str, share: float, relation: str = "excerpt") -> Pair:
    """`whole` holds `held`, which takes this share of its time."""
    if held < whole:
        return Pair(held, whole, relation, 1.0, 1.0, share)
    return Pair(whole, held, relation, 1.0, share, 1.0)
