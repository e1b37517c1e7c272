"""Data cards: what each dataset is, as a page of Markdown, from the warehouse and the catalogue alone.

A card holds no clock and no path of the machine: the same warehouse gives the same bytes. Every section carries the
query that its numbers come from. Names and titles are other people's text and are escaped.

The folder is not ours alone. A file of ours begins with `MARK`; others are neither replaced nor removed.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pianogen.aside import remove_abandoned, write_whole
from pianogen.catalogue import Dataset
from pianogen.errors import QueryError, SettingsError
from pianogen.foreign_text import markdown_text
from pianogen.report.card_sections import SECTIONS, cut, facts, licence, limits, versions, what_it_is
from pianogen.report.rendering import count, fixed
from pianogen.views import quoted
from pianogen.warehouse import open_warehouse

Row = dict[str, Any]

MARK = "<!-- Written by pianogen from the warehouse. What is changed here is lost at the next run. -->"
INDEX = "README"

MEASURES = (
    "duration_sec", "num_notes", "notes_per_sec", "pitch_min", "pitch_mean", "pitch_max", "velocity_mean",
    "velocity_std", "num_velocities", "note_duration_sec_median", "sounding_note_duration_sec_median",
    "polyphony_mean", "sounding_polyphony_mean", "silence_share", "beyond_two_hands_share", "sustain_share",
    "soft_share", "sostenuto_share", "tempo_qpm_mean", "num_tempos", "grid_distance", "key_correlation",
    "scale_consistency", "repeated_bar_share",
)  # fmt: skip
"""Told of each dataset; `measure_summaries` has the others."""

# {name} is the dataset as a SQL string. Every query has an order, so that the same rows give the same card.
_QUERIES = {
    "overview": "select * from dataset_overview where dataset = {name}",
    "rejections": """\
select stage, reason, num_files
from rejections_by_reason
where dataset = {name}
order by num_files desc, stage, reason""",
    "warnings": """\
select split_part(warning, ':', 1) as warning, count(distinct performance_id) as num_performances
from (select performance_id, unnest(warnings) as warning from performances where dataset = {name})
group by all
order by num_performances desc, warning""",
    "composers": """\
select composer, count(*) as num_performances, round(sum(duration_sec) / 3600, 2) as hours
from performances_with_sources
where dataset = {name} and composer is not null
group by composer
order by num_performances desc, composer
limit 8""",
    "splits": """\
select split, num_performances, num_notes, round(duration_hours, 2) as hours
from hours_by_split
where dataset = {name}
order by list_position(['train', 'validation', 'test'], split)""",
    "agreement": """\
select published_split, split, num_performances, round(duration_hours, 2) as hours
from split_agreement
where dataset = {name}
order by list_position(['train', 'validation', 'test'], published_split), split""",
    "leaks": """\
select standing, split, other_split, num_held_out, num_leaking, num_pairs
from split_leakage
where dataset = {name}
order by standing desc, split, other_split""",
    "measures": """\
select measure, num_performances, p05, p50, p95, mean
from measure_summaries
where dataset = {name} and split = 'all' and counted = 'all'
order by measure""",
    "categories": """\
select measure, value, num_performances, share
from category_distribution
where dataset = {name} and split = 'all' and measure in ('key', 'time_signature')
qualify row_number() over (partition by measure order by num_performances desc, value) <= 6 or value is null
order by measure, num_performances desc, value""",
    "twice": """\
select relation, num_removed, num_removed_so_far
from removed_by_tier
where dataset = {name}
order by tier""",
    "sharing": """\
select
    if(dataset_a = {name}, dataset_b, dataset_a)                       as other,
    relation,
    if(dataset_a = {name}, num_performances_a, num_performances_b)     as num_performances,
    num_pairs
from datasets_sharing_music
where {name} in (dataset_a, dataset_b)
order by other, num_pairs desc, relation""",
    "distances": """\
select
    dataset_b as other,
    avg(jensen_shannon_bits)              as bits,
    arg_max(measure, jensen_shannon_bits) as differs_most_in,
    max(jensen_shannon_bits)              as bits_there
from dataset_distances
where dataset_a = {name} and dataset_b <> {name} and counted = 'all'
group by dataset_b
order by bits, other""",
    "outliers": """\
select path, title, measure, amount, dataset_p05, dataset_p95, deviation
from outliers
where dataset = {name} and rank <= 10
order by rank""",
    "messages": """\
select kind, num_messages, performance_share
from message_kinds
where dataset = {name}
order by num_messages desc, kind""",
    "versions": """\
select stage, version
from manifests
where stage = 'splits'
order by stage""",
    "dataset_version": """\
select dataset_version
from statistics_history
where dataset = {name}
order by version desc
limit 1""",
}


_QUERIES_SHOWN = re.compile(r"\n\n<details>.*?</details>", re.DOTALL)


@dataclass(frozen=True)
class Cards:
    """What was written."""

    paths: dict[str, Path]
    """By dataset, and the index under `README`."""
    told: dict[str, str]
    """The same text, less the queries."""
    version: str
    """Changes exactly when a card does."""


def write_data_cards(warehouse: Path, folder: Path, datasets: Sequence[Dataset]) -> Cards:
    """Write the card of every dataset that has files, and the list of them.

    Args:
        warehouse: the DuckDB file; opened for reading only.
        folder: of the cards; those of datasets that are gone are removed, other people's files stay.
        datasets: of the catalogue and of the user, for what the warehouse does not know: title, homepage, facts.

    Raises:
        QueryError: there is no warehouse, or it lacks a table, view or column that a card reads.
        SettingsError: a file of that name is there and was not written by pianogen.
    """
    known = {dataset.name: dataset for dataset in datasets}
    # One connection for all: every query sees the same file, even while a new one is swapped in.
    with open_warehouse(warehouse) as connection:
        found = _rows(connection, warehouse, "select * from dataset_overview order by dataset")
        texts = {row["dataset"]: _card(row, known.get(row["dataset"]), connection, warehouse) for row in found}
    texts[INDEX] = _index(found, known)
    return _write(folder, texts)


def _rows(connection: duckdb.DuckDBPyConnection, warehouse: Path, query: str) -> list[Row]:
    try:
        return connection.sql(query).to_arrow_table().to_pylist()
    except duckdb.Error as error:
        raise QueryError(f"{warehouse}: no data card can be made of it; publish it again: {error}") from None


# The folder


def _write(folder: Path, texts: dict[str, str]) -> Cards:
    paths = {name: folder / f"{name}.md" for name in texts}
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        if path.exists() and not _is_ours(path):
            raise SettingsError(
                f"{path}: was not written by pianogen and would be replaced; move it, or name another folder "
                f"as data_cards in pianogen.toml"
            )
    for path in sorted(folder.glob("*.md")):
        if path not in paths.values() and _is_ours(path):
            path.unlink()
    for name, path in paths.items():
        remove_abandoned(path)
        data = texts[name].encode("utf-8")
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data)
    version = hashlib.sha256("\0".join(texts[name] for name in sorted(texts)).encode()).hexdigest()[:32]
    told = {name: _QUERIES_SHOWN.sub("", text.removeprefix(MARK)).strip() for name, text in texts.items()}
    return Cards(paths, told, version)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline().rstrip() == MARK.encode()
    except OSError:
        return False


# The index


def _index(overviews: Sequence[Row], known: dict[str, Dataset]) -> str:
    lines = [
        [
            f"[{row['dataset']}]({row['dataset']}.md)",
            markdown_text(cut(known[row["dataset"]].title if row["dataset"] in known else "")),
            *map(count, (row["num_files"], row["num_performances"])),
            fixed(row["duration_hours"], 1),
            count(row["num_notes"]),
            markdown_text(licence(row)),
        ]
        for row in overviews
    ]
    header = ["dataset", "", "files", "performances", "hours", "notes", "licence"]
    rows = [header, ["---"] * len(header), *lines]
    table = "\n".join("| " + " | ".join(line) + " |" for line in rows)
    said = "What each dataset is, from the files that were read: one page each, written by `make run`."
    return f"{MARK}\n\n# Datasets\n\n{said}\n\n{table}\n"


# A card


def _card(overview: Row, dataset: Dataset | None, connection: duckdb.DuckDBPyConnection, warehouse: Path) -> str:
    name = overview["dataset"]
    queries = {key: query.format(name=quoted(name)) for key, query in _QUERIES.items()}
    rows = {key: _rows(connection, warehouse, query) for key, query in queries.items()}
    sections = [
        what_it_is(overview, dataset),
        _section("Known limits", limits(overview, rows, dataset)),
        *(
            _section(title, "\n\n".join(part for part in tell(overview, rows) if part), [queries[q] for q in used])
            for title, tell, used in SECTIONS
        ),
        _section("What is said of it", facts(dataset)),
        _section("Versions", versions(rows), [queries["dataset_version"], queries["versions"]]),
    ]
    return f"{MARK}\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, body: str, queries: Sequence[str] = ()) -> str:
    if not body:
        return ""
    asked = "\n\n".join(f"```sql\n{query}\n```" for query in queries)
    told = f"\n\n<details><summary>SQL</summary>\n\n{asked}\n\n</details>" if queries else ""
    return f"## {title}\n\n{body}{told}"
