"""What music weights have seen, and whether any of it is held out of a fine-tune of them.

A split keeps the music of one training apart. Weights that go on into another training bring along what they saw
before, so three things are asked before the first step of a fine-tune:

1. All its parents were trained on the split that it is trained on (`same_split`): the gate has judged that one.
2. Otherwise every performance that they saw (`trained_on.txt` of the run) is compared with what is held out now, by
   its id, and by the pairs and clusters of the lake (`compared`). One that is held out, or related to one in a way that
   the policy wants on one side, is an error that no setting turns off.
3. Where that cannot be known, since nobody wrote down what they saw or the lake holds it no longer, training is
   refused, unless `fine_tune_unchecked` says to go on; then lineage and leaderboard say `unchecked`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen.contamination import describe
from pianogen.dedupe.candidates import not_yet_compared
from pianogen.dedupe.groups import splitting_relations
from pianogen.errors import ContaminationError
from pianogen.lake import Lake
from pianogen.shards import ShardSet
from pianogen.splits import policy_of
from pianogen.training.runs import write_whole

TRAINED_ON_FILE = "trained_on.txt"
"""Of a run: ids of all performances that its weights have seen, ascending, a line each."""
SAME_SPLIT, COMPARED, UNCHECKED = "same_split", "compared", "unchecked"
HELD_OUT = ("validation", "test")
SHOWN = 20
"""Leaks that an error lists."""


def performances_of(shards: ShardSet, split: str) -> set[str]:
    """Ids of the performances that the shards of a split were made of."""
    return set(shards.sequences(split).performance_ids)


def write_seen(run: Path, performance_ids: Collection[str]) -> str:
    """Write down what weights see; the hash that `read_seen` asks for."""
    data = "".join(f"{name}\n" for name in sorted(performance_ids)).encode()
    path = run / TRAINED_ON_FILE
    if not path.is_file() or path.read_bytes() != data:
        write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def read_seen(run: Path, digest: str | None) -> set[str] | None:
    """What the weights of a run have seen; None where it was not written down, or was changed since.

    Args:
        run: its folder.
        digest: what its lineage says of the file.
    """
    try:
        data = (run / TRAINED_ON_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return set(data.decode().split()) if hashlib.sha256(data).hexdigest() == digest else None


def judge(
    lake: Lake, shards: ShardSet, parents: Sequence[Mapping[str, Any]], seen: Collection[str] | None, unchecked: bool
) -> str:
    """How it is known that nothing held out was seen: SAME_SPLIT or COMPARED; UNCHECKED where it is not.

    Args:
        lake: holds the current pairs and splits.
        shards: of the fine-tune.
        parents: what is said of each, see `parents.described`.
        seen: performances that they were trained on; None: not known.
        unchecked: whether the experiment goes on where it is not known.

    Raises:
        ContaminationError: something held out was seen, or nobody can tell.
    """
    versions = {str(parent["split_version"]) for parent in parents}
    if versions == {shards.info["split_version"]} and all(parent["certificate"] for parent in parents):
        return SAME_SPLIT
    if seen is None:
        doubt: str | None = "what they were trained on is not written down, or was changed since"
    else:
        held_out = {name: split for split in HELD_OUT for name in performances_of(shards, split)}
        _refuse_leaks(lake, shards, parents, seen, held_out)
        doubt = _doubt(lake, seen, held_out)
    if doubt is None:
        return COMPARED
    if unchecked:
        return UNCHECKED
    raise ContaminationError(
        f"{shards.manifest.partition}: its weights begin with {_named(parents)}, trained on another split "
        f"({', '.join(sorted(versions))}) than this one ({shards.info['split_version']}), and nobody can tell whether "
        f"they saw music that is held out now: {doubt}. Train the parent on the current split, or set "
        "training.fine_tune_unchecked: true; then lineage and leaderboard say that it is not known"
    )


def _refuse_leaks(
    lake: Lake,
    shards: ShardSet,
    parents: Sequence[Mapping[str, Any]],
    seen: Collection[str],
    held_out: Mapping[str, str],
) -> None:
    policy = policy_of(lake.require("splits"))
    tables = {
        "seen": pa.table({"performance_id": pa.array(sorted(seen), pa.string())}),
        "held_out": pa.table(
            {
                "performance_id": pa.array(list(held_out), pa.string()),
                "split": pa.array(list(held_out.values()), pa.string()),
            }
        ),
    }
    relations = sorted(splitting_relations(policy))
    with lake.connect(["files", "splits", "duplicate_pairs"]) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        same = connection.sql(_SAME).fetchall()
        pairs = connection.sql(_PAIRS, params={"relations": relations}).to_arrow_table().to_pylist()
        # Renditions of a work share a cluster; a policy may let them stand apart.
        clustered = connection.sql(_CLUSTERED).fetchall() if policy.group_works else []
    lines = [f"{path} in {split} is what they were trained on" for path, split in same]
    lines += [describe(row) for row in pairs]
    lines += [f"{path} in {split} is the same music as {other}, which they saw" for path, split, other in clustered]
    if lines:
        shown = "\n".join(f"  {line}" for line in lines[:SHOWN])
        more = f"\n  … and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise ContaminationError(
            f"{shards.manifest.partition}: its weights begin with {_named(parents)}, which saw music that is held out "
            f"now:\n{shown}{more}\nTrain the parent on the current split, or begin with other weights."
        )


def _doubt(lake: Lake, seen: Collection[str], held_out: Mapping[str, str]) -> str | None:
    """Why the lake's pairs do not tell all; None where they do."""
    if unseen := not_yet_compared(lake):
        return f"performances of {', '.join(unseen)} changed since they were compared with the others"
    there = set(lake.read("splits", ["performance_id"])["performance_id"].to_pylist())
    for what, gone in (("they saw", set(seen) - there), ("are held out", held_out.keys() - there)):
        if gone:
            return f"{len(gone)} performances that {what} are no longer in the lake (the first: {min(gone)})"
    return None


def _named(parents: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(f"{parent['experiment']} (run {parent['run_id']})" for parent in parents)


_SAME = """
select coalesce(files.dataset || '/' || files.path, performance_id), split
from held_out
inner join seen using (performance_id)
left join files using (performance_id)
order by split, performance_id
"""

_PAIRS = """
with placed as (
    select performance_id, 'what they saw' as split from seen
    union all
    select performance_id, split from held_out
),

named as (
    select placed.*, splits.dataset, coalesce(files.path, performance_id) as path
    from placed
    left join splits using (performance_id)
    left join files using (performance_id)
)

select
    a.split as split_a, a.dataset as dataset_a, a.path as path_a,
    b.split as split_b, b.dataset as dataset_b, b.path as path_b,
    duplicate_pairs.*
from duplicate_pairs
inner join named as a on a.performance_id = performance_a
inner join named as b on b.performance_id = performance_b
where (a.split = 'what they saw') <> (b.split = 'what they saw') and list_contains($relations, relation)
order by performance_a, performance_b
"""

_CLUSTERED = """
select
    coalesce(files.dataset || '/' || files.path, held_out.performance_id),
    held_out.split,
    min(other.performance_id)
from held_out
inner join splits as own using (performance_id)
inner join splits as other on other.cluster_id = own.cluster_id and other.performance_id <> own.performance_id
inner join seen on seen.performance_id = other.performance_id
left join files on files.performance_id = held_out.performance_id
group by all
order by 2, 1
"""
