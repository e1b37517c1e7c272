"""How soon a report of many samples answers, in Chromium: written, opened from the disk, and measured by the browser.

    python -m benchmarks.page                       200 samples of 500 to 1,000 notes
    python -m benchmarks.page --samples 1000

Interactive is when the document's own scripts have run and the first frame after them is drawn: buttons act then, and
the rolls in sight are drawn. All times are the browser's, from the start of the navigation (`performance.now`); the
longest task is that of the Long Tasks API, over loading and a scroll to the end. Medians of several fresh profiles.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from playwright.sync_api import Browser, Page, sync_playwright

from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.report.page import write_report
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views
from pianogen.warehouse import METRICS, REFERENCE_RESULTS, RUNS

VIEWS = Path(__file__).resolve().parents[1] / "warehouse" / "views"
OWN = {"runs": RUNS, "metrics": METRICS, "reference_results": REFERENCE_RESULTS}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

WATCH = """
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: "longtask", buffered: true });
    document.addEventListener("DOMContentLoaded", () =>
        requestAnimationFrame(() => setTimeout(() => (window.interactive = performance.now()))));
"""
MEASURES = """() => {
    const [navigation] = performance.getEntriesByType("navigation");
    const [ready] = performance.getEntriesByName("players ready");
    return {
        "players ready": ready.startTime,
        "DOM content loaded": navigation.domContentLoadedEventEnd,
        "interactive": window.interactive,
        "longest task": window.longest,
    };
}"""


def sample(number: int, drawn: np.random.Generator) -> dict[str, Any]:
    """A row of `samples`: seeded notes of about three a second."""
    num_notes = int(drawn.integers(500, 1001))
    notes = NoteColumns(
        pitch=drawn.integers(36, 96, num_notes).astype(np.uint8),
        velocity=drawn.integers(30, 110, num_notes).astype(np.uint8),
        onset_tick=np.cumsum(drawn.integers(0, 480, num_notes)).astype(np.int32),
        duration_tick=drawn.integers(60, 960, num_notes).astype(np.int32),
        ticks_per_quarter=480,
    ).sorted()
    return {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "sample": f"sample_{number:04d}",
        "title": f"Sample {number}",
        "prompt_sec": 5.0,
        "seed": number,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 0.95,
        "num_notes": num_notes,
        "midi": midi_bytes(notes),
    }


def write_page(folder: Path, num_samples: int) -> Path:
    """The report of a warehouse that has samples and nothing else."""
    drawn = np.random.default_rng(1)
    rows = {"samples": [sample(i, drawn) for i in range(num_samples)]}
    with duckdb.connect(str(folder / "pianogen.duckdb")) as connection:
        for table, schema in {**SCHEMAS, **OWN}.items():
            columns = {field.name: [row.get(field.name) for row in rows.get(table, [])] for field in schema}
            nullable = pa.schema([field.with_nullable(True) for field in schema])
            connection.register("rows_to_copy", pa.table(columns, schema=nullable))
            connection.execute(f"create table {table} as select * from rows_to_copy")
            connection.unregister("rows_to_copy")
        apply_views(connection, VIEWS)
    return write_report(folder / "pianogen.duckdb", folder / "report")


def wait_until(page: Page, condition: str) -> None:
    """Ask again and again; Playwright's own wait needs `eval`, which the page forbids."""
    while not page.evaluate(condition):
        page.wait_for_timeout(20)


def measure(browser: Browser, page_file: Path) -> dict[str, float]:
    """Milliseconds of one opening in a fresh profile."""
    with browser.new_context(viewport={"width": 1280, "height": 800}, offline=True) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(page_file.as_uri())
        wait_until(page, "window.interactive !== undefined")
        found = page.evaluate(MEASURES)
        page.locator(".player").last.scroll_into_view_if_needed()
        wait_until(page, "[...document.querySelectorAll('canvas.notes')].at(-1).width > 300")
        return found | {"longest task": page.evaluate("window.longest")}


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--times", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        page_file = write_page(Path(folder), arguments.samples)
        size = page_file.stat().st_size / 1e6
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        found = [measure(browser, page_file) for _ in range(arguments.times)]
        print(f"{arguments.samples} samples, {size:.1f} MB, Chromium {browser.version}, {arguments.times} openings\n")
        browser.close()
    print("| | median, ms | most, ms |\n|---|---|---|")
    for name in found[0]:
        values = [one[name] for one in found]
        print(f"| {name} | {statistics.median(values):.0f} | {max(values):.0f} |")


if __name__ == "__main__":
    main()
