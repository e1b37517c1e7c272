"""Text out of files, made harmless to what shows it: a terminal, a spreadsheet."""

import math
from typing import Any


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
    """A value that JSON and CSV hold: bytes as their length, numbers that are none as null."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_cell(value: Any) -> Any:
    """A value that neither steers a terminal nor is a formula to a spreadsheet."""
    if not isinstance(value, str):
        return plain_value(value)
    shown = steerless(value, but="\n\t")
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@", "\t") else shown
