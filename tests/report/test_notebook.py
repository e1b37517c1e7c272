"""A performance in the cell of a notebook: its page in a page, in a real browser, and what it holds."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from browsers import wait_until
from builders import event, midi_bytes, notes, press
from players import SCALE
from report_rows import midi_bytes as simple_midi

from pianogen.errors import RejectedFileError
from pianogen.report.notebook import MOST, Player, player

HOSTILE = "\"><img src=x onerror=alert(1)></script><script>alert(2)</script>'&quot;"


def performances(shown: Player) -> list[dict]:
    found = re.findall(r'<script type="application/json" class="notes">(.*?)</script>', shown.page, re.DOTALL)
    return [json.loads(text) for text in found]


@pytest.fixture
def show(browser, tmp_path) -> Iterator[Callable]:
    """Call with a player; returns the frame that it makes of itself in a page that has its own style and policy."""
    context = browser.new_context(viewport={"width": 900, "height": 700}, offline=True, accept_downloads=True)
    troubles = []

    def open_cell(shown: Player):
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        (tmp_path / "notebook.html").write_text(
            f"<!doctype html><style>* {{ color: red !important; }}</style><div>{shown._repr_html_()}</div>"
        )
        page.goto((tmp_path / "notebook.html").as_uri())
        page.wait_for_selector("iframe")
        frame = page.frames[1]
        frame.wait_for_selector("button.play")
        return frame

    yield open_cell
    context.close()
    assert troubles == []


def test_a_cell_plays_and_is_untouched_by_the_notebook(show):
    frame = show(player(simple_midi(SCALE), title="A scale"))
    frame.get_by_role("button", name="Play A scale").click()
    wait_until(frame, "window.pianogen.level().rms > 0.01")
    wait_until(frame, "document.querySelector('.player').dataset.time > 0.3")
    assert frame.evaluate("getComputedStyle(document.querySelector('.time')).color") != "rgb(255, 0, 0)"


def test_several_performances_lie_on_one_axis_and_change_at_the_same_place(show):
    high = simple_midi([(pitch + 12, onset, duration, velocity) for pitch, onset, duration, velocity in SCALE[:40]])
    frame = show(player(simple_midi(SCALE), high))
    roll = frame.get_by_role("slider", name=re.compile("Position"))
    assert frame.locator("canvas.notes").count() == 2
    for _ in range(3):
        roll.press("ArrowRight")
    roll.press("x")
    assert frame.locator(".player").get_attribute("data-voice") == "1"
    assert float(frame.locator(".player").get_attribute("data-time")) == 3


def test_titles_and_labels_are_text(show):
    frame = show(player(simple_midi(SCALE), title=HOSTILE, marks=[(1.0, 3.0, HOSTILE)]))
    assert frame.locator(".marks .label").inner_text() == HOSTILE
    assert frame.locator("img").count() == 0
    frame.get_by_role("button", name="Go to 0:01").click()
    assert float(frame.locator(".player").get_attribute("data-time")) == 1


def test_a_cell_speaks_the_language_that_it_is_told(show):
    frame = show(player(simple_midi(SCALE), title="Una escala", language="es"))
    assert frame.get_by_role("button", name="Reproducir Una escala").count() == 1
    assert frame.evaluate("document.documentElement.lang") == "es"


def test_the_midi_file_and_a_wav_can_be_saved_from_a_cell(show):
    frame = show(player(midi := simple_midi(SCALE[:4]), title="four"))
    with frame.page.expect_download() as download:
        frame.get_by_role("link", name="Download four as MIDI").click()
    assert download.value.suggested_filename == "four.mid"
    with frame.page.expect_download() as rendered:
        frame.get_by_role("button", name="Download four as WAV").click()
    assert rendered.value.suggested_filename == "four.wav"
    href = frame.get_by_role("link", name="Download four as MIDI").get_attribute("href")
    assert base64.b64decode(href.split(",")[1]) == midi


def test_the_page_is_escaped_once_into_the_frame():
    shown = player(simple_midi(SCALE), title=HOSTILE)
    (srcdoc,) = re.findall(r'srcdoc="([^"]*)"', shown._repr_html_())
    assert html.unescape(srcdoc) == shown.page
    assert HOSTILE not in shown.page


def test_files_bytes_and_columns_give_the_same_notes(tmp_path):
    columns = notes((0, 60, 1), (1, 64, 0.5))
    midi = simple_midi([(60, 0.0, 0.5, 80), (64, 0.5, 0.25, 80)])
    (tmp_path / "a.mid").write_bytes(midi)
    found = performances(player(columns, midi, tmp_path / "a.mid", str(tmp_path / "a.mid")))
    assert [one["notes"] for one in found] == [[[60, 0.0, 0.5, 80], [64, 0.5, 0.25, 80]]] * 4
    assert found[2]["title"] == "a.mid"


MUSICXML = """<?xml version="1.0"?><score-partwise version="3.1">
<part-list><score-part id="P1"><part-name/></score-part>
</part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note></measure></part></score-partwise>"""


def test_a_musicxml_file_is_taken(tmp_path):
    (tmp_path / "tune.musicxml").write_text(MUSICXML)
    (found,) = performances(player(tmp_path / "tune.musicxml"))
    assert [(pitch, onset, duration) for pitch, onset, duration, _ in found["notes"]] == [(60, 0.0, 1.0)]


def test_what_the_pedal_holds_comes_with_the_notes():
    track = event(0, 0xB0, 64, 127) + press(60) + press(64) + event(480, 0xB0, 64, 0)
    (found,) = performances(player(midi_bytes(track)))
    assert found["notes"] == [[60, 0.0, 0.5, 80, 1.0], [64, 0.5, 0.5, 80, 0.5]]
    assert found["pedal"] == [[0.0, 1.5]]
    assert found["duration_sec"] == 1.5


def test_columns_with_a_pedal_give_what_their_file_gives():
    columns = replace(notes((0, 60, 1), (1, 64, 1), (4, 67, 1)), press_tick=np.array([[0, 1440]], np.int32))
    (found,) = performances(player(columns))
    assert found["notes"] == [[60, 0.0, 0.5, 80, 1.0], [64, 0.5, 0.5, 80, 0.5], [67, 2.0, 0.5, 80]]
    assert found["pedal"] == [[0.0, 1.5]]


def test_what_is_no_performance_is_refused_with_its_reason():
    with pytest.raises(RejectedFileError, match=r"not_(midi|music)"):
        player(b"junk")
    with pytest.raises(RejectedFileError, match="no_notes"):
        player(notes())
    with pytest.raises(ValueError, match=f"1 to {MOST} performances expected, found 0"):
        player()
    with pytest.raises(ValueError, match="language must be one of en, es, found 'fr'"):
        player(simple_midi(SCALE), language="fr")


def test_the_page_can_be_saved(tmp_path):
    shown = player(simple_midi(SCALE))
    assert shown.save(tmp_path / "page.html").read_text() == shown.page
