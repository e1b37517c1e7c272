"""What tests need that open a page in a real browser."""

import os
import shutil
from collections.abc import Iterator

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
