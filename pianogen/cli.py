"""The command `pianogen`: arguments in, library calls, text out."""

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pianogen import errors
from pianogen.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a heap of MIDI files to a piano model whose every number can be trusted, traced and queried.",
)
# A pipe has no width: lines are not folded there.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


Config = Annotated[Path | None, typer.Option(help="Settings file; the nearest pianogen.toml without it.")]
Experiment = Annotated[str, typer.Argument(help="Name of a file in experiments/, or its path.")]


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, which leaves standard output to the rows."""
    columns = [TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_rows(rows: pa.Table, form: Format) -> None:
    if form is Format.json:
        typer.echo(json.dumps([_plain(row) for row in rows.to_pylist()], indent=1, allow_nan=False, default=str))
    elif form is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.column_names)
        writer.writerows(_plain(row).values() for row in rows.to_pylist())
    else:
        table = Table()
        for name in rows.column_names:
            table.add_column(Text(name), overflow="fold")
        for row in rows.to_pylist():
            table.add_row(*(Text(_cell(value)) for value in row.values()))
        out.print(table)
        out.print(f"{rows.num_rows} row{'' if rows.num_rows == 1 else 's'}")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON holds: bytes as their length, numbers that are none as null."""
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    # Text out of files may hold what steers a terminal.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(_plain_value(value)))


def _experiment_path(settings: Settings, experiment: str) -> Path:
    path = Path(experiment)
    return path if path.suffix in (".yaml", ".yml") else settings.experiments / f"{experiment}.yaml"


@app.command(epilog="Example: pianogen datasets --format json")
def datasets(config: Config = None, format: Format = Format.table) -> None:
    """List the datasets at hand: licence, how their split is decided, and what of them is here and in the lake."""
    from pianogen.catalogue import list_files, load_catalogue
    from pianogen.lake import Lake

    settings = load_settings(config)
    rows = []
    for dataset in load_catalogue(settings):
        ingested = Lake(settings.lake).manifest("ingest", dataset.name)
        info = ingested.info if ingested else {}
        rows.append(
            {
                "dataset": dataset.name,
                "title": dataset.title,
                "files_here": len(list_files(dataset)),
                "files_expected": dataset.num_files,
                "performances": info.get("num_performances"),
                "rejections": info.get("num_rejections"),
                "split": dataset.split,
                "licence": dataset.licence,
                "folder": str(dataset.folder),
            }
        )
    _print_rows(pa.Table.from_pylist(rows), format)


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
                shown = "; ".join(map(str, value)) if isinstance(value, list) else value
                typer.echo(f"{name:<18} {_cell(shown)}")
    if facts["status"] == "rejected":
        raise typer.Exit(1)


@app.command(epilog="Example: pianogen ingest custom --dry-run")
def ingest(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all of them without a name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be parsed, and stop.")] = False,
    config: Config = None,
) -> None:
    """Bring the lake up to date with the files of each dataset; unchanged files are not parsed again."""
    from pianogen.catalogue import find_dataset, load_catalogue
    from pianogen.ingest import files_to_parse, ingest_dataset, retire_datasets
    from pianogen.lake import Lake

    settings = load_settings(config)
    lake, known = Lake(settings.lake), load_catalogue(settings)
    chosen = [find_dataset(settings, name) for name in names] if names else known
    if not dry_run:
        retire_datasets(lake, [dataset.name for dataset in known])
    for dataset in chosen:
        if dry_run:
            num_files, num_new = files_to_parse(lake, dataset)
            typer.echo(f"{dataset.name}: {num_files} files, {num_new} to parse")
            continue
        with _progress(f"{dataset.name}: files parsed") as progress:
            info = ingest_dataset(lake, dataset, settings, progress).info
        typer.echo(
            f"{dataset.name}: {info['num_files']} files, {info['num_performances']} performances, "
            f"{info['num_rejections']} rejections"
        )
    if not dry_run:
        _publish(settings)


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

    with _progress("files parsed") as progress:
        found = dedupe_folder(folder, settings, progress)
    if to is None:
        _print_rows(found.pairs, Format.table)
    else:
        _write_csv(found.pairs, to)
    for row in found.rejections.to_pylist():
        err.print(Text(_cell(f"rejected: {row['path']}: {row['reason']}: {row['detail']}")))
    err.print(
        f"{found.num_files} files, {found.rejections.num_rows} rejected, {found.pairs.num_rows} pairs"
        + (f" in {to}" if to else "")
    )


def _write_csv(rows: pa.Table, path: Path) -> None:
    aside = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows.column_names)
        writer.writerows(row.values() for row in rows.to_pylist())
    aside.replace(path)


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
        with _progress(f"{manifest.partition}: blocks fingerprinted") as progress:
            fingerprint_dataset(lake, manifest.partition, settings, progress)
    pairs = find_duplicate_pairs(lake).info["num_pairs"]
    clusters = find_clusters(lake, [dataset.name for dataset in known]).info
    splits = assign_splits(lake, known).info["num_performances"]
    typer.echo(f"pairs: {', '.join(f'{n} {relation}' for relation, n in pairs.items()) or 'none'}")
    typer.echo(f"clusters: {clusters['num_clusters']}, the largest of {clusters['largest']}")
    typer.echo(f"splits: {', '.join(f'{n} {split}' for split, n in splits.items())}")
    _publish(settings)
    typer.echo(f"gate: passed, certificate {require_clean(lake)}")


@app.command(epilog='Example: pianogen sql "select dataset, count(*) from performances group by all" --format csv')
def sql(
    query: Annotated[str, typer.Argument(help="One query in DuckDB's SQL.")],
    format: Annotated[Format, typer.Option(help="How to print the rows.")] = Format.table,
    config: Config = None,
) -> None:
    """Query the warehouse, read-only. `show tables` lists what there is."""
    from pianogen.warehouse import query_warehouse

    _print_rows(query_warehouse(load_settings(config).warehouse, query), format)


@app.command(epilog="Example: pianogen tokenize quick")
def tokenize(experiment: Experiment, config: Config = None) -> None:
    """Build the shards of an experiment; refused where the split did not pass the gate."""
    from pianogen.lake import Lake
    from pianogen.shards import build_shards
    from pianogen.training.experiment import load_experiment

    settings = load_settings(config)
    loaded = load_experiment(_experiment_path(settings, experiment))
    with _progress("shards written") as progress:
        manifest = build_shards(
            Lake(settings.lake),
            settings,
            name=loaded.name,
            tokenizer=loaded.tokenizer,
            augment=loaded.augmentation,
            datasets=loaded.data.datasets,
            progress=progress,
        )
    for split, counts in manifest.info["counts"].items():
        typer.echo(
            f"{split}: {counts['num_performances']} performances, {counts['num_sequences']} sequences, "
            f"{counts['num_tokens']:,} tokens"
        )
    typer.echo(f"version {manifest.version}, certificate {manifest.info['certificate']}")


@app.command(epilog="Example: pianogen train quick")
def train(experiment: Experiment, config: Config = None) -> None:
    """Train an experiment in a process of its own; go on from its last checkpoint, if it has one."""
    from pianogen.training.experiment import load_experiment
    from pianogen.training.launch import run_training
    from pianogen.training.runs import require_run

    settings = load_settings(config)
    path = _experiment_path(settings, experiment)
    steps = load_experiment(path).training.steps
    with _progress("steps") as progress:

        def show(metrics: dict[str, Any]) -> None:
            progress(metrics["step"], steps)
            if metrics["split"] == "validation":
                err.print(f"step {metrics['step']}: validation {metrics['nll']:.4f} nats per token")

        run = require_run(folder := run_training(path, settings, show))
    typer.echo(
        f"{folder}: {run['num_parameters']:,} parameters, {run['steps']} steps, best at {run['best_step']} with "
        f"{run['validation_nll']:.4f} nats per validation token, {run['train_sec']:.0f} s on {run['device']}"
    )


@app.command(epilog="Example: pianogen evaluate quick")
def evaluate(experiment: Experiment, config: Config = None) -> None:
    """Score the whole test split with an experiment's model, and draw its samples."""
    from pianogen.evaluation.evaluations import evaluate_run
    from pianogen.generation.samples import generate_samples
    from pianogen.lake import Lake
    from pianogen.training.experiment import load_experiment

    settings = load_settings(config)
    lake, loaded = Lake(settings.lake), load_experiment(_experiment_path(settings, experiment))
    with _progress("performances scored") as progress:
        evaluate_run(lake, settings.runs, loaded, progress=progress)
    generate_samples(lake, settings.runs, loaded)
    rows = _published(settings, "select * from leaderboard where experiment = getvariable('name')", name=loaded.name)
    _print_rows(rows.select(["experiment", "bits_per_note", "bits_per_second", "nll", "num_test_notes"]), Format.table)


def _publish(settings: Settings) -> None:
    """Bring the warehouse up to date, so that `pianogen sql` sees what a command did."""
    from pianogen.lake import Lake
    from pianogen.warehouse import publish_warehouse

    publish_warehouse(Lake(settings.lake), settings.runs, settings.sql, settings.warehouse)


def _published(settings: Settings, query: str, name: str | None = None) -> pa.Table:
    """Rows of the warehouse, brought up to date first."""
    from pianogen.warehouse import open_warehouse

    _publish(settings)
    with open_warehouse(settings.warehouse) as connection:
        if name is not None:
            connection.execute("set variable name = ?", [name])
        return connection.sql(query).to_arrow_table()


@app.command(epilog="Example: pianogen generate --checkpoint best --prompt my.mid --out next.mid")
def generate(
    to: Annotated[Path, typer.Option("--out", help="MIDI file to write.")],
    checkpoint: Annotated[str, typer.Option(help="'best', an experiment's name, or a run's folder.")] = "best",
    prompt: Annotated[Path | None, typer.Option(help="Music to continue; from nothing without it.")] = None,
    prompt_sec: Annotated[float | None, typer.Option(help="Seconds of the prompt to use; all without it.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Most tokens to draw.")] = 768,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token each time.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw among the k most likely tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw among the most likely tokens up to this probability.")] = 0.95,
    seed: Annotated[int, typer.Option(help="The same seed gives the same music.")] = 1,
    config: Config = None,
) -> None:
    """Continue a piece, or begin one, with a trained model."""
    from pianogen.generation.continuation import generate as generate_music
    from pianogen.training.experiment import GenerationConfig
    from pianogen.training.runs import find_checkpoint

    run = find_checkpoint(load_settings(config).runs, checkpoint)
    drawing = replace(
        GenerationConfig(), max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    sample = generate_music(run, prompt, to, drawing, prompt_sec=prompt_sec)
    typer.echo(
        f"{to}: {sample.num_notes} notes, {sample.duration_sec:.1f} s, prompt {sample.prompt_sec:.1f} s, seed {seed}"
    )


@app.command(epilog="Example: pianogen leaderboard --format csv")
def leaderboard(config: Config = None, format: Format = Format.table) -> None:
    """Evaluated runs by bits per note on the test split; nats per token are shown and do not rank."""
    columns = (
        "*"
        if format is not Format.table
        else (
            "rank, experiment, model, tokenizer, bits_per_note, bits_per_second, nll, num_parameters, train_sec, "
            "peak_memory_mb, num_test_notes"
        )
    )
    _print_rows(_published(load_settings(config), f"select {columns} from leaderboard order by rank"), format)


@app.command(epilog="Example: pianogen report")
def report(config: Config = None) -> None:
    """Write the page with the leaderboard, the plots, and samples that play."""
    from pianogen.report.page import write_report

    settings = load_settings(config)
    _published(settings, "select 1")
    typer.echo(write_report(settings.warehouse, settings.report))


def main() -> None:
    """Run the command; what goes wrong on purpose is one line, not a traceback."""
    try:
        app()
    except errors.RejectedFileError as error:
        err.print(Text(f"error: the file is rejected: {error}"), soft_wrap=True)
        sys.exit(1)
    except errors.PianogenError as error:
        err.print(Text(f"error: {error}"), soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
