"""The command that judges files as samples are judged."""

from pathlib import Path
from typing import Annotated

import typer

from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, app, out, progress_bar
from pianogen.settings import load_settings

_SHOWN = (
    "name", "num_notes", "duration_sec", "copied_share", "longest_copy_sec", "copied_from_title", "cycle3_share",
    "cycle3_period_sec", "cycle3_times", "repeated_8", "compression_ratio", "structure_mid", "pitch_class_entropy",
)  # fmt: skip
_COPIES = (
    "name", "start_sec", "end_sec", "num_notes", "dataset", "title", "copied_start_sec", "copied_end_sec", "semitones",
    "tempo_ratio",
)  # fmt: skip


@app.command(epilog="Example: pianogen judge next.mid --experiment quick")
def judge(
    files: Annotated[list[Path], typer.Argument(help="MIDI or MusicXML files.")],
    experiment: Annotated[
        str | None, typer.Option(help="Whose training music copies are looked for in; it has shards.")
    ] = None,
    config: Config = None,
    format: Format = Format.table,
) -> None:
    """How much files go round in circles, and how much of them stands in an experiment's training music.

    The whole file is judged, prompt and all. docs/judging.md says what the numbers mean; other formats than the table
    have all of them.
    """
    import pyarrow as pa

    from pianogen.evaluation.judgements import judge_files
    from pianogen.lake import Lake
    from pianogen.tables import SCHEMAS

    settings = load_settings(config)
    with progress_bar("blocks of training music indexed") as progress:
        judged = judge_files(Lake(settings.lake), experiment, files, settings, progress=progress)
    rows = pa.Table.from_pylist([one.row for one in judged], schema=SCHEMAS["sample_judgements"])
    rows = rows.drop_columns(["experiment", "run_id", "source", "performance_id", "rejection"])
    if format is not Format.table:
        print_rows(rows, format)
        return
    print_rows(rows.select(list(_SHOWN)), format)
    copies = [row for one in judged for row in one.copies]
    if copies:
        out.print("Copied passages:")
        print_rows(pa.Table.from_pylist(copies, schema=SCHEMAS["sample_copies"]).select(list(_COPIES)), format)
