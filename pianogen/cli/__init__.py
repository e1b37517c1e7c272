"""The command `pianogen`: arguments in, library calls, text out.

    datasets.py   datasets, download
    corpus.py     inspect, ingest
    warehouse.py  sql, warehouse
    same_music.py dedupe, audit
    tokenizers.py tokenizers
    models.py     experiments, tokenize, train, evaluate, generate, leaderboard, report
    judging.py    judge
    checkpoints.py  checkpoints, export
    listening.py  listening make, import, results
    rows.py       rows as tables, CSV, JSON, Markdown, Parquet;  shared.py options, bars

What a command needs beyond settings it imports when it runs, so that `--help` answers at once.
"""

import sys

from rich.text import Text

from pianogen import errors
from pianogen.cli import checkpoints, corpus, datasets, judging, listening, models, same_music, tokenizers, warehouse
from pianogen.cli.shared import app, err

__all__ = [
    "app",
    "checkpoints",
    "corpus",
    "datasets",
    "judging",
    "listening",
    "main",
    "models",
    "same_music",
    "tokenizers",
    "warehouse",
]


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
