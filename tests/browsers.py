"""What tests need that open a page in a real browser."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # Chromium's sandbox does not start for root, as whom containers run tests.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
SILENT = 1e-3
"""Root mean square, 60 dB below full scale."""


def launch() -> Iterator:
    """A browser, closed in the end."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the Playwright package drives the browser")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package `chromium`")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """Pages of which nothing may fail, ask or be fetched.

    Args:
        browser: as `launch` gives it.
        logs: whether a page may write to the console.
    """

    def __init__(self, browser, *, logs: bool = True) -> None:
        self.browser, self.logs = browser, logs
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.contexts: list = []

    def context(self, width: int = 1280, height: int = 800, **options):
        """A profile of its own, without a network."""
        made = self.browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        self.contexts.append(made)
        return made

    def open(self, path: Path, context=None, **options):
        """The page of a file, in a context or in a new one of these options."""
        page = (context or self.context(**options)).new_page()
        page.on("console", lambda message: self._say(message.text) if message.type != "log" or not self.logs else None)
        page.on("pageerror", lambda error: self._say(str(error)))
        page.on("dialog", lambda dialog: (self._say(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        return page

    def _say(self, trouble: str) -> None:
        self.troubles.append(trouble)


@contextlib.contextmanager
def watched(browser, **options) -> Iterator[Watched]:
    """Pages that are closed in the end; then nothing may have happened that should not."""
    pages = Watched(browser, **options)
    yield pages
    for context in pages.contexts:
        context.close()
    assert pages.troubles == []
    assert [address for address in pages.requests if not address.startswith(("file:", "data:", "blob:"))] == []


def wait_until(page, condition: str) -> None:
    """Wait for a JavaScript condition; Playwright's own wait needs `eval`, which our pages forbid."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {condition}")


def wait_for_sound(page) -> dict:
    """Loudness of what is heard, once something is."""
    wait_until(page, "window.pianogen.level().rms > 0.01")
    return page.evaluate("window.pianogen.level()")
