"""The static report: a page, those of the data beside it, and the MIDI files of its samples, from the warehouse alone.

The page needs no network and no server: style, scripts, plots and the notes of the samples stand in it.
Names and titles come from other people's files, so everything is escaped, and a content security policy
names the two things that may act, our style and our scripts, by their hashes: text that slipped through
would still not run.

The report holds no clock and no absolute path: the same warehouse gives the same bytes.
"""

import contextlib
import hashlib
import importlib.metadata
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import filelock
from markupsafe import Markup

from pianogen.dedupe.groups import TIERS
from pianogen.errors import QueryError, RejectedFileError
from pianogen.report import player_parts, plots, same_music
from pianogen.report.data_pages import PLOTLY, data_pages, file_name, plotly_script
from pianogen.report.drawing import to_address
from pianogen.report.player_data import data_of_bytes
from pianogen.report.rendering import environment
from pianogen.report.tokenizer_page import FILE_NAME as TOKENIZERS
from pianogen.report.tokenizer_page import tokenizer_page
from pianogen.report.words import LANGUAGES, OF_PAGES, OF_SCRIPTS
from pianogen.static_pages import content_policy, require_replaceable
from pianogen.warehouse import open_warehouse

SPLITS = ("train", "validation", "test")
_MARK = b'<meta name="generator" content="pianogen report">'
"""In the head of every report; a folder without it is not ours to replace."""

# What the page reads. Every query has an order, so that the same rows give the same page.
_QUERIES = {
    "leaderboard": """
        select rank, experiment, run_id, model, tokenizer, datasets, context_length, n_layer, n_head, n_embd,
               num_parameters, bits_per_note, bits_per_second, nll, perplexity, num_test_performances,
               num_test_notes, steps, train_sec, peak_memory_mb, device, data_version, split_version, licences,
               non_commercial, non_commercial_licences,
               shards_version, certificate, code_version
        from leaderboard order by rank, experiment, run_id""",
    # Of each reported result first what is reported, then the runs here that are it.
    "references": """
        select standing, reference, experiment, is_reduced, rank, bits_per_note, nll, nll_per, perplexity, model,
               tokenizer, datasets, split, context_length, n_layer, n_head, n_embd, num_parameters, steps, train_sec,
               device, source, is_checked, note
        from leaderboard_with_references where reference is not null
        order by starts_with(reference, 'study-') desc, reference, standing = 'measured here', rank, experiment""",
    "runs": """
        select experiment, run_id, model, tokenizer, datasets, num_parameters, licences, non_commercial_datasets
        from runs order by experiment, run_id""",
    "metrics": """
        select experiment, run_id, step, split, nll
        from metrics where nll is not null order by experiment, run_id, split, step""",
    "datasets": """
        select dataset, num_files, ingest_accounting.num_performances, num_rejections, duration_hours, num_notes
        from ingest_accounting left join dataset_statistics using (dataset) order by dataset""",
    "performance_statistics": """
        select dataset, duration_sec from performance_statistics order by dataset, duration_sec""",
    "pitch_distribution": "select dataset, pitch, share from pitch_distribution order by dataset, pitch",
    "splits": "select split, dataset, num_performances, duration_hours from hours_by_split order by all",
    "rejections": """
        select dataset, stage, reason, num_files
        from rejections_by_reason order by dataset, num_files desc, stage, reason""",
    "contamination": """
        select split_a, dataset_a, path_a, split_b, dataset_b, path_b, relation, score
        from contamination order by all""",
    "samples": """
        with prompts as (
            select performance_id, min(coalesce(nullif(title, ''), dataset)) as prompt
            from performances group by performance_id
        )
        select samples.experiment, samples.run_id, sample, samples.title, prompt, prompt_sec, seed, temperature,
               top_k, top_p, samples.num_notes, samples.duration_sec, midi
        from samples
        left join prompts on prompts.performance_id = samples.prompt_performance_id
        left join leaderboard using (experiment, run_id)
        order by rank nulls last, samples.experiment, samples.run_id, sample""",
}

_SAME_MUSIC = (
    "leakage", "agreement", "matrix", "published_leaks", "titles", "removed", "clusters", "sharing", "copies",
    "largest_clusters",
)  # fmt: skip

Row = dict[str, Any]


def write_report(warehouse: Path, out: Path) -> Path:
    """Write the report of a warehouse and return the path of its page.

    The report is written beside `out` and takes its place as a whole, so a reader finds the old one or
    the new one, and a run that is killed leaves nothing that the next does not remove.

    Args:
        warehouse: the DuckDB file; opened for reading only.
        out: folder of the report; replaced when it is a report or empty.

    Returns:
        `out / "index.html"`.

    Raises:
        QueryError: there is no warehouse, or it lacks a table, view or column that the report reads.
        SettingsError: `out` is a file, or a folder that holds something else.
    """
    out = Path(out).resolve()
    require_replaceable(out, "a report", _MARK)
    rows, about_data, about_tokenizers = _read(Path(warehouse))
    samples = [_sample(row) for row in rows["samples"]]
    page = _render(rows, samples, has_data_pages=bool(about_data), tokenizers=TOKENIZERS if about_tokenizers else None)
    with _replacing(out) as folder:
        (folder / "index.html").write_text(page, encoding="utf-8", newline="\n")
        if about_data:
            (folder / "data").mkdir()
            (folder / "data" / PLOTLY).write_bytes(plotly_script())
        if about_tokenizers:
            (folder / TOKENIZERS).write_text(about_tokenizers, encoding="utf-8", newline="\n")
        for name, text in about_data.items():
            (folder / "data" / name).write_text(text, encoding="utf-8", newline="\n")
        (folder / "samples").mkdir()
        for sample in samples:
            (folder / sample["path"]).write_bytes(sample["midi"])
    return out / "index.html"


# Reading


def _read(warehouse: Path) -> tuple[dict[str, list[Row]], dict[str, str], str | None]:
    """Rows of the page by query, the pages of the data by name, and that of the tokenizers, if any was measured."""
    rows = {}
    # One connection for all: every query sees the same file, even while a new one is swapped in.
    with open_warehouse(warehouse) as connection:
        for name, query in (_QUERIES | {name: same_music.QUERIES[name] for name in _SAME_MUSIC}).items():
            try:
                rows[name] = connection.sql(query).to_arrow_table().to_pylist()
            except duckdb.Error as error:
                raise QueryError(f"{warehouse}: the report can't read {name}; publish it again: {error}") from None
        try:
            pages, about_tokenizers = data_pages(connection), tokenizer_page(connection)
        except duckdb.Error as error:
            raise QueryError(f"{warehouse}: the report can't read the data; publish it again: {error}") from None
    return rows, pages, about_tokenizers


def _sample(row: Row) -> Row:
    """A row of `samples` with what the player takes, as `performances`, and the path of its file."""
    sample = {**row, "title": row["title"] or row["sample"], "path": f"samples/{_file_name(row)}"}
    try:
        played = data_of_bytes(row["midi"], sample["path"], prompt_sec=row["prompt_sec"] or 0.0)
    except RejectedFileError as error:
        return {**sample, "problem": str(error)}
    return {**sample, "performances": [played], "num_notes": len(played["notes"]), "problem": None}


def _file_name(row: Row) -> str:
    """A name that any file system takes, and that no two samples share."""
    key = "-".join((row["experiment"], row["run_id"][:8], row["sample"]))
    name = re.sub(r"[^a-z0-9_-]+", "_", key.lower())[:80]
    unique = hashlib.sha256("\0".join((row["experiment"], row["run_id"], row["sample"])).encode()).hexdigest()
    return f"{name}-{unique[:8]}.mid"


# Rendering


def _render(rows: dict[str, list[Row]], samples: list[Row], has_data_pages: bool, tokenizers: str | None) -> str:
    style, first_script = player_parts.style(), player_parts.first_script()
    # Without samples there is nothing to play, and the languages alone have a script.
    scripts = player_parts.scripts() if samples else []
    datasets, leaderboard = rows["datasets"], rows["leaderboard"]
    totals = {
        key: sum(row[key] or 0 for row in datasets)
        for key in ("num_performances", "num_notes", "num_rejections", "duration_hours")
    }
    return (
        environment()
        .get_template("page.html")
        .render(
            style=style,
            scripts=scripts,
            first_script=first_script,
            words=OF_SCRIPTS,
            languages=LANGUAGES,
            language=None,
            content_policy=content_policy(style, [first_script, *scripts]),
            totals=totals,
            datasets=[{**row, "link": f"data/{file_name(row['dataset'])}"} for row in datasets],
            has_data_pages=has_data_pages,
            tokenizers=tokenizers,
            leaderboard=leaderboard,
            references=rows["references"],
            num_test_splits=len({row["split_version"] for row in leaderboard}),
            contamination=rows["contamination"],
            rejections=rows["rejections"],
            splits={(row["dataset"], row["split"]): row for row in rows["splits"]},
            split_names=SPLITS,
            **_same_music(rows),
            plots=_data_plots(rows) if datasets else [],
            runs=_runs(rows),
            samples=samples,
            version=importlib.metadata.version("pianogen"),
        )
    )


def _same_music(rows: dict[str, list[Row]]) -> Row:
    """What the section on duplicates shows; of matrices those with a pair."""
    matrices = [(standing, same_music.matrix(rows["matrix"], standing)) for standing in same_music.STANDINGS]
    return {
        "relations": TIERS,
        "standings": same_music.STANDINGS,
        "side_by_side": same_music.side_by_side(rows["leakage"], rows["agreement"]),
        "matrices": [(standing, found) for standing, found in matrices if found["places"]],
        "tiers": same_music.tiers(rows["removed"], rows["clusters"]),
        "sharing": same_music.sharing_by_datasets(rows["sharing"]),
        **{name: rows[name] for name in ("published_leaks", "titles", "copies", "largest_clusters")},
    }


def _data_plots(rows: dict[str, list[Row]]) -> list[Row]:
    return [
        {
            "address": to_address(plots.note_counts([row for row in rows["datasets"] if row["num_notes"] is not None])),
            "text": OF_PAGES.attribute(
                "alt", "Bar chart of the notes in each dataset; the numbers stand in the table above."
            ),
        },
        {
            "address": to_address(plots.pitch_distribution(rows["pitch_distribution"])),
            "text": OF_PAGES.attribute("alt", "Share of the notes of each dataset at each pitch of the piano."),
        },
        {
            "address": to_address(plots.duration_by_dataset(rows["performance_statistics"])),
            "text": OF_PAGES.attribute("alt", "Hours of music in each dataset, and how long its performances are."),
        },
    ]


def _runs(rows: dict[str, list[Row]]) -> list[Row]:
    """Runs with their curve, those of the leaderboard first and in its order."""
    metrics: dict[tuple[str, str], list[Row]] = {}
    for row in rows["metrics"]:
        metrics.setdefault((row["experiment"], row["run_id"]), []).append(row)
    ranks = {(row["experiment"], row["run_id"]): i for i, row in enumerate(rows["leaderboard"])}
    runs = []
    for run in rows["runs"]:
        key = (run["experiment"], run["run_id"])
        curve = metrics.get(key, [])
        validation = [row for row in curve if row["split"] == "validation" and math.isfinite(row["nll"])]
        words, best = "Train and validation loss against the step.", {}
        if validation:
            found = min(validation, key=lambda row: (row["nll"], row["step"]))
            words += " The best validation nll is {nll} nats per token, at step {step}."
            best = {"nll": f"{found['nll']:.3f}", "step": found["step"]}
        text = OF_PAGES.attribute("alt", words, **best)
        rank = ranks.get(key, len(ranks))
        address, terms = to_address(plots.loss_curve(curve)), _terms(run)
        runs.append({**run, "rank": rank, "address": address, "text": text, "terms": terms})
    return sorted(runs, key=lambda run: run["rank"])


def _terms(run: Row) -> Markup:
    """What the licences of a run's training data ask of its model."""
    if run["licences"] is None:
        return OF_PAGES.both("licences of its training data not recorded")
    licences, banned = dict(run["licences"]), run["non_commercial_datasets"] or []
    if not banned:
        named = "; ".join(f"{name}: {licence}" for name, licence in sorted(licences.items()))
        return OF_PAGES.both("licences: {licences}", licences=named)
    by_licence: dict[str, list[str]] = {}
    for name in banned:
        by_licence.setdefault(licences.get(name, "not stated"), []).append(name)
    named = "; ".join(f"{licence} ({', '.join(names)})" for licence, names in sorted(by_licence.items()))
    return OF_PAGES.both("non-commercial licence: {licences}", licences=named)


# The folder


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of `out` when the body ends without an error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new, old = out.with_name(f".{out.name}.new"), out.with_name(f".{out.name}.old")
    with filelock.FileLock(out.with_name(f".{out.name}.lock")):
        # The lock is ours, so what stands here was left by a run that was killed.
        if old.exists() and not out.exists():
            old.rename(out)
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            if out.exists():
                out.rename(old)
            new.rename(out)
        except BaseException:
            if old.exists() and not out.exists():
                old.rename(out)
            raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
