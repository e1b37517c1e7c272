"""The page of the tokenizers in a real browser, from the disk and without a network."""

from collections.abc import Callable, Iterator

import pytest
from browsers import launch, watched
from report_rows import corpus
from test_tokenizer_page import round_trips

from pianogen.report.page import write_report

PHONE = 360


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from launch()


@pytest.fixture
def open_page(browser, new_warehouse, tmp_path) -> Iterator[Callable]:
    """The open page; in the end, nothing may have failed or been fetched."""
    path = write_report(new_warehouse(**corpus(), round_trips=round_trips()), tmp_path / "report")
    with watched(browser, logs=False) as pages:
        yield lambda **options: pages.open(path.parent / "tokenizers.html", **options)


def test_a_phone_in_the_dark_shows_everything(open_page):
    page = open_page(width=PHONE, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.evaluate("document.querySelector('img').naturalWidth") > 200
    cell = "getComputedStyle(document.querySelector('td.step5'))"
    dark = page.evaluate(f"{cell}.backgroundColor")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(f"{cell}.backgroundColor") != dark


def test_sql_and_all_numbers_open_on_a_click_and_links_lead_home(open_page):
    page = open_page()
    details = page.locator("#everything details").first
    assert not details.locator("table").is_visible()
    details.locator("summary").click()
    assert details.locator("tbody tr").count() == 3
    page.locator("#f1 summary").click()
    assert "from tokenizer_round_trips" in page.locator("#f1 pre").inner_text()
    page.get_by_role("link", name="Report").click()
    page.get_by_role("link", name="The tokenizers beside each other").click()
    assert page.title() == "Tokenizers – pianogen report"
