"""Asset checks: every file of warehouse/checks, and the contamination gate."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from pianogen.foreign_text import steerless
from pianogen.tables import SCHEMAS
from pipelines import same_music
from pipelines.resources import Workspace
from pipelines.showing import SHOWN, bulleted, cell, table

if TYPE_CHECKING:
    import duckdb

BLOCKING = {"every_file_is_a_performance_or_a_rejection", "every_file_has_one_source"}
"""What no later stage may build on when it is broken: files got lost, or their licence is not known."""

WARNING = "-- Severity: warning"
"""A line in the header of a check whose rows are to be looked at and need not be wrong."""

WIDEST = 14
"""Columns of violations that are shown as a table."""


def sql_checks(folder: Path) -> list[dg.AssetChecksDefinition]:
    """A check for each `<asset>/<invariant>.sql` below `folder`; the rows a query returns are violations."""
    return [_sql_check(path) for path in sorted(folder.glob("*/*.sql"))]


def _sql_check(path: Path) -> dg.AssetChecksDefinition:
    from pianogen.views import header

    asset, text = path.parent.name, path.read_text(encoding="utf-8")
    is_warning = WARNING in text.splitlines()
    about = header(text.replace(f"{WARNING}\n", ""))
    severity = dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR
    what = "to look at" if is_warning else "wrong"

    @dg.asset_check(asset=asset, name=path.stem, description=about, blocking=path.stem in BLOCKING)
    def check(workspace: Workspace) -> dg.AssetCheckResult:
        from pianogen.warehouse import run_check

        with _opened(workspace, asset, text) as connection:
            violations = run_check(connection, text)
        num, listed = violations.num_rows, violations.slice(0, SHOWN).to_pylist()
        shown = {"violations": _shown(violations.column_names, listed, num)} if listed else {}
        return dg.AssetCheckResult(
            passed=num == 0,
            severity=severity,
            description=f"{num} {what}, the first: {_in_words(listed[0])}" if listed else None,
            metadata={"num_violations": num, **shown},
        )

    return check


@contextlib.contextmanager
def _opened(workspace: Workspace, asset: str, text: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """The tables and views that a check reads.

    The leaderboard exists in the warehouse alone; everything before it is checked in the lake itself.
    """
    from pianogen.views import apply_views, view_files
    from pianogen.warehouse import open_warehouse

    if asset == "leaderboard":
        with open_warehouse(workspace.settings.warehouse) as connection:
            yield connection
        return
    lake, folder = workspace.lake, workspace.settings.sql / "views"
    stored = set(SCHEMAS) | {table for manifest in lake.manifests() for table in manifest.tables}
    names = _names_read(text, stored, view_files(folder))
    with contextlib.closing(lake.connect(names & stored)) as connection:
        apply_views(connection, folder, names - stored)
        yield connection


def _names_read(text: str, tables: set[str], views: Mapping[str, str]) -> set[str]:
    """Names of tables and views in a query, and in those views among them that are not tables by now."""
    found: set[str] = set()
    waiting = [text]
    while waiting:
        query = "\n".join(line for line in waiting.pop().splitlines() if not line.startswith("--"))
        new = (set(re.findall(r"\w+", query)) & {*tables, *views}) - found
        found |= new
        waiting += [views[name] for name in sorted(new - tables)]
    return found


def _in_words(row: Mapping[str, object]) -> str:
    """A row for the UI and for a terminal, which text out of files must not steer."""
    return ", ".join(f"{name} {steerless(str(cell(value)))}" for name, value in row.items())


def _shown(columns: Sequence[str], rows: Sequence[Mapping[str, object]], num_all: int) -> dg.MetadataValue:
    if len(columns) <= WIDEST:
        return table(columns, [list(row.values()) for row in rows], num_all)
    return dg.MetadataValue.json([{name: _plain(value) for name, value in row.items()} for row in rows])


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | bool | None) else str(value)


@dg.asset_check(asset="splits", blocking=True)
def no_music_stands_in_two_splits(workspace: Workspace) -> dg.AssetCheckResult:
    """The contamination gate. A failure names both files; shards of such a split are refused as well."""
    from pianogen.contamination import describe, require_clean
    from pianogen.errors import ContaminationError

    rows = workspace.lake.read("contamination").to_pylist()
    try:
        certificate = require_clean(workspace.lake)
    except ContaminationError as error:
        listed = dg.MetadataValue.md(bulleted([describe(row) for row in rows]))
        return dg.AssetCheckResult(
            passed=False, description=str(error), metadata={"num_pairs": len(rows), "pairs": listed}
        )
    allowed = workspace.lake.require("contamination").info["num_pairs_allowed"]
    return dg.AssetCheckResult(
        passed=True,
        metadata={
            "certificate": certificate,
            "num_pairs_allowed_apart": dg.MetadataValue.json(allowed),
            **same_music.of_gate(workspace),
        },
    )


@dg.asset_check(asset="splits")
def no_group_holds_a_large_share_of_the_music(workspace: Workspace) -> dg.AssetCheckResult:
    """A warning: a group above this share of all notes, which stands on one side, may hang together by medleys."""
    giants = workspace.lake.require("splits").info.get("giant_groups", [])
    if not giants:
        return dg.AssetCheckResult(passed=True, severity=dg.AssetCheckSeverity.WARN)
    found = workspace.lake.read("files", ["dataset", "path", "performance_id"]).to_pylist()
    file_of = {row["performance_id"]: f"{row['dataset']}/{row['path']}" for row in found}
    lines = [
        f"{giant['split_group']}: {giant['num_performances']} performances of {giant['num_clusters']} clusters, "
        f"{giant['note_share']:.0%} of all notes; joined by {giant['num_bridges']}: "
        + ", ".join(str(file_of.get(i, i)) for i in giant["bridges"])
        for giant in giants
    ]
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(giants)} groups hold a large share of the music; max_group under [splits] breaks them up",
        metadata={"groups": dg.MetadataValue.md(bulleted(lines))},
    )
