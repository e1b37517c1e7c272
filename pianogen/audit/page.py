"""An audit as files: `pairs.csv`, `audit.json`, and `index.html` with the notes of its worst pairs in `rolls/`.

The page needs no network, no server and no template engine: names of files and titles, which come from other people,
reach it as JSON and are set as text; the few that stand in its HTML are escaped. A content security policy names our
style and scripts by their hashes. The same music gives the same bytes: no clock, no path of the machine.
"""

import csv
import html
import importlib.metadata
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pianogen.aside import new_folder
from pianogen.audit.leaks import RELATIONS, Audit, HeldOut
from pianogen.audit.matching import Notes
from pianogen.audit.rolls import Roll
from pianogen.foreign_text import csv_cell, plain_value
from pianogen.static_pages import content_policy, require_replaceable

TEMPLATES = Path(__file__).parent / "templates"
SHARED = Path(__file__).parents[1] / "report" / "templates"
"""Style and sound are the report's."""
MAX_LISTED = 5000
"""Pairs on the page; `pairs.csv` has all."""
MAX_OMISSIONS = 200
"""Names of each kind of file that was not compared, on the page; `audit.json` has all."""

SCRIPT_PLACES = ("'self'", "file:")
"""The scripts with notes lie beside the page, on a disk or on a server."""

_MARK = b'<meta name="generator" content="pianogen audit">'
"""In the head of every page; a folder without it is not ours to replace."""

CSV_COLUMNS = (
    "split_a", "path_a", "split_b", "path_b", "relation", "score", "semitones", "is_mirrored", "tempo_ratio",
    "coverage", "coverage_a", "coverage_b", "residual_sec", "num_shared", "num_anchors", "is_leak",
)  # fmt: skip
_PAGE_COLUMNS = (*CSV_COLUMNS, "title_a", "title_b")


def require_writable(out: Path) -> None:
    """Refuse a place that holds something else than an audit.

    Raises:
        SettingsError: `out` is a file, or a folder with other things in it.
    """
    require_replaceable(out, "an audit", _MARK)


def write_audit(audit: Audit, out: Path) -> Path:
    """Write an audit as a folder, which appears whole.

    Args:
        audit: what was found.
        out: the folder; replaced when it is an audit or empty.

    Returns:
        `out / "index.html"`.

    Raises:
        SettingsError: `out` holds something else.
    """
    out = Path(out).resolve()
    require_writable(out)
    with new_folder(out) as folder:
        (folder / "pairs.csv").write_text(pairs_csv(audit), encoding="utf-8", newline="")
        (folder / "audit.json").write_text(json.dumps(facts(audit), indent=1) + "\n", encoding="utf-8")
        (folder / "index.html").write_text(_page(audit), encoding="utf-8", newline="\n")
        (folder / "rolls").mkdir()
        for name, text in _rolls(audit.rolls):
            (folder / "rolls" / f"{name}.js").write_text(text, encoding="utf-8", newline="\n")
    return out / "index.html"


def pairs_csv(audit: Audit) -> str:
    """Every pair across splits; no cell begins a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in audit.pairs.select(CSV_COLUMNS).to_pylist():
        writer.writerow(csv_cell(value) for value in row.values())
    return text.getvalue()


def facts(audit: Audit) -> dict[str, Any]:
    """Everything that an audit says, as JSON values."""
    return {
        "title": audit.title,
        "leaks": audit.num_leaks > 0,
        "num_leaks": audit.num_leaks,
        "num_shared_melodies_apart": audit.num_melodies,
        "counts_melodies": audit.counts_melodies,
        "splits": [vars(count) for count in audit.counts],
        "held_out": [{**vars(one), "share": one.share} for one in audit.held_out],
        "matrix": [dict(row) for row in audit.matrix],
        "rejections": [dict(row) for row in audit.rejections],
        "missing": list(audit.missing),
        "without_split": list(audit.without_split),
        "pairs": [
            {name: plain_value(value) for name, value in row.items()}
            for row in audit.pairs.select(_PAGE_COLUMNS).to_pylist()
        ],
    }


def sentence(one: HeldOut) -> str:
    """What a held-out split has in common with another, in words."""
    files = f"{one.num_leaked:,} of {one.num_read:,} {one.split} file{'' if one.num_read == 1 else 's'}"
    if not one.num_leaked:
        return f"None of {one.num_read:,} {one.split} file{'' if one.num_read == 1 else 's'} has music in {one.earlier}"
    return f"{files} ({100 * one.share:.1f} %) {'has' if one.num_leaked == 1 else 'have'} music in {one.earlier}"


# The page


def _page(audit: Audit) -> str:
    style = "".join(map(_read, (SHARED / "page.css", SHARED / "player.css", TEMPLATES / "audit.css")))
    scripts = [_read(SHARED / name) for name in ("synth.js", "sequencer.js", "roll.js")]
    scripts += [_read(TEMPLATES / name) for name in ("lane.js", "pair.js", "page.js")]
    classes = {True: "some", False: "none"}
    verdict = [
        f'<li class="{classes[one.num_leaked > 0]}">{html.escape(sentence(one))}.</li>' for one in audit.held_out
    ]
    values = {
        "policy": html.escape(content_policy(style, scripts, SCRIPT_PLACES)),
        "style": style,
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "title": html.escape(audit.title),
        "verdict_word": "leaks" if audit.num_leaks else "clean",
        "verdict_class": "spoiled" if audit.num_leaks else "clean",
        "verdict": "".join(verdict),
        "melody_rule": "" if audit.counts_melodies else ", unless no more than a melody is shared",
        "version": html.escape(importlib.metadata.version("pianogen")),
        "data": _in_script(_page_data(audit)),
    }
    # In one pass: what stands in a value is not looked at again.
    return re.sub(r"\[\[(\w+)\]\]", lambda match: values[match[1]], _read(TEMPLATES / "page.html"))


def _page_data(audit: Audit) -> dict[str, Any]:
    rows = audit.pairs.select(_PAGE_COLUMNS).slice(0, MAX_LISTED).to_pylist()
    return {
        "splits": [vars(count) for count in audit.counts],
        "matrix": [dict(row) for row in audit.matrix],
        "relations": list(RELATIONS),
        "num_leaks": audit.num_leaks,
        "num_pairs": audit.pairs.num_rows,
        "num_rolls": len(audit.rolls),
        "pair_columns": list(_PAGE_COLUMNS),
        "pairs": [[plain_value(value) for value in row.values()] for row in rows],
        "num_rejections": len(audit.rejections),
        "rejections": [dict(row) for row in audit.rejections[:MAX_OMISSIONS]],
        "num_missing": len(audit.missing),
        "missing": list(audit.missing[:MAX_OMISSIONS]),
        "num_without_split": len(audit.without_split),
        "without_split": list(audit.without_split[:MAX_OMISSIONS]),
    }


def _rolls(rolls: Iterable[Roll]) -> Iterable[tuple[str, str]]:
    """Names and texts of the scripts that hold the notes: one for each pair, one for each performance."""
    numbers: dict[str, int] = {}
    for i, roll in enumerate(rolls):
        for performance, notes in ((roll.performance_a, roll.a), (roll.performance_b, roll.b)):
            if performance not in numbers:
                numbers[performance] = len(numbers)
                yield _data_script(f"notes-{numbers[performance]}", _columns(notes))
        times = roll.times
        data = {
            "a": numbers[roll.performance_a],
            "b": numbers[roll.performance_b],
            "axis": _steps(times.axis_sec),
            "a_sec": _steps(times.a_sec),
            "b_sec": _steps(times.b_sec),
            "tempo_ratio": times.tempo_ratio,
            "is_aligned": roll.is_aligned,
            "matched_a": roll.matches[:, 0].tolist(),
            "matched_b": roll.matches[:, 1].tolist(),
        }
        yield _data_script(f"pair-{i}", data)


def _columns(notes: Notes) -> dict[str, list[int]]:
    """Times in milliseconds; onsets as steps from one to the next; what the pedal holds where it holds anything."""
    duration = np.rint(1000 * (notes.offset_sec - notes.onset_sec)).astype(int)
    return {
        "pitch": notes.pitch.tolist(),
        "velocity": notes.velocity.tolist(),
        "onset": _steps(notes.onset_sec),
        "duration": np.maximum(duration, 1).tolist(),
        **({"held": np.rint(1000 * notes.held_sec).astype(int).tolist()} if notes.held_sec.any() else {}),
    }


def _steps(sec: np.ndarray) -> list[int]:
    """Milliseconds, each from the one before; their running sum is off by half a millisecond at most."""
    return np.diff(np.rint(1000 * np.asarray(sec, np.float64)).astype(int), prepend=0).tolist()


def _data_script(name: str, data: dict[str, Any]) -> tuple[str, str]:
    return name, f"pianogenData({json.dumps(name)},{json.dumps(data, separators=(',', ':'), allow_nan=False)});\n"


def _in_script(data: Any) -> str:
    """JSON that can neither end a script nor begin a comment in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
