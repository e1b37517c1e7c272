"""Commands about music: a file, and the lake."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pianogen.cli.shared import Config, app, cell, progress_bar, publish
from pianogen.settings import load_settings

if TYPE_CHECKING:
    from pianogen.lake import Lake, Manifest

MAX_NOTES = 5
"""Lines about a dataset's metadata after an ingest."""


def _fact(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(str(_fact(one)) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one is not None)
    return value


@app.command(epilog="Example: pianogen inspect my.mid --json")
def inspect(
    file: Annotated[Path, typer.Argument(help="A MIDI or MusicXML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what is in a file, or why it is rejected (exit code 1)."""
    from pianogen.inspection import inspect_file

    facts = inspect_file(file)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            if value not in (None, [], {}):
                typer.echo(f"{name:<18} {cell(_fact(value))}")
    if facts["status"] == "rejected":
        raise typer.Exit(1)


@app.command(epilog="Example: pianogen ingest custom --dry-run")
def ingest(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all at hand without a name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be parsed, and stop.")] = False,
    config: Config = None,
) -> None:
    """Bring the lake up to date with the files of each dataset at hand; unchanged files are not parsed again."""
    from pianogen.catalogue import load_catalogue
    from pianogen.ingest import files_to_parse, ingest_dataset, retire_datasets
    from pianogen.inventory import require_at_hand
    from pianogen.lake import Lake

    settings = load_settings(config)
    lake, at_hand = Lake(settings.lake), [dataset.name for dataset in load_catalogue(settings)]
    # All of them before the first is read: a name that is wrong costs no waiting.
    chosen = [require_at_hand(settings, name) for name in names or at_hand]
    if not dry_run:
        retire_datasets(lake, at_hand)
    for dataset in chosen:
        if dry_run:
            num_files, num_new = files_to_parse(lake, dataset)
            typer.echo(f"{dataset.name}: {num_files} files, {num_new} to parse")
            continue
        with progress_bar(f"{dataset.name}: files parsed") as progress:
            manifest = ingest_dataset(lake, dataset, settings, progress)
        _print_ingested(lake, manifest)
    if not dry_run:
        publish(settings)


def _print_ingested(lake: "Lake", manifest: "Manifest") -> None:
    from pianogen.inventory import rejections_by_reason

    info = manifest.info
    typer.echo(
        f"{manifest.partition}: {info['num_files']} files, {info['num_performances']} performances, "
        f"{info['num_rejections']} rejections"
    )
    for reason, num_files in rejections_by_reason(lake, manifest.partition).items():
        typer.echo(f"  rejected: {num_files} {reason}")
    if num_removed := lake.require("removed", manifest.partition).info["num_removed"]:
        typer.echo(f"  removed or changed: {num_removed} files of earlier ingests")
    notes = lake.require("listing", manifest.partition).info["metadata_notes"]
    for note in notes[:MAX_NOTES]:
        typer.echo(f"  metadata: {cell(note)}")
    if len(notes) > MAX_NOTES:
        typer.echo(f"  metadata: and {len(notes) - MAX_NOTES} more notes")
    if info["non_commercial"]:
        typer.echo(f"  licence: {cell(info['licence'])}: no commercial use, nor of what is derived from it")
