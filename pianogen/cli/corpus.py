"""Commands about music: a file, the lake, the same music, and the warehouse."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pianogen.cli.shared import Config, Format, app, cell, err, print_rows, progress_bar, publish, write_csv
from pianogen.settings import Settings, load_settings

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


@app.command(epilog="Example: pianogen dedupe ~/music --out pairs.csv")
def dedupe(
    folder: Annotated[Path | None, typer.Argument(help="Any folder of music; the lake without it.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Write the pairs of FOLDER as CSV.")] = None,
    config: Config = None,
) -> None:
    """Find the same music under other names, keys and tempi.

    With FOLDER: pairs of its files, as a table or CSV; no project is needed. Without: fingerprints, pairs,
    clusters and splits of the lake, and the verdict of the contamination gate.
    """
    settings = load_settings(config)
    if folder is None:
        _dedupe_lake(settings)
        return
    from pianogen.dedupe.folder import dedupe_folder

    with progress_bar("files parsed") as progress:
        found = dedupe_folder(folder, settings, progress)
    if to is None:
        print_rows(found.pairs, Format.table)
    else:
        write_csv(found.pairs, to)
    for row in found.rejections.to_pylist():
        err.print(Text(cell(f"rejected: {row['path']}: {row['reason']}: {row['detail']}")))
    err.print(
        f"{found.num_files} files, {found.rejections.num_rows} rejected, {found.pairs.num_rows} pairs"
        + (f" in {to}" if to else "")
    )


def _dedupe_lake(settings: Settings) -> None:
    from pianogen.catalogue import load_catalogue
    from pianogen.contamination import require_clean
    from pianogen.dedupe.candidates import find_duplicate_pairs
    from pianogen.dedupe.clusters import find_clusters
    from pianogen.dedupe.fingerprint import fingerprint_dataset
    from pianogen.lake import Lake
    from pianogen.splits import assign_splits

    lake, known = Lake(settings.lake), load_catalogue(settings)
    for manifest in lake.manifests("ingest"):
        with progress_bar(f"{manifest.partition}: blocks fingerprinted") as progress:
            fingerprint_dataset(lake, manifest.partition, settings, progress)
    pairs = find_duplicate_pairs(lake).info["num_pairs"]
    clusters = find_clusters(lake, [dataset.name for dataset in known]).info
    splits = assign_splits(lake, known).info["num_performances"]
    typer.echo(f"pairs: {', '.join(f'{n} {relation}' for relation, n in pairs.items()) or 'none'}")
    typer.echo(f"clusters: {clusters['num_clusters']}, the largest of {clusters['largest']}")
    typer.echo(f"splits: {', '.join(f'{n} {split}' for split, n in splits.items())}")
    publish(settings)
    typer.echo(f"gate: passed, certificate {require_clean(lake)}")


@app.command(epilog='Example: pianogen sql "select dataset, count(*) from performances group by all" --format csv')
def sql(
    query: Annotated[str, typer.Argument(help="One query in DuckDB's SQL.")],
    format: Annotated[Format, typer.Option(help="How to print the rows.")] = Format.table,
    config: Config = None,
) -> None:
    """Query the warehouse, read-only. `show tables` lists what there is."""
    from pianogen.warehouse import query_warehouse

    print_rows(query_warehouse(load_settings(config).warehouse, query), format)
