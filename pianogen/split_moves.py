"""What stands elsewhere than it would by itself, and what moved since the splits were last made.

Two sets of rows of one table. The first is a function of the present: against the published split, or
against the draw of the group's name. The second compares with the splits of before; it is a stage apart,
since nothing that is made of the music may depend on the past. A performance keeps the row of its last move.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pianogen.dedupe.groups import Order, pairs_of
from pianogen.lake import Lake, Manifest, Stage
from pianogen.split_groups import Music, Place, closest
from pianogen.tables import SCHEMAS

HISTORY = Stage(name="split_history", modules=("pianogen.split_moves",), packages=("pyarrow",), tables=("split_moves",))


def moves_from_own(places: Mapping[str, Place], music: Music, *, follow_published: bool) -> list[dict]:
    """Rows of `split_moves` for what does not stand where its published split or its group's draw says.

    Args:
        places: of every performance.
        music: that was placed.
        follow_published: whether published splits are kept; otherwise none is compared with.
    """
    rows = []
    for i, place in sorted(places.items()):
        published = music.published.get(i) if follow_published else None
        own = published or place.drawn
        if own is not None and own != place.split:
            rows.append(_row(i, music, "published" if published else "drawn", own, place, place.reason))
    return rows


def moves_from_earlier(
    places: Mapping[str, Place], music: Music, before: Mapping[str, Mapping], *, is_same_policy: bool
) -> list[dict]:
    """Rows of `split_moves` for what stood in another split before.

    Args:
        places: of every performance.
        music: that was placed.
        before: rows of the earlier `splits`, by performance.
        is_same_policy: whether the earlier ones were made by the same policy, over the same pinned datasets.
    """
    changed = sorted(i for i, place in places.items() if i in before and before[i]["split"] != place.split)
    if not changed:
        return []
    order, by_member = Order(music.dataset_of, music.dataset_order), pairs_of(music.pairs)

    def group_before(i: str) -> str | None:
        return before[i]["split_group"] if i in before else None

    def differ(i: str, j: str) -> bool:
        """Whether j stands in the group of i now, and did not before."""
        return places[i].group == places[j].group and (j not in before or group_before(i) != group_before(j))

    # The first two of a group that come from two groups: one of them is new to every other.
    firsts: dict[str | None, list[str]] = {}
    for i in sorted(places, key=order):
        found = firsts.setdefault(places[i].group, [])
        if not found or (len(found) == 1 and differ(found[0], i)):
            found.append(i)
    rows = []
    for i in changed:
        place = places[i]
        if not is_same_policy:
            reason, place = "policy", Place(split=place.split, reason="policy")
        elif place.reason != "group":
            reason = place.reason
        else:
            pair = closest(i, lambda j, i=i: differ(i, j), by_member, order)
            because_of = pair.other(i) if pair else next((j for j in firsts[place.group] if differ(i, j)), None)
            reason = "joined" if because_of else "parted"
            place = Place(
                split=place.split, reason=reason, because_of=because_of, relation=pair.relation if pair else None
            )
        rows.append(_row(i, music, "earlier", before[i]["split"], place, reason))
    return rows


def record_moves(lake: Lake, rows: Sequence[dict], places: Mapping[str, Place]) -> Manifest:
    """Publish moves since the splits of before, beside the last one of every performance that did not move now."""
    earlier = lake.manifest(HISTORY.name)
    kept = {
        row["performance_id"]: row
        for key in (earlier.blocks if earlier else ())
        for row in lake.read_block(HISTORY.name, key, "split_moves").to_pylist()
        if row["performance_id"] in places and places[row["performance_id"]].split == row["to_split"]
    }
    merged = kept | {row["performance_id"]: row for row in rows}
    table = [merged[i] for i in sorted(merged)]
    key = HISTORY.key(inputs=table)
    if not lake.has_block(HISTORY.name, key):
        block = {"split_moves": pa.Table.from_pylist(table, schema=SCHEMAS["split_moves"])}
        lake.write_block(HISTORY.name, key, block)
    return lake.publish(HISTORY, [key], info={"num_moved": len(table)})


def _row(performance_id: str, music: Music, compared_with: str, before: str, place: Place, reason: str) -> dict:
    return {
        "performance_id": performance_id,
        "dataset": music.dataset_of[performance_id],
        "compared_with": compared_with,
        "from_split": before,
        "to_split": place.split,
        "reason": reason,
        "because_of": place.because_of,
        "relation": place.relation,
    }
