"""A listening test in a real browser, from the page to the results: heard, voted by keys, kept, saved, taken in."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsers import launch, wait_for_sound, wait_until, watched
from corpora import improvise, write_midi
from listening_tests import write_page, write_sets
from typer.testing import CliRunner
from warehouses import SQL

from pianogen.cli import app
from pianogen.lake import Lake
from pianogen.listening.page import ListeningConfig, make_test
from pianogen.listening.sets import read_set


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from launch()


@pytest.fixture
def open_test(browser) -> Iterator[Callable]:
    """Call with a page; returns it open, in one profile each time. Nothing may have failed or been fetched."""
    with watched(browser) as pages:
        profiles = {}

        def open_page(path: Path, width: int = 1280, **options):
            name = (width, *options.items())
            if name not in profiles:
                profiles[name] = pages.context(width, **options)
            return pages.open(path, profiles[name])

        yield open_page


def hear_both(page) -> None:
    """Let A and B sound until votes are taken."""
    page.keyboard.press("Space")
    wait_until(page, "!document.getElementById('hint').textContent.includes('A and')")
    page.keyboard.press("x")
    wait_until(page, "!document.querySelector('.vote').disabled")


def command(root: Path, *words: object) -> str:
    result = CliRunner().invoke(
        app, [*map(str, words), "--config", str(root / "pianogen.toml")], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_test_is_made_heard_voted_on_by_keys_saved_and_taken_in(open_test, tmp_path):
    (tmp_path / "pianogen.toml").write_text(f'starter = false\nsql = "{SQL}"\n')
    human, model = write_sets(tmp_path)
    page_file = tmp_path / "test.html"
    options = ["--pairs", 4, "--repeats", 2, "--seed", 5]
    said = command(tmp_path, "listening", "make", "--a", human, "--b", model, "--out", page_file, *options)
    assert "4 pairs, 2 of them twice" in said
    key = json.loads((tmp_path / "test.key.json").read_text())

    page = open_test(page_file)
    page.get_by_role("button", name="Begin").press("Enter")
    for number, pair in enumerate(key["pairs"], start=1):
        assert page.locator("#where").inner_text() == f"Pair {number} of 6"
        assert page.locator(".vote").first.is_disabled(), "nothing was heard yet"
        page.keyboard.press("a")
        assert page.locator("#where").inner_text() == f"Pair {number} of 6"
        hear_both(page)
        side = next(side for side in "AB" if pair[side]["set"] == "b")
        if number < 6:
            page.keyboard.press(side.lower())
    with page.expect_download() as download:
        page.keyboard.press(side.lower())
    assert page.get_by_role("heading", name="Thank you.").is_visible()
    votes = tmp_path / download.value.suggested_filename
    download.value.save_as(votes)
    listener = json.loads(votes.read_text())["listener"]
    assert votes.name == f"votes-{listener[:8]}.json"

    words = ["listening", "import", votes, "--key", tmp_path / "test.key.json"]
    assert command(tmp_path, *words) == "1 files: 6 new votes, 0 known\n"
    assert command(tmp_path, *words) == "1 files: 0 new votes, 6 known\n"
    (row,) = json.loads(command(tmp_path, "listening", "results", "--format", "json"))
    assert (row["set_a"], row["set_b"], row["wins_a"], row["wins_b"], row["ties"]) == ("human", "model", 0, 4, 0)
    assert (row["num_repeated"], row["consistency"], row["num_listeners"]) == (2, 1.0, 1)
    assert row["p_value"] == pytest.approx(2 / 2**4)


def test_a_closed_page_goes_on_where_it_was_and_a_vote_can_be_changed(open_test, tmp_path):
    path, _, _ = write_page(tmp_path, pairs=3, repeats=0)
    page = open_test(path)
    page.get_by_role("button", name="Begin").click()
    hear_both(page)
    page.get_by_role("button", name="No difference").click()
    assert page.locator("#where").inner_text() == "Pair 2 of 3"
    page.close()
    page = open_test(path)
    page.get_by_role("button", name="Go on").click()
    assert page.locator("#where").inner_text() == "Pair 2 of 3"
    assert page.locator("#done").evaluate("(bar) => bar.value") == 1
    page.get_by_role("button", name="Back").click()
    pressed = page.locator(".vote[aria-pressed=true]")
    assert pressed.inner_text() == "No difference"
    page.get_by_role("button", name="A is better").click()
    assert page.locator("#where").inner_text() == "Pair 2 of 3"
    page.get_by_role("button", name="Back").click()
    assert pressed.inner_text() == "A is better"


def test_without_storage_votes_last_as_long_as_the_page(open_test, tmp_path):
    path, _, _ = write_page(tmp_path, pairs=2, repeats=0)
    frame_page = tmp_path / "frame.html"
    text = path.read_text().replace("&", "&amp;").replace('"', "&quot;")
    frame_page.write_text(f'<iframe width="900" height="700" sandbox="allow-scripts" srcdoc="{text}"></iframe>')
    page = open_test(frame_page)
    frame = page.frames[1]
    frame.get_by_role("button", name="Begin").click()
    for _ in range(2):
        frame.locator(".play").click()
        wait_until(frame, "!document.getElementById('hint').textContent.includes('A and')")
        frame.get_by_role("button", name="Hear B").click()
        wait_until(frame, "!document.querySelector('.vote').disabled")
        frame.get_by_role("button", name="B is better").click()
    assert frame.get_by_role("button", name="Save the votes").is_visible()


EVEN = """async () => {  // decibels of both as they are, then as the page plays them
    const datas = JSON.parse(document.querySelector("script.pair").textContent);
    const found = [];
    for (const isEven of [false, true]) {
        for (const data of datas) {
            const music = new Music(data, isEven);
            const buffer = await Synth.renderOffline(music.notes, data.duration_sec, { gain: music.gain });
            const samples = buffer.getChannelData(0);
            found.push(10 * Math.log10(samples.reduce((sum, value) => sum + value * value, 0) / samples.length));
        }
    }
    return found;
}"""


def test_a_soft_and_a_loud_performance_are_made_equally_loud(open_test, tmp_path):
    for name, velocity, seed in (("soft", 30, 1), ("loud", 115, 2)):
        music = improvise(seed, 60)
        write_midi(tmp_path / name / f"{name}.mid", replace(music, velocity=np.full(60, velocity, np.uint8)))
    lake = Lake(tmp_path / "lake")
    sets = [read_set(str(tmp_path / name), lake) for name in ("soft", "loud")]
    (tmp_path / "even.html").write_text(make_test(*sets, ListeningConfig(pairs=1, seconds=8))[0])
    page = open_test(tmp_path / "even.html")
    levels = page.evaluate(EVEN)
    assert abs(levels[0] - levels[1]) > 4
    assert abs(levels[2] - levels[3]) < 1.5


def test_the_page_speaks_spanish_and_shows_a_hostile_question_as_text(open_test, tmp_path):
    question = "<img src=x onerror=alert(1)>{pair}"
    path, key, _ = write_page(tmp_path, pairs=2, repeats=0, question=question, language="es")
    page = open_test(path, locale="en-US")
    assert page.locator("h1").inner_text() == question
    assert key["question"] == question
    assert page.locator("img").count() == 0
    page.get_by_role("button", name="Empezar").click()
    assert page.locator("#where").inner_text() == "Par 1 de 2"
    assert page.locator("#hint").inner_text() == "Escuche A y B; después vote."
    page.get_by_role("button", name="English").click()
    assert page.locator("#where").inner_text() == "Pair 1 of 2"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_is_voted_on_by_touch(open_test, tmp_path, scheme):
    path, _, _ = write_page(tmp_path, pairs=2, repeats=0)
    page = open_test(path, width=360, color_scheme=scheme, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Begin").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".play").tap()
    wait_for_sound(page)
    wait_until(page, "!document.getElementById('hint').textContent.includes('A and')")
    page.get_by_role("button", name="Hear B").tap()
    wait_until(page, "!document.querySelector('.vote').disabled")
    page.get_by_role("button", name="B is better").tap()
    assert page.locator("#where").inner_text() == "Pair 2 of 2"
    assert page.locator(".lane-head").all_inner_texts() == ["A", "B"], "no names"
