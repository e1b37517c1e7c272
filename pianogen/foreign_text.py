"""Text out of files, made harmless to what shows it: a terminal, a spreadsheet, Markdown."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKDOWN = re.compile(r"[\\`*\[\]<>|&~@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""What begins or ends markup, links and mentions within a line; an underscore inside a word is none."""


def steerless(text: str, but: str = "") -> str:
    """Text without what steers a terminal, escaped as in the names of files (`folders.printable`).

    Args:
        text: out of a file, or its name.
        but: characters that stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in but else f"\\x{ord(c):02x}" if ord(c) < 0x80 else f"\\u{ord(c):04x}" for c in text
    )


def plain_value(value: Any) -> Any:
    """A value that JSON and CSV hold: bytes as their length, numbers that are none as null, inside lists too."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if type(value) in (list, tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, dict):
        return {name: plain_value(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_cell(value: Any) -> Any:
    """A value that neither steers a terminal nor is a formula to a spreadsheet."""
    if not isinstance(value, str):
        return plain_value(value)
    shown = steerless(value, but="\n\t")
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@", "\t") else shown


def markdown_text(value: Any) -> str:
    """A value that Markdown shows as it stands, within a line or a cell of a table."""
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", steerless(str(value)))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a table in Markdown, whatever text they hold."""
    lines = [map(markdown_text, header), ["---"] * len(header), *(map(markdown_text, row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
