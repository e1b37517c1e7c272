"""Commands about the same music: in a folder, in the lake, and across the splits of anyone's data."""

import contextlib
import json
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pianogen.cli.rows import Format, print_rows, write_rows
from pianogen.cli.shared import Config, app, cell, err, out, progress_bar, publish
from pianogen.errors import PianogenError, SettingsError
from pianogen.settings import Settings, load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from pianogen.audit.leaks import Audit
    from pianogen.audit.sources import Source

CLEAN, LEAKS, FAILED = 0, 1, 2
"""Exit codes of `pianogen audit`."""
MAX_WORST = 10
"""Pairs that a terminal shows."""
MAX_OMISSIONS = 5
"""Names of each kind of file that was not compared that a terminal shows."""

Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")]


@app.command(epilog="Example: pianogen dedupe ~/music --out pairs.csv")
def dedupe(
    folder: Annotated[Path | None, typer.Argument(help="Any folder of music; the lake without it.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Write the pairs of FOLDER as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The pairs of FOLDER as JSON.")] = False,
    config: Config = None,
) -> None:
    """Find the same music under other names, keys and tempi.

    With FOLDER: pairs of its files, as a table, CSV or JSON; no project is needed. Without: fingerprints, pairs,
    clusters and splits of the lake, and the verdict of the contamination gate.
    """
    settings = load_settings(config)
    if folder is None:
        if to is not None or as_json:
            raise typer.BadParameter("--out and --json write the pairs of a folder; name one")
        _dedupe_lake(settings)
        return
    from pianogen.dedupe.folder import dedupe_folder

    if to is not None:
        _require_file_place(to)
    with _stages_bar() as progress:
        found = dedupe_folder(folder, settings, progress)
    if to is not None:
        write_rows(found.pairs.schema, found.pairs.to_batches(), Format.csv, to)
    if to is None or as_json:
        print_rows(found.pairs, Format.json if as_json else Format.table)
    for row in found.rejections.to_pylist():
        err.print(Text(cell(f"rejected: {row['path']}: {row['reason']}: {row['detail']}")), soft_wrap=True)
    said = f"{found.num_files} files, {found.rejections.num_rows} rejected, {found.pairs.num_rows} pairs"
    err.print(Text(said + (f" in {to}" if to else "")), soft_wrap=True)


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
    with progress_bar("pairs compared") as progress:
        pairs = find_duplicate_pairs(lake, settings=settings, progress=progress).info["num_pairs"]
    clusters = find_clusters(lake, [dataset.name for dataset in known], settings.splits).info
    info = assign_splits(lake, known, settings.splits).info
    splits = {**info["num_performances"], "left out": sum(info["num_left_out"].values())}
    typer.echo(f"pairs: {', '.join(f'{n} {relation}' for relation, n in pairs.items()) or 'none'}")
    typer.echo(f"clusters: {clusters['num_clusters']}, the largest of {clusters['largest']}")
    typer.echo(f"splits: {', '.join(f'{n} {split}' for split, n in splits.items() if n or split != 'left out')}")
    publish(settings)
    typer.echo(f"gate: passed, certificate {require_clean(lake)}")


@app.command(epilog="Example: pianogen audit --train music/train --test music/test --out audit")
def audit(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of all splits, or a JSON file that maps names of splits to chorales."),
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Folder of the training files.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Folder of the validation files.")] = None,
    test: Annotated[Path | None, typer.Option(help="Folder of the test files.")] = None,
    splits: Annotated[
        Path | None, typer.Option(help="CSV file with a column of paths in FOLDER and a column of splits.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="Folder for pairs.csv, audit.json and index.html, a page to look at.")
    ] = None,
    melodies: Annotated[bool, typer.Option("--melodies", help="A shared melody is a leak too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    rolls: Annotated[int, typer.Option(min=0, help="Pairs, the worst first, whose notes the page shows.")] = 200,
    workers: Workers = 0,
) -> None:
    """Say whether music stands in several splits of a dataset: yours or anyone's, with no set-up.

    Exit code 0: the splits share no music; 1: they do; 2: it could not be told.
    """
    try:
        found = _audit(folder, train, validation, test, splits, to, melodies, rolls, workers)
        if to is not None:
            from pianogen.audit.page import write_audit

            page = write_audit(found, to)
            err.print(Text(f"{page}"), soft_wrap=True)
    except PianogenError as error:
        err.print(Text(f"error: {error}"), soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except OSError as error:
        err.print(Text(cell(f"error: {error.filename or 'the disk'}: {error.strerror or error}")), soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except Exception:
        # What Python ends with after a mistake of ours, 1, would say that there are leaks.
        traceback.print_exc()
        raise typer.Exit(FAILED) from None
    if as_json:
        from pianogen.audit.page import facts

        typer.echo(json.dumps(facts(found), indent=1))
    else:
        _print_audit(found)
    raise typer.Exit(LEAKS if found.num_leaks else CLEAN)


def _audit(
    folder: Path | None,
    train: Path | None,
    validation: Path | None,
    test: Path | None,
    splits: Path | None,
    to: Path | None,
    melodies: bool,
    rolls: int,
    workers: int,
) -> "Audit":
    from pianogen.audit.leaks import audit_split
    from pianogen.audit.page import require_writable

    if to is not None:
        require_writable(to)
    with tempfile.TemporaryDirectory(prefix="pianogen-audit-") as scratch:
        source = _source(folder, {"train": train, "validation": validation, "test": test}, splits, Path(scratch))
        with _stages_bar() as progress:
            return audit_split(
                source,
                _settings(Path(scratch), workers),
                counts_melodies=melodies,
                num_rolls=rolls if to is not None else 0,
                progress=progress,
            )


def _source(folder: Path | None, named: dict[str, Path | None], splits: Path | None, scratch: Path) -> "Source":
    from pianogen.audit.sources import from_folder, from_folders

    folders = {split: path for split, path in named.items() if path is not None}
    if folder is not None and folders:
        raise SettingsError("name either one FOLDER, with --splits, or a folder for each split by --train and --test")
    if folder is not None:
        links = scratch / "links"
        links.mkdir()
        return from_folder(folder, splits, links)
    if splits is not None:
        raise SettingsError(f"--splits {splits}: name the FOLDER that its paths begin in as well")
    if len(folders) < 2:
        raise SettingsError("name two folders at least, as --train FOLDER --test FOLDER; or FOLDER --splits file.csv")
    return from_folders(folders)


def _settings(scratch: Path, workers: int) -> Settings:
    """Settings of no project: nothing but the number of workers counts, and no pianogen.toml is read."""
    return Settings(
        root=scratch,
        lake=scratch / "lake",
        runs=scratch / "runs",
        warehouse=scratch / "warehouse",
        report=scratch / "report",
        sql=scratch / "sql",
        experiments=scratch / "experiments",
        workers=workers,
        starter=False,
    )


def _print_audit(found: "Audit") -> None:
    from pianogen.audit.page import sentence

    for count in found.counts:
        rejected = count.num_files - count.num_read
        said = f"{cell(count.split)}: {_files(count.num_read)} compared"
        typer.echo(said + (f", {rejected:,} rejected" if rejected else ""))
    _print_omissions(found)
    typer.echo("")
    if found.matrix:
        rows = [
            {
                "splits": f"{row['split_a']} - {row['split_b']}"
                if row["split_a"] != row["split_b"]
                else row["split_a"],
                "relation": row["relation"],
                "pairs": row["num_pairs"],
                "": "leak" if row["is_leak"] else "within a split" if row["split_a"] == row["split_b"] else "apart",
            }
            for row in found.matrix
        ]
        _print_table(rows)
    if found.num_leaks:
        # The leaks stand first.
        worst = found.pairs.slice(0, min(MAX_WORST, found.num_leaks))
        typer.echo(f"\nThe worst of {found.num_leaks:,} leaks:")
        _print_table(_shown(worst))
    typer.echo("")
    for one in found.held_out:
        typer.echo(f"{cell(sentence(one))}.")
    if found.num_melodies:
        typer.echo(f"{found.num_melodies:,} pairs share a melody across splits; they count with --melodies.")
    typer.echo("leaks" if found.num_leaks else "clean")


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


def _shown(pairs: "pa.Table") -> list[dict[str, Any]]:
    return [
        {
            "a": f"{row['split_a']}: {row['path_a']}",
            "b": f"{row['split_b']}: {row['path_b']}",
            "relation": row["relation"],
            "score": f"{row['score']:.2f}",
            "covered": f"{row['coverage']:.2f}",
            "semitones": "mirrored" if row["is_mirrored"] else f"{row['semitones']:+d}" if row["semitones"] else "0",
            "tempo": "" if row["tempo_ratio"] is None else f"{row['tempo_ratio']:.2f}",
        }
        for row in pairs.to_pylist()
    ]


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table()
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold", justify="right" if name == "pairs" else "left")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row.values()))
    out.print(table)


def _print_omissions(found: "Audit") -> None:
    rejected = [f"{row['split']}: {row['path']}: {row['reason']}" for row in found.rejections]
    for what, names in (
        ("rejected, as no music that can be read", rejected),
        ("listed, but not found or named twice", list(found.missing)),
        ("without a split, so not compared", list(found.without_split)),
    ):
        if names:
            typer.echo(f"{_files(len(names))} {what}:")
            for name in names[:MAX_OMISSIONS]:
                typer.echo(f"  {cell(name)}")
            if len(names) > MAX_OMISSIONS:
                typer.echo(f"  and {len(names) - MAX_OMISSIONS:,} more")


def _require_file_place(path: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if path.is_dir():
        raise SettingsError(f"{path}: a folder; --out names the CSV file to write")


@contextlib.contextmanager
def _stages_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error that says what is being done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("listing files", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
