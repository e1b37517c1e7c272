"""A report over music that the stages made, and what tests read from its pages."""

import html.parser
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpora import curate, folder_dataset, here, improvise, transposed, write_many, write_midi

from pianogen.lake import Lake
from pianogen.report.page import write_report
from pianogen.statistics.build import update_statistics
from pianogen.warehouse import publish_warehouse

SQL = Path(__file__).resolve().parents[2] / "warehouse"
ODD = "loud.mid"


def publish(folder: Path) -> Path:
    """A warehouse of two datasets: one with a copy, a transposition and an outlier, and one of a single performance."""
    music = write_many(folder / "mine", num_files=14, num_notes=60)
    write_midi(music / "copy.mid", improvise(0, 60))
    write_midi(music / "higher.mid", transposed(improvise(1, 60), 2))
    loud = improvise(99, 60)
    write_midi(music / ODD, replace(loud, velocity=loud.velocity * 0 + 127))
    write_midi(folder / "alone" / "one.mid", improvise(50, 40))
    settings = replace(here(folder), sql=SQL)
    lake = Lake(settings.lake)
    datasets = [folder_dataset(folder / name, name) for name in ("mine", "alone")]
    curate(lake, datasets, settings)
    update_statistics(lake, settings)
    publish_warehouse(lake, settings.runs, settings.sql, settings.warehouse)
    return settings.warehouse


def publish_report(folder: Path) -> tuple[Path, Path]:
    """The warehouse of `publish`, and the folder of the pages of its data."""
    warehouse = publish(folder)
    return warehouse, write_report(warehouse, folder / "report").parent / "data"


class DataPage(html.parser.HTMLParser):
    """A page of the data: what its scripts read, and by section or figure its SQL and the cells of its tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.sql: dict[str, list[str]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._places = [""]
        self._words: list[str] = []
        self._data = ""
        self._mode = ""
        self._is_cell = False
        self.feed(path.read_text(encoding="utf-8"))
        self.data = json.loads(self._data)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag in ("section", "figure"):
            self._places.append(found["id"])
        elif tag in ("script", "style"):
            self._mode = "data" if found.get("id") == "page-data" else "other"
        elif tag == "pre":
            self._mode = "sql"
            self.sql.setdefault(self._places[-1], []).append("")
        elif tag == "tr":
            self.tables.setdefault(self._places[-1], []).append([])
        elif tag in ("th", "td"):
            self.tables[self._places[-1]][-1].append("")
            self._is_cell = True

    def handle_endtag(self, tag):
        if tag in ("section", "figure"):
            self._places.pop()
        elif tag in ("script", "style", "pre"):
            self._mode = ""
        elif tag == "table":
            self._is_cell = False

    def handle_data(self, data):
        if self._mode == "data":
            self._data += data
        elif self._mode == "sql":
            self.sql[self._places[-1]][-1] += data
        elif not self._mode:
            self._words.append(data)
            if self._is_cell:
                row = self.tables[self._places[-1]][-1]
                row[-1] = f"{row[-1]} {data.strip()}".strip()
