"""Groups of performances that stand on one side, and where each stands; pure functions.

A group is a connected component over every pair that the policy joins, so no such pair can stand in two
splits. It is wider than a cluster on purpose: a medley makes no one music of its parts, but it may not be
learned from while one of them is tested on. What goes where, for all that no owner pinned to a split:

- **Published** validation and test sets stay (`published = "keep"`). A group goes where the most held out of
  its published music stands: test before validation before train. Published music of another split that
  stands in the group is left out, since moving it would change a published set. Music of other datasets goes
  along. What a dataset did not publish in any of its splits counts as its train.
- **Drawn**: a group without published music goes where the hash of its name falls. Its name is that of its
  member with the smallest id in the earliest dataset; but the name under which most of its members were
  drawn before goes first (`earlier = "keep"`), so that what comes or goes moves nothing. Where two groups
  join, the smaller one must move, and `split_moves` says so. A new lake has no earlier names, and one whose
  names are those that a new lake would give has the same bytes as a new one.
- **Left out** (split `none`): all but one of each set of copies (`keep = "one"`), held-out published ones and
  the most complete first; and where a group has more than `max_group` performances, those that join its
  clusters, the ones with most such pairs first, never held-out published ones.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from pianogen.dedupe.groups import COPIES, TIERS, Order, Pair, components, pairs_of
from pianogen.settings import SplitPolicy

LEFT_OUT = "none"
"""The split of what no later stage reads."""
SIDES = ("test", "validation", "train")
"""The one that decides for a group first."""
REASONS = ("group", "published", "twin", "dataset", "duplicate", "bridge")
"""Why a performance stands where it stands: its group was drawn; its dataset says so; a published twin does; its
dataset is pinned; left out as a copy, or as what joins the clusters of a large group."""


@dataclass(frozen=True, kw_only=True)
class Music:
    """What is known of performances that are to be split; every mapping is by performance id."""

    dataset_of: Mapping[str, str]
    cluster_of: Mapping[str, str]
    pairs: Sequence[Pair]
    """Those that the policy joins."""
    dataset_order: Sequence[str]
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Split by dataset."""
    published: Mapping[str, str] = field(default_factory=dict)
    """Published split, of those that have one."""
    completeness: Mapping[str, float] = field(default_factory=dict)
    """As in `clusters`."""
    earlier: Mapping[str, str] = field(default_factory=dict)
    """Under which name it was drawn before, of those that were."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a performance stands, and why."""

    split: str
    reason: str
    group: str | None = None
    """None: its dataset is pinned."""
    drawn_by: str | None = None
    """The name whose hash decided; None: none did."""
    drawn: str | None = None
    """Where the hash of the group's name falls, whether it decided or not."""
    because_of: str | None = None
    """The performance that it follows or gives way to."""
    relation: str | None = None
    """Of the two; None: they are no pair."""


def split_of_group(name: str, policy: SplitPolicy) -> str:
    """Where the hash of a group's name falls."""
    at = int(hashlib.sha256(f"{policy.salt}:{name}".encode()).hexdigest()[:13], 16) / 16**13
    if at < policy.test_fraction:
        return "test"
    return "validation" if at < policy.test_fraction + policy.validation_fraction else "train"


def place(music: Music, policy: SplitPolicy) -> dict[str, Place]:
    """Where every performance stands; see the module's header for the rules."""
    order = Order(music.dataset_of, music.dataset_order)
    # The pinned have no say in where the others go, not even by joining two groups.
    free = {i for i, dataset in music.dataset_of.items() if dataset not in music.pinned}
    pairs = sorted(pair for pair in music.pairs if pair.a in free and pair.b in free)
    music = replace(music, pairs=pairs, published=_said(music, free) if policy.published == "keep" else {})
    places = {
        i: Place(split=music.pinned[dataset], reason="dataset")
        for i, dataset in music.dataset_of.items()
        if i not in free
    }
    by_member = pairs_of(pairs)
    for group in components(free, pairs):
        bridges = _left_out_bridges(group, music, policy, order, by_member)
        for i, pair in bridges.items():
            places[i] = Place(
                split=LEFT_OUT,
                reason="bridge",
                group=i,
                drawn=split_of_group(i, policy),
                because_of=pair.other(i),
                relation=pair.relation,
            )
        for part in _without(group, bridges, by_member) if bridges else [group]:
            places |= _place_group(part, music, policy, order, by_member)
    if policy.keep == "one":
        _leave_out_copies(places, music, order, by_member)
    return places


def _said(music: Music, free: Collection[str]) -> dict[str, str]:
    """Published splits; what a dataset publishes in none, though it publishes some, is as if it were in train."""
    said = {i: split for i, split in music.published.items() if i in free}
    publishing = {music.dataset_of[i] for i in said}
    return {i: "train" for i in free if music.dataset_of[i] in publishing} | said


def _place_group(
    group: Sequence[str],
    music: Music,
    policy: SplitPolicy,
    order: Order,
    by_member: Mapping[str, Sequence[Pair]],
) -> dict[str, Place]:
    name, published = order.first(group), music.published
    drawn_by = _name_to_draw(group, name, music.earlier if policy.earlier == "keep" else {}, order)
    drawn = split_of_group(drawn_by, policy)
    said = {published[i] for i in group if i in published}
    side = next((split for split in SIDES if split in said), None)
    if side is None:
        return dict.fromkeys(group, Place(split=drawn, reason="group", group=name, drawn_by=drawn_by, drawn=drawn))
    deciding = frozenset(i for i in group if published.get(i) == side)
    found = dict.fromkeys(deciding, Place(split=side, reason="published", group=name, drawn=drawn))
    first = order.first(deciding)
    for i in (i for i in group if i not in found):
        pair = closest(i, deciding.__contains__, by_member, order)
        found[i] = Place(
            split=LEFT_OUT if i in published else side,
            reason="twin",
            group=name,
            drawn=drawn,
            because_of=pair.other(i) if pair else first,
            relation=pair and pair.relation,
        )
    return found


def _name_to_draw(group: Iterable[str], name: str, earlier: Mapping[str, str], order: Order) -> str:
    """The name under which most of a group were drawn before; without one, the group's own."""
    names = Counter(earlier[i] for i in group if i in earlier)
    return min(names, key=lambda n: (-names[n], *order(n)), default=name)


def closest(
    performance_id: str, is_wanted: Callable[[str], bool], by_member: Mapping[str, Sequence[Pair]], order: Order
) -> Pair | None:
    """Of a performance's pairs with those that are wanted the strictest, then that of the highest score."""
    return min(
        (pair for pair in by_member.get(performance_id, ()) if is_wanted(pair.other(performance_id))),
        key=lambda p: (TIERS.index(p.relation), -p.score, *order(p.other(performance_id))),
        default=None,
    )


def _leave_out_copies(
    places: dict[str, Place], music: Music, order: Order, by_member: Mapping[str, Sequence[Pair]]
) -> None:
    there = {i for i, place in places.items() if place.reason != "dataset" and place.split != LEFT_OUT}
    copies = [p for p in music.pairs if p.relation in COPIES and p.a in there and p.b in there]
    for ids in components({i for pair in copies for i in pair[:2]}, copies):
        kept = {i for i in ids if music.published.get(i) in ("validation", "test")}
        if not kept:
            kept = {min(ids, key=lambda i: (-round(music.completeness.get(i, 1.0), 1), *order(i)))}
        first = order.first(kept)
        for i in ids:
            if i not in kept:
                pair = closest(i, kept.__contains__, by_member, order)
                places[i] = replace(
                    places[i],
                    split=LEFT_OUT,
                    reason="duplicate",
                    because_of=pair.other(i) if pair else first,
                    relation=pair and pair.relation,
                )


def _left_out_bridges(
    group: Sequence[str], music: Music, policy: SplitPolicy, order: Order, by_member: Mapping[str, Sequence[Pair]]
) -> dict[str, Pair]:
    if not policy.max_group or len(group) <= policy.max_group:
        return {}
    kept = {i for i in group if music.published.get(i, "train") != "train"}
    return dict(bridges_of(group, by_member, music.cluster_of, order, kept))


def _without(
    group: Sequence[str], bridges: Collection[str], by_member: Mapping[str, Sequence[Pair]]
) -> list[list[str]]:
    """What is left of a group, as it still hangs together."""
    left = {i for i in group if i not in bridges}
    return components(left, (pair for i in sorted(left) for pair in by_member.get(i, ()) if pair.other(i) in left))


def bridges_of(
    group: Iterable[str],
    by_member: Mapping[str, Sequence[Pair]],
    cluster_of: Mapping[str, str],
    order: Order,
    kept: Set[str] = frozenset(),
) -> list[tuple[str, Pair]]:
    """The performances without which a group falls apart into its clusters.

    Args:
        group: ids.
        by_member: pairs of each performance.
        cluster_of: cluster of each performance.
        order: among equals the later one is taken.
        kept: ids that are never taken; a pair of two of them stays.

    Returns:
        Each with one of the pairs by which it joins another cluster; the one with most such pairs first, counted
        after those before it went (the greedy vertex cover).
    """
    links = {
        i: [p for p in by_member.get(i, ()) if cluster_of[p.a] != cluster_of[p.b] and not {p.a, p.b} <= kept]
        for i in group
    }
    latest = sorted((i for i, found in links.items() if found), key=order, reverse=True)
    num_links = {i: len(links[i]) for i in latest}
    queue = [(-num_links[i], position) for position, i in enumerate(latest) if i not in kept]
    heapq.heapify(queue)
    gone: dict[str, Pair] = {}
    while queue:
        count, position = queue[0]
        i = latest[position]
        if -count != num_links[i]:
            heapq.heapreplace(queue, (-num_links[i], position))
            continue
        heapq.heappop(queue)
        if not count:
            break
        open_links = [p for p in links[i] if p.other(i) not in gone]
        gone[i] = min(open_links, key=lambda p: (TIERS.index(p.relation), -p.score, *order(p.other(i))))
        for pair in open_links:
            num_links[pair.other(i)] -= 1
    return list(gone.items())
