"""Commands about what trainings leave: checkpoints, their lineage, the room they take, and taking a model elsewhere."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, app, cell
from pianogen.errors import SettingsError
from pianogen.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from pianogen.training.room import Removal

checkpoints = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    rich_markup_mode=None,
    help="List checkpoints with size, likelihood, lineage and state; remove those that nobody needs.",
)
app.add_typer(checkpoints, name="checkpoints")
DIGITS = 8
"""Of hashes, that a table shows."""


@checkpoints.callback(
    epilog="Example: pianogen checkpoints --prune --dry-run\n\nExample: pianogen checkpoints show quick",
)
def list_checkpoints(
    context: typer.Context,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what nobody needs, and what limits ask for.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: say what would go, and stop.")] = False,
    summed: Annotated[bool, typer.Option("--sums", help="Sums by experiment alone, beside the limits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    config: Config = None,
    format: Format = Format.table,
) -> None:
    """List checkpoints with size, likelihood, lineage and state; remove those that nobody needs."""
    if context.invoked_subcommand is not None:
        return
    from pianogen.training.listing import checkpoint_rows, sums
    from pianogen.training.room import free_bytes, remove, to_prune
    from pianogen.training.storage import stored_runs

    settings = load_settings(config)
    form = Format.json if as_json else format
    if dry_run and not prune:
        raise SettingsError("--dry-run says what --prune would do; name both")
    found = stored_runs(settings)
    if prune:
        chosen = to_prune(found, settings.checkpoints, free_bytes(settings.runs, found))
        rows = _removal_rows(chosen)
        removed = sum(one.num_bytes if dry_run else remove(one) for one in chosen)
        print_rows(rows, form)
        if form is Format.table:
            typer.echo(f"{removed / 1e6:,.1f} MB {'would go' if dry_run else 'removed'}")
        return
    rows, added = checkpoint_rows(found), sums(found, settings.checkpoints)
    if form is not Format.table:
        print_rows(added if summed else rows, form)
        return
    if not summed:
        print_rows(_shown(rows), form)
    print_rows(_sums_shown(added), form)


@checkpoints.command(epilog="Example: pianogen checkpoints show quick --json")
def show(
    run: Annotated[str, typer.Argument(help="A run's id or how it begins, an experiment's name, or a run's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON, whole.")] = False,
    config: Config = None,
) -> None:
    """Tell everything that is known of where a run comes from: data, split, certificate, code, settings, parents."""
    import pyarrow as pa

    from pianogen.training.listing import description, find_run

    known = description(find_run(load_settings(config), run))
    if as_json:
        typer.echo(json.dumps(known, indent=1))
        return
    lineage = dict(known["lineage"])
    parents = lineage.pop("parents", None) or []
    for name, value in {"run": known["run"], "state": known["state"], "changed": known["changed"], **lineage}.items():
        _print_fact(name, value)
    for number, parent in enumerate(parents, start=1):
        typer.echo(
            f"\nparent {number} of {len(parents)}, {'the oldest' if number == 1 else 'begun with the one before'}"
        )
        for name, value in parent.items():
            _print_fact(name, value)
    if known["pruned"]:
        print_rows(pa.Table.from_pylist(known["pruned"]), Format.table)


def _print_fact(name: str, value: Any) -> None:
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {item}" for key, item in value.items())
    elif isinstance(value, list):
        value = ", ".join(map(str, value))
    if value not in (None, ""):
        typer.echo(f"{name:<24} {cell(value)}")


def _shown(rows: "pa.Table") -> "pa.Table":
    """The rows as a terminal shows them: fewer columns, hashes cut, sizes and ages in words."""
    import pyarrow as pa

    shown = [
        {
            "experiment": row["experiment"],
            "run": row["run_id"][:DIGITS],
            "state": row["state"],
            "changed": "?" if row["changed"] is None else row["changed"],
            "kind": row["kind"],
            "step": row["step"],
            "MB": row["num_bytes"] / 1e6,
            "bits_per_note": row["bits_per_note"],
            "nll": row["nll"],
            "age": _age(row["age_sec"]),
            **{name: (row[f"{name}_version"] or "")[:DIGITS] for name in ("split", "shards")},
            "certificate": (row["certificate"] or "")[:DIGITS],
            "parents": _cut(row["parents"]),
            "parents_check": row["parents_check"],
        }
        for row in rows.to_pylist()
    ]
    kinds = {"step": pa.int64(), "MB": pa.float64(), "bits_per_note": pa.float64(), "nll": pa.float64()}
    names = ["experiment", "run", "state", "changed", "kind", "step", "MB", "bits_per_note", "nll", "age"]
    names += ["split", "shards", "certificate", "parents", "parents_check"]
    return pa.Table.from_pylist(shown, pa.schema([(name, kinds.get(name, pa.string())) for name in names]))


def _cut(parents: str | None) -> str | None:
    if parents is None:
        return None
    named = (one.rpartition("/") for one in parents.split(" "))
    return " > ".join(f"{experiment}/{run_id[:DIGITS]}" for experiment, _, run_id in named)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _sums_shown(rows: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    shown = [
        {
            "experiment": row["experiment"] or "all",
            "runs": row["num_runs"],
            "checkpoints": row["num_checkpoints"],
            "GB": row["num_bytes"] / 1e9,
            "limit": row["limit_gb"],
            "removed so far": row["num_pruned"],
            "GB removed": row["pruned_bytes"] / 1e9,
        }
        for row in rows.to_pylist()
    ]
    return pa.Table.from_pylist(shown)


def _removal_rows(chosen: "list[Removal]") -> "pa.Table":
    import pyarrow as pa

    from pianogen.training.checkpoints import size_of
    from pianogen.training.room import REASONS

    rows = [
        {
            "experiment": one.experiment,
            "run_id": one.run.name,
            "path": str(path.relative_to(one.run)),
            "reason": REASONS[one.why],
            "num_bytes": size_of(path),
        }
        for one in chosen
        for path in one.paths
    ]
    names = ("experiment", "run_id", "path", "reason")
    schema = pa.schema([*((name, pa.string()) for name in names), ("num_bytes", pa.int64())])
    return pa.Table.from_pylist(rows, schema=schema)


@app.command(epilog="Example: pianogen export --checkpoint best --out my_model")
def export(
    to: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    checkpoint: Annotated[str, typer.Option(help="'best', an experiment's name, or a run's folder.")] = "best",
    tokenizer: Annotated[
        bool, typer.Option("--tokenizer/--no-tokenizer", help="With the tokenizer as MidiTok loads it, or without.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    config: Config = None,
) -> None:
    """Write a trained model as others load it: transformers, MidiTok, and a card that says where it comes from."""
    from pianogen.lake import Lake
    from pianogen.training.export import export_model
    from pianogen.training.runs import find_checkpoint

    settings = load_settings(config)
    run = find_checkpoint(settings.runs, checkpoint)
    done = export_model(run, to, Lake(settings.lake), with_miditok=tokenizer, force=force)
    typer.echo(f"{cell(str(to))}: {', '.join(done.files)}, {done.num_bytes / 1e6:,.1f} MB")
    if done.non_commercial:
        typer.echo(f"not for commercial use: {cell(', '.join(done.non_commercial))}")
