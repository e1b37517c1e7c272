"""The pages of the data in a real browser, from the disk and without a network: they draw, and obey."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsers import launch, wait_for_sound, wait_until, watched
from data_reports import ODD, DataPage
from report_rows import corpus

from pianogen.report import data_figures, data_queries, page_figures
from pianogen.report.page import write_report
from pianogen.warehouse import query_warehouse

HOSTILE = '<a href="javascript:alert(1)">x</a><b>%{y}&amp;'
DRAWN = "[...document.querySelectorAll('.plot')].every((plot) => plot.dataset.drawn)"
WIDE, PHONE = 1280, 360


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from launch()


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """Call with the path of a page; returns it with every plot drawn. Nothing may have failed or been fetched."""
    with watched(browser, logs=False) as pages:

        def open_it(path: Path, width: int = WIDE, wait_for: str = DRAWN, **options):
            page = pages.open(path, width=width, **options)
            wait_until(page, wait_for)
            return page

        open_it.troubles = pages.troubles
        yield open_it


def wait_for(page, figure: str, words: str) -> None:
    """Until a plot is drawn as the words say."""
    wait_until(page, f"document.getElementById('{figure}').dataset.drawn.includes('{words}')")


NUMBERS = """(id) => {
    const details = document.querySelector(`#${id} details.numbers`);
    details.open = true;
    details.dispatchEvent(new Event("toggle"));
    return [...details.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
}"""
TABLES = """([data, chosen]) => Object.fromEntries(data.figures.filter(({ id }) => id in chosen).map((figure) => {
    const { columns, rows } = Charts.table(figure, data, chosen[figure.id]);
    return [figure.id, [columns, ...rows]];
}))"""


def test_tables_of_the_browser_are_those_of_the_page_whatever_is_chosen(open_page, data_report):
    warehouse, folder = data_report
    page = open_page(folder / "index.html")
    data = DataPage(folder / "index.html").data
    rows = {name: query_warehouse(warehouse, query).to_pylist() for name, query in data_queries.all_queries().items()}
    _, figures = page_figures.comparison(rows, data["labels"])
    for choice in ({}, {"counted": "once"}, {"split": "test"}, {"split": "train", "counted": "no_copies"}):
        chosen = {
            figure.id: {**figure.chosen, **{name: choice[name] for name in figure.follows if name in choice}}
            for figure in figures
        }
        drawn = page.evaluate(TABLES, [data, chosen])
        for figure in figures:
            table = data_figures.numbers(figure, data, chosen[figure.id])
            assert drawn[figure.id] == [table.columns, *table.rows], (figure.id, choice)
    assert drawn["notes"][2][0] == "mine"


def test_what_is_chosen_is_drawn_and_stands_in_the_tables(open_page, data_report):
    page = open_page(data_report[1] / "index.html")
    assert page.evaluate(NUMBERS, "performances")[1:] == [["alone", "1"], ["mine", "17"]]
    page.locator("#choices [name=counted]").select_option("once")
    wait_for(page, "performances", "all once")
    assert page.evaluate(NUMBERS, "performances")[1:] == [["alone", "1"], ["mine", "15"]]
    assert page.locator("#performances .bartext").all_text_contents() == ["15", "1"]
    assert page.locator("#performances .state").inner_text() == "All splits, the same music once"
    page.locator("#choices [name=split]").select_option("test")
    wait_for(page, "pitch", "test once")
    assert "Nothing to show of: " in page.locator("#pitch .remark").inner_text()
    page.locator("#choices [name=split]").select_option("all")
    page.locator("#velocity button", has_text="mine").click()
    wait_until(page, "document.querySelectorAll('#pitch .scatterlayer .trace').length === 2")
    assert page.locator("#pitch button[aria-pressed=false]").inner_text() == "mine"
    page.locator("#choices [name=lines]").select_option("below")
    wait_for(page, "pitch", "below")
    assert page.locator("#pitch .ytick").count() == 2
    page.locator("#distances [name=measure]").select_option("velocity")
    page.locator("#distances [name=metric]").select_option("moved")
    wait_until(page, "document.querySelector('#distances .remark').textContent.includes('MIDI number')")
    assert all(float(text) > 1 for text in page.locator("#distances .heatmap-label").all_text_contents())


def test_sql_is_copied_as_it_stands(open_page, data_report):
    page = open_page(data_report[1] / "mine.html", wait_for="true", permissions=["clipboard-read", "clipboard-write"])
    details = page.locator("#velocity details.sql")
    details.locator("summary").click()
    details.get_by_role("button", name="Copy").click()
    details.get_by_role("button", name="Copied").wait_for()
    (sql,) = DataPage(data_report[1] / "mine.html").sql["velocity"]
    assert page.evaluate("navigator.clipboard.readText()") == sql


def ink(page) -> tuple[int, int]:
    """Brightness of a card and of the text in its drawing, 0 to 255."""
    colors = page.evaluate("""() => [
        getComputedStyle(document.querySelector(".plot")).backgroundColor,
        getComputedStyle(document.querySelector("#notes .ytick text")).fill,
    ].map((color) => Number(color.match(/\\d+/g)[0]))""")
    return colors[0], colors[1]


@pytest.mark.parametrize("name", ["index.html", "mine.html"])
def test_a_phone_in_the_dark_shows_everything_and_scrolls(open_page, data_report, name):
    page = open_page(data_report[1] / name, width=PHONE, color_scheme="dark", has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    sizes = page.locator(".drawing .main-svg:first-child").evaluate_all("(all) => all.map((one) => one.clientWidth)")
    assert sizes
    assert all(260 < width < PHONE for width in sizes)
    texts = page.locator(".drawing text").evaluate_all(
        "(all) => all.filter((one) => one.textContent.trim()).map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(texts) >= 10
    drawing = page.locator("#pitch .drawing")
    drawing.scroll_into_view_if_needed()
    box, before = drawing.bounding_box(), page.evaluate("scrollY")
    swipe(page, box["x"] + 150, box["y"] + 120, 200)
    wait_until(page, f"scrollY > {before + 100}")


def swipe(page, x: float, y: float, up: float) -> None:
    """A finger that goes up, and with it the page, where nothing holds it."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: dict) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for i in range(1, 9):
        touch("touchMove", {"x": x, "y": y - up * i / 8})
        page.wait_for_timeout(16)
    touch("touchEnd")


def test_colors_follow_the_scheme_as_it_changes(open_page, data_report):
    page = open_page(data_report[1] / "index.html", color_scheme="light")
    ground, text = ink(page)
    assert ground > 200 > 100 > text
    page.emulate_media(color_scheme="dark")
    wait_for(page, "notes", "dark")
    ground, text = ink(page)
    assert ground < 60 < 180 < text


def test_an_outlier_can_be_heard(open_page, data_report):
    page = open_page(data_report[1] / "mine.html", wait_for="window.pianogen")
    page.get_by_role("button", name=f"Play {ODD}").click()
    wait_for_sound(page)
    assert page.locator("canvas.notes").first.bounding_box()["width"] > 500


def test_names_are_drawn_as_text(open_page, new_warehouse, tmp_path):
    tables = corpus(HOSTILE)
    tables["time_signatures"] = []
    tables["performance_statistics"][0]["time_signature"] = HOSTILE
    folder = write_report(new_warehouse(**tables), tmp_path / "report").parent / "data"
    page = open_page(folder / "index.html", wait_for="true")
    page.locator("#choices [name=lines]").select_option("below")
    wait_for(page, "pitch", "below")
    wait_until(page, DRAWN)
    assert page.locator("svg a").count() == 0
    assert all(text.startswith("<a href=") for text in page.locator("#notes .ytick").all_text_contents())
    box = page.locator("#notes .drawing").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 22)
    page.locator(".hoverlayer text", has_text=HOSTILE).first.wait_for()
    assert page.locator("svg a").count() == 0
    assert page.locator("#time_signatures .legend > span").first.inner_text() == HOSTILE


def test_without_plotly_a_plot_says_so_and_the_numbers_stand(open_page, data_report, tmp_path):
    (tmp_path / "mine.html").write_bytes((data_report[1] / "mine.html").read_bytes())
    page = open_page(tmp_path / "mine.html", wait_for="document.querySelector('#tempo_qpm .remark').textContent")
    assert "Is plotly.min.js beside the page?" in page.locator("#pitch .remark").inner_text()
    page.locator("#pitch .numbers summary").click()
    assert page.locator("#pitch .numbers td").count() > 20
    open_page.troubles.clear()
