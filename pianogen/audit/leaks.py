"""The pairs of the same music that stand in different splits, counted and put in order, the worst first.

A leak is a pair of any relation but `shared_melody`, unless those are asked for, whose two files stand in different
splits. Of a pair, a is the file of the earlier split: train, validation, test, any other by name.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pianogen.audit.rolls import Roll, read_rolls
from pianogen.audit.sources import Source
from pianogen.audit.split_table import split_order
from pianogen.dedupe.folder import StageProgress, compare
from pianogen.errors import SettingsError
from pianogen.lake import Lake
from pianogen.settings import Settings

RELATIONS = ("same_bytes", "same_notes", "edited_copy", "excerpt", "same_work", "shared_melody")
"""From the surest to the weakest."""
DEFAULT_ROLLS = 200


@dataclass(frozen=True)
class SplitCount:
    """Files of one split."""

    split: str
    num_files: int
    num_read: int
    """Files that are music, and were compared."""


@dataclass(frozen=True)
class HeldOut:
    """How much of one split has its music in an earlier one."""

    split: str
    earlier: str
    num_leaked: int
    """Files of `split` with music in `earlier`."""
    num_read: int
    """Files of `split` that were compared."""

    @property
    def share(self) -> float:
        """Of the files of `split`, 0-1."""
        return self.num_leaked / self.num_read if self.num_read else 0.0


@dataclass(frozen=True)
class Audit:
    """The verdict on a split, and what it rests on."""

    title: str
    counts: tuple[SplitCount, ...]
    held_out: tuple[HeldOut, ...]
    pairs: pa.Table
    """Pairs across splits, the worst first: split_a, path_a, split_b, path_b, relation, score, semitones, is_mirrored,
    tempo_ratio, coverage, coverage_a, coverage_b, residual_sec, num_shared, num_anchors, is_leak, title_a, title_b,
    performance_a, performance_b."""
    matrix: tuple[Mapping[str, Any], ...]
    """Number of pairs by split_a, split_b and relation, within a split too; `is_leak` as in `pairs`."""
    rejections: tuple[Mapping[str, str], ...]
    """split, path, reason and detail of files that are not music."""
    missing: tuple[str, ...]
    """Paths of the table of splits that are no file."""
    without_split: tuple[str, ...]
    """Files that have no split; they were not compared."""
    counts_melodies: bool
    rolls: tuple[Roll, ...] = field(default=(), repr=False)
    """Notes of the first pairs, in their order."""

    @property
    def num_leaks(self) -> int:
        """Pairs across splits that count."""
        return sum(row["num_pairs"] for row in self.matrix if row["is_leak"])

    @property
    def num_melodies(self) -> int:
        """Pairs across splits that share a melody, and do not count."""
        return self.pairs.num_rows - self.num_leaks


def audit_split(
    source: Source,
    settings: Settings,
    *,
    counts_melodies: bool = False,
    num_rolls: int = 0,
    progress: StageProgress | None = None,
) -> Audit:
    """Compare all files of a source and say which music stands in several splits.

    Args:
        source: the files and their splits.
        settings: number of workers and backend.
        counts_melodies: whether a shared melody is a leak.
        num_rolls: of so many pairs at most the notes are kept.
        progress: told what is being done, how much of it is done, and how much there is.

    Raises:
        SettingsError: fewer than two splits, or a split of which no file is music.
    """
    with tempfile.TemporaryDirectory(prefix="pianogen-audit-") as scratch:
        lake = Lake(Path(scratch))
        compare(lake, source.datasets, settings, progress)
        found = judge(lake, source, counts_melodies=counts_melodies)
        if not num_rolls:
            return found
        return replace(found, rolls=read_rolls(lake, found.pairs.slice(0, num_rolls), settings, progress))


def judge(lake: Lake, source: Source, *, counts_melodies: bool = False) -> Audit:
    """The verdict by the pairs of a lake that holds a source's files and nothing else.

    Raises:
        SettingsError: fewer than two splits, or a split of which no file is music.
    """
    files = _files(lake, source)
    counts = _counts(files)
    _require_music(counts)
    with lake.connect(["performances", "duplicate_pairs"]) as connection:
        connection.register("listed", files)
        order = [count.split for count in counts]
        connection.register("split_order", pa.table({"split": order, "place": range(len(order))}))
        leaking = RELATIONS if counts_melodies else RELATIONS[:-1]
        connection.execute(_ACROSS, {"relations": list(RELATIONS), "leaking": list(leaking)})
        return Audit(
            title=source.title,
            counts=counts,
            held_out=_held_out(connection, counts),
            pairs=connection.sql(_PAIRS).to_arrow_table(),
            matrix=tuple(connection.sql(_MATRIX).to_arrow_table().to_pylist()),
            rejections=_rejections(lake, source),
            missing=source.missing,
            without_split=source.without_split,
            counts_melodies=counts_melodies,
        )


def _files(lake: Lake, source: Source) -> pa.Table:
    """One row per file: performance_id (null where rejected), split, path, title."""
    rows = [
        {
            "performance_id": row["performance_id"],
            "split": source.split(row["dataset"], row["path"]),
            "path": row["path"].removeprefix(source.prefix),
            "title": source.titles.get(row["path"]),
        }
        for row in lake.read("files").to_pylist()
    ]
    columns = ("performance_id", "split", "path", "title")
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in columns]))


def _counts(files: pa.Table) -> tuple[SplitCount, ...]:
    num_files: dict[str, int] = {}
    num_read: dict[str, int] = {}
    for split, performance_id in zip(files["split"].to_pylist(), files["performance_id"].to_pylist(), strict=True):
        num_files[split] = num_files.get(split, 0) + 1
        num_read[split] = num_read.get(split, 0) + (performance_id is not None)
    return tuple(SplitCount(split, num_files[split], num_read[split]) for split in sorted(num_files, key=split_order))


def _require_music(counts: Sequence[SplitCount]) -> None:
    if len(counts) < 2:
        found = f"only {counts[0].split}" if counts else "no file"
        raise SettingsError(f"two splits are needed, found {found}; is a folder empty, or a split named otherwise?")
    for count in counts:
        if not count.num_read:
            raise SettingsError(
                f"{count.split}: none of its {count.num_files} files is music that can be read, so nothing can be said "
                "of it; `pianogen inspect FILE` tells why"
            )


def _held_out(connection: duckdb.DuckDBPyConnection, counts: Sequence[SplitCount]) -> tuple[HeldOut, ...]:
    leaked = {(row[0], row[1]): row[2] for row in connection.sql(_HELD_OUT).fetchall()}
    return tuple(
        HeldOut(later.split, earlier.split, leaked.get((later.split, earlier.split), 0), later.num_read)
        for i, later in enumerate(counts)
        for earlier in counts[:i]
    )


def _rejections(lake: Lake, source: Source) -> tuple[Mapping[str, str], ...]:
    rows = [
        {
            "split": source.split(row["dataset"], row["path"]),
            "path": row["path"].removeprefix(source.prefix),
            "reason": row["reason"],
            "detail": row["detail"] or "",
        }
        for row in lake.read("rejections").to_pylist()
    ]
    return tuple(sorted(rows, key=lambda row: (split_order(row["split"]), row["path"])))


# Seen from the other side, a transposition and a tempo are the inverse ones; the sum of a pitch and its mirror image
# is the same.
_ACROSS = """
create temp table told as
with sides as (
    select
        duplicate_pairs.*,
        order_a.place > order_b.place or (order_a.place = order_b.place and a.path > b.path) as is_turned,
        a.split as of_a, b.split as of_b, a.path as at_a, b.path as at_b,
        coalesce(a.title, music_a.title, '') as named_a, coalesce(b.title, music_b.title, '') as named_b
    from duplicate_pairs
    inner join listed as a on a.performance_id = performance_a
    inner join listed as b on b.performance_id = performance_b
    inner join performances as music_a on music_a.performance_id = performance_a
    inner join performances as music_b on music_b.performance_id = performance_b
    inner join split_order as order_a on order_a.split = a.split
    inner join split_order as order_b on order_b.split = b.split
)
select
    if(is_turned, of_b, of_a)                                                as split_a,
    if(is_turned, at_b, at_a)                                                as path_a,
    if(is_turned, of_a, of_b)                                                as split_b,
    if(is_turned, at_a, at_b)                                                as path_b,
    relation,
    score,
    if(is_turned and not is_mirrored, -semitones, semitones)                 as semitones,
    is_mirrored,
    if(is_turned, 1 / nullif(tempo_ratio, 0), tempo_ratio)                   as tempo_ratio,
    coverage,
    if(is_turned, coverage_b, coverage_a)                                    as coverage_a,
    if(is_turned, coverage_a, coverage_b)                                    as coverage_b,
    residual_sec,
    num_shared,
    num_anchors,
    of_a <> of_b and list_contains($leaking, relation)                       as is_leak,
    if(is_turned, named_b, named_a)                                          as title_a,
    if(is_turned, named_a, named_b)                                          as title_b,
    if(is_turned, performance_b, performance_a)                              as performance_a,
    if(is_turned, performance_a, performance_b)                              as performance_b,
    list_position($relations, relation)                                      as weakness
from sides
"""

_PAIRS = """
select * exclude (weakness)
from told
where split_a <> split_b
order by is_leak desc, weakness, score desc, coverage desc, path_a, path_b, split_a, split_b
"""

_MATRIX = """
select split_a, split_b, relation, is_leak, count(*) as num_pairs
from told
inner join split_order as a on a.split = split_a
inner join split_order as b on b.split = split_b
group by split_a, split_b, a.place, b.place, relation, weakness, is_leak
order by a.place, b.place, weakness
"""

_HELD_OUT = """
select split_b, split_a, count(distinct performance_b)
from told
where is_leak
group by all
"""
