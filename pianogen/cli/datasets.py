"""Commands about datasets: what is known, and fetching it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pianogen import errors
from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, app, bytes_progress_bar, cell, err
from pianogen.settings import load_settings


@app.command(epilog="Example: pianogen datasets maestro_v3 --missing")
def datasets(
    name: Annotated[str | None, typer.Argument(help="Everything about one dataset; a table of all without it.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Files of NAME that are not here, one per line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    config: Config = None,
    format: Format = Format.table,
) -> None:
    """Tell what datasets there are, under which licence, and how much of each is here and in the lake."""
    import pyarrow as pa

    from pianogen import inventory

    settings = load_settings(config)
    form = Format.json if as_json else format
    if name is None:
        if missing:
            raise errors.SettingsError("--missing needs the NAME of a dataset; `pianogen datasets` lists them")
        rows = inventory.overview(settings)
        print_rows(rows.select(inventory.SHOWN) if form is Format.table else rows, form)
        return
    known = inventory.describe(settings, name)
    if missing:
        if known["missing"] is None:
            err.print(Text(f"{known['here']}; nothing names the missing ones"), soft_wrap=True)
        for path in known["missing"] or ():
            typer.echo(path)
    elif form is Format.json:
        typer.echo(json.dumps(known, indent=1, allow_nan=False))
    elif form is not Format.table:
        print_rows(
            pa.Table.from_pylist([{**f, "value": inventory.value_text(f["value"])} for f in known["facts"]]), form
        )
    else:
        _print_dataset(known)


def _print_dataset(known: dict[str, Any]) -> None:
    import pyarrow as pa

    from pianogen.inventory import value_text

    for key in ("dataset", "title", "homepage", "licence", "here", "folder", "split", "parts", "performances"):
        if known[key] not in (None, ""):
            typer.echo(f"{key:<13} {cell(known[key])}")
    for archive in known["archives"]:
        checks = [f"{key} {archive[key]}" for key in ("size_bytes", "sha256", "md5") if archive[key] is not None]
        unsure = "" if archive["verified"] else "; not verified"
        typer.echo(f"{'archive':<13} {archive['url']}")
        typer.echo(f"{'':<13} {', '.join([*checks, ''])}read in: {archive['source']}{unsure}")
    if known["facts"]:
        facts = [
            {
                "fact": fact["name"],
                "value": value_text(fact["value"]),
                "source": fact["source"] + ("" if fact["verified"] else " (not verified)"),
            }
            for fact in known["facts"]
        ]
        print_rows(pa.Table.from_pylist(facts), Format.table)
    absent = known["missing"] or []
    for path in absent[:20]:
        typer.echo(f"{'missing':<13} {path}")
    if len(absent) > 20:
        typer.echo(f"{'':<13} and {len(absent) - 20:,} more; --missing lists all")
    if known["advice"]:
        typer.echo(f"{'to get it':<13} {known['advice']}")


@app.command(epilog="Example: pianogen download maestro_v3 --dry-run")
def download(
    name: Annotated[str, typer.Argument(help="A dataset of the catalogue; `pianogen datasets` lists them.")],
    archive: Annotated[
        Path | None, typer.Option(help="A local copy of its archive, or a folder that holds all of them.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is here already.")] = False,
    keep_archive: Annotated[bool, typer.Option("--keep-archive", help="Keep the archive once unpacked.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched from where, and stop.")] = False,
    config: Config = None,
) -> None:
    """Fetch a dataset, verify it, and unpack it into its folder; a cut download goes on where it was."""
    from pianogen.catalogue import find_dataset
    from pianogen.download import obtain
    from pianogen.download_plan import plan

    settings = load_settings(config)
    dataset = find_dataset(settings, name)
    planned = plan(dataset, settings, force=force)
    for line in planned.lines:
        typer.echo(cell(line))
    if dry_run:
        return
    if planned.non_commercial and planned.state == "missing" and not yes:
        _ask_for_consent(planned.dataset, planned.licence)
    with bytes_progress_bar(name) as progress:
        receipt = obtain(
            dataset,
            settings,
            archive=archive,
            force=force,
            keep_archive=keep_archive,
            progress=progress,
            say=lambda line: err.print(Text(cell(line)), soft_wrap=True),
        )
    typer.echo(f"{name}: {receipt.num_files:,} files, {receipt.num_bytes / 1e6:,.1f} MB in {dataset.folder}")


def _ask_for_consent(name: str, licence: str) -> None:
    """Stop, unless the user says that a licence without commercial use will do."""
    terms = f"{name} may not be used commercially ({licence}), nor may what is derived from it."
    if not sys.stdin.isatty():
        raise errors.DownloadError(f"{terms} Nothing was fetched; pass --yes to accept this")
    if not typer.confirm(f"{terms} Fetch it?"):
        raise errors.DownloadError(f"{name}: not fetched, as its licence was not accepted")
