"""What every page that we write has in common: it acts by our style and scripts alone, and replaces only its like."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from pianogen.errors import SettingsError

MARKED = 2000
"""Bytes at the beginning of a page in which its mark stands."""


def content_policy(style: str | None, scripts: Iterable[str], places: Iterable[str] = ()) -> str:
    """The content security policy of a page: what slipped into it as text does not run, and nothing is fetched.

    Args:
        style: the page's one style sheet; None where a library sets styles of its own as it draws.
        scripts: the scripts that stand in it.
        places: where other scripts may come from, in the words of the policy.
    """

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            "style-src 'unsafe-inline'" if style is None else f"style-src {hashed(style)}",
            f"script-src {' '.join([*places, *map(hashed, scripts)])}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def require_replaceable(out: Path, what: str, mark: bytes) -> None:
    """Refuse a place that holds something else than a page of this kind, or nothing.

    Args:
        out: the folder to be replaced.
        what: kind of page, with its article.
        mark: stands in the head of every `index.html` of this kind.

    Raises:
        SettingsError: `out` is a file, or a folder with other things in it.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise SettingsError(f"{out}: {what} is a folder, and this is a file; name another")
    page = out / "index.html"
    if any(out.iterdir()) and not (page.is_file() and mark in page.read_bytes()[:MARKED]):
        raise SettingsError(f"{out}: holds something else than {what} and would be replaced; name another folder")
