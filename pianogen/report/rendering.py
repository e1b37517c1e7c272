"""How values become text on the report's pages; Jinja escapes what comes out of files."""

import functools
import json
import math
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pianogen.dedupe.groups import TIERS
from pianogen.foreign_text import steerless
from pianogen.report.words import OF_PAGES

TEMPLATES = Path(__file__).parent / "templates"

Row = dict[str, Any]


@functools.cache
def environment() -> jinja2.Environment:
    """Templates of the report, with the filters that they use."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": count,
        "fixed": fixed,
        "change": _change,
        "in_script": in_script,
        "named": _named,
        "names": _names,
        "percent": lambda share: "–" if share is None else f"{fixed(100 * share, 1)} %",
        "place": lambda split: OF_PAGES.both("left out") if split == "none" else split or "–",
        "plain": lambda value: f"{value:g}",
        "rounded": rounded,
        "short": lambda value: "–" if value is None else str(value)[:8],
        "shown": shown,
        "span": _span,
        "stacked": _stacked,
        "said": lambda name: OF_PAGES.both(name.replace("_", " ")),
        "words": lambda name: name.replace("_", " "),
    }
    made.globals |= {"t": OF_PAGES.both, "attr": OF_PAGES.attribute}
    return made


def own(name: str) -> Markup:
    """Text of one of our own style or script files, which needs no escaping."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def in_script(data: Any) -> Markup:
    """JSON that can neither end a script nor begin a comment in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def shown(text: str | None) -> str:
    """A name out of a file without what would turn the text around it; "–" where there is none."""
    return steerless(text) if text else "–"


def count(value: float | None) -> str:
    """A whole number with its thousands apart; "–" for what is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.0f}"


def fixed(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; halves are rounded away from zero, as in the browser."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0:,f}"


def rounded(value: float | None) -> str:
    """A number with about three digits that mean something; whole ones as they are."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    return fixed(value, 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3)


def _names(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "–")


def _change(pair: Row) -> str:
    """What makes b of a."""
    said, semitones = [], pair["semitones"]
    if pair["is_mirrored"]:
        said.append(OF_PAGES.both("mirrored"))
    elif semitones:
        words = "{num} semitone" if abs(semitones) == 1 else "{num} semitones"
        said.append(OF_PAGES.both(words, num=f"{semitones:+d}"))
    if pair["tempo_ratio"] and abs(pair["tempo_ratio"] - 1) > 0.005:
        said.append(OF_PAGES.both("time ×{ratio}", ratio=f"{pair['tempo_ratio']:.2f}"))
    return Markup(", ").join(said) or "–"


def _named(text: Any) -> Markup:
    """Out of the data, and the same in every language."""
    return Markup('<span translate="no">{}</span>').format(text)


def _stacked(row: Row) -> list[Row]:
    """The parts of a bar as long as the dataset has performances: what each tier removes."""
    parts, start = [], 0
    for number, relation in enumerate(TIERS):
        width = row["num_removed"].get(relation, 0)
        if width:
            parts.append({"name": f"tier{number}", "start": start, "width": width})
        start += width
    return parts


def _span(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
