"""Asset checks: every file of warehouse/checks, and the contamination gate."""

from pathlib import Path

import dagster as dg

from pipelines import same_music
from pipelines.resources import Workspace
from pipelines.showing import bulleted

BLOCKING = {"every_file_is_a_performance_or_a_rejection", "every_file_has_one_source"}
"""What no later stage may build on when it is broken: files got lost, or their licence is not known."""

SHOWN = 20
"""Violations listed on the page of a failed check; the query finds them all."""


def sql_checks(folder: Path) -> list[dg.AssetChecksDefinition]:
    """A check for each `<asset>/<invariant>.sql` below `folder`; the rows a query returns are violations."""
    return [_sql_check(path) for path in sorted(folder.glob("*/*.sql"))]


def _sql_check(path: Path) -> dg.AssetChecksDefinition:
    from pianogen.warehouse import header

    text = path.read_text(encoding="utf-8")

    @dg.asset_check(asset=path.parent.name, name=path.stem, description=header(text), blocking=path.stem in BLOCKING)
    def check(workspace: Workspace) -> dg.AssetCheckResult:
        from pianogen.warehouse import open_warehouse, run_check

        # The leaderboard exists in the warehouse alone; everything before it is checked in the lake itself.
        in_warehouse = path.parent.name == "leaderboard"
        opened = open_warehouse(workspace.settings.warehouse) if in_warehouse else workspace.lake.connect()
        with opened as connection:
            violations = run_check(connection, text)
        listed = violations.slice(0, SHOWN).to_pylist()
        return dg.AssetCheckResult(
            passed=violations.num_rows == 0,
            description=f"{violations.num_rows} rows break it, the first: {listed[0]}" if listed else None,
            metadata={"num_violations": violations.num_rows, "violations": dg.MetadataValue.json(_plain(listed))},
        )

    return check


def _plain(rows: list[dict]) -> list[dict]:
    return [{k: v if isinstance(v, int | float | str | bool | None) else str(v) for k, v in r.items()} for r in rows]


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
