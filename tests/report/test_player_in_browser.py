"""What the player can do beyond playing: tempo, loop, pedal, zoom, files, comparison, from keys and in the browser."""

import io
import itertools
import math
import re
import wave

import numpy as np
import pytest
from browsers import SILENT, wait_for_sound, wait_until
from builders import event, midi_bytes, press
from players import SCALE, state, time_of, two_samples
from report_rows import midi_bytes as simple_midi
from report_rows import sample

SECOND = 960
"""Ticks, at 120 quarters a minute."""


def pedalled(is_pressed: bool) -> bytes:
    """A low note of a tenth of a second, held for three seconds or not, and another one after five."""
    sustain, tenth = event(0, 0xB0, 64, 127 if is_pressed else 0), SECOND // 10
    lift = event(3 * SECOND - tenth, 0xB0, 64, 0)
    return midi_bytes(sustain + press(33, tenth, velocity=110) + lift + press(33, tenth, delta=2 * SECOND))


def slider(page, title: str = "first"):
    return page.get_by_role("slider", name=f"Position in {title}")


def loudness_at(page, seconds: float) -> float:
    """Of what is heard when the first player has come there."""
    wait_until(page, f"document.querySelector('.player').dataset.time > {seconds}")
    return page.evaluate("window.pianogen.level()")["rms"]


# Pedal


def test_the_pedal_holds_what_is_heard(open_report):
    loudness = {}
    for is_pressed in (True, False):
        page = open_report(sample(midi=pedalled(is_pressed)))
        page.locator("button.play").click()
        loudness[is_pressed] = loudness_at(page, 2.0)
    assert loudness[True] > 5 * SILENT
    assert loudness[False] < SILENT


def test_the_lift_of_the_pedal_is_silence(open_report):
    page = open_report(sample(midi=pedalled(True)))
    page.get_by_role("slider", name=re.compile("Position")).press("ArrowRight")
    page.locator("button.play").click()
    assert loudness_at(page, 2.0) > 5 * SILENT
    assert loudness_at(page, 4.0) < SILENT


BAND = """() => {
    const canvas = document.querySelector("canvas.notes");
    const ratio = canvas.height / 190;
    const row = canvas.getContext("2d").getImageData(0, Math.round(184 * ratio), canvas.width, 1).data;
    const ground = [...row.slice(4 * (canvas.width - 8), 4 * (canvas.width - 8) + 3)].join();
    return Array.from({ length: canvas.width }, (_, x) => [...row.slice(4 * x, 4 * x + 3)].join() !== ground);
}"""


def test_presses_stand_as_bars_under_the_roll(open_report):
    page = open_report(sample(midi=pedalled(True)))
    page.locator(".player").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('canvas.notes').width > 300")
    band = np.array(page.evaluate(BAND))
    seconds = float(page.locator(".player").get_attribute("data-seconds"))
    assert seconds == pytest.approx(5.1, abs=0.01)
    assert band[: int(len(band) * 2.9 / seconds)].mean() > 0.98
    assert band[int(len(band) * 3.1 / seconds) :].mean() < 0.05


# Tempo, loop, zoom


@pytest.mark.parametrize("percent", [50, 200])
def test_at_another_tempo_the_place_moves_at_that_pace(open_report, percent):
    page = open_report(*two_samples())
    page.get_by_role("slider", name="Tempo").first.fill(str(percent))
    assert page.locator("output.percent").first.inner_text() == f"{percent} %"
    page.locator("button.play").first.click()
    wait_for_sound(page)
    read = "() => [performance.now() / 1000, Number(document.querySelector('.player').dataset.time)]"
    clock_before, music_before = page.evaluate(read)
    page.wait_for_timeout(1500)
    clock_after, music_after = page.evaluate(read)
    pace = (music_after - music_before) / (clock_after - clock_before)
    assert pace == pytest.approx(percent / 100, rel=0.25)


PITCHES = """async (rate) => {
    const note = { pitch: 57, velocity: 100, onset: 0, duration: 2, held: 0 };
    const buffer = await window.pianogen.renderOffline([note], 2, { rate });
    const samples = buffer.getChannelData(0);
    const rms = (from, to) => Math.sqrt(samples.slice(from * 44100, to * 44100).reduce((sum, x) => sum + x * x, 0));
    const strength = (hertz) => {
        let re = 0, im = 0;
        for (let n = 4410; n < 0.9 * 44100; n++) {
            re += samples[n] * Math.cos(2 * Math.PI * hertz * n / 44100);
            im += samples[n] * Math.sin(2 * Math.PI * hertz * n / 44100);
        }
        return Math.hypot(re, im);
    };
    return { here: strength(220), beside: [strength(207.7), strength(233.1)], late: rms(1.5, 1.9) };
}"""


def test_another_tempo_keeps_the_pitch_and_shortens_the_notes(open_report):
    page = open_report(*two_samples())
    usual, fast = page.evaluate(PITCHES, 1), page.evaluate(PITCHES, 2)
    for sound in (usual, fast):
        assert sound["here"] > 10 * max(sound["beside"])
    assert fast["here"] == pytest.approx(usual["here"], rel=0.05)
    assert fast["late"] < 0.1 * usual["late"], "the key is up after a second"


def test_a_loop_goes_round(open_report):
    page = open_report(*two_samples())
    player, roll = page.locator(".player").first, slider(page)
    for _ in range(3):
        roll.press("ArrowRight")
    roll.press("[")
    roll.press("ArrowRight")
    roll.press("]")
    assert page.locator("output.looped").first.inner_text() == "0:03–0:04"
    roll.press("Home")
    roll.press("PageUp")
    roll.press("Space")
    times = []
    for _ in range(60):
        times.append(time_of(player))
        page.wait_for_timeout(50)
    assert any(later < earlier - 0.5 for earlier, later in itertools.pairwise(times)), "it goes back"
    assert all(2.95 <= time <= 4.3 for time in times[5:]), times
    assert state(player) == "playing"
    page.get_by_role("button", name="off").first.click()
    assert page.locator("output.looped").first.inner_text() == ""
    wait_until(page, "document.querySelector('.player').dataset.time > 4.5")


def test_shift_and_a_drag_make_a_loop_and_a_drag_alone_moves(open_report):
    page = open_report(*two_samples())
    player = page.locator(".player").first
    canvas = player.locator("canvas.notes")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = lambda share: box["x"] + share * box["width"]  # noqa: E731
    page.mouse.move(at(0.25), box["y"] + 60)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(at(0.75), box["y"] + 60, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert page.locator("output.looped").first.inner_text() == "0:05–0:15"
    page.mouse.move(at(0.3), box["y"] + 60)
    page.mouse.down()
    page.mouse.move(at(0.5), box["y"] + 60, steps=4)
    assert time_of(player) == pytest.approx(10, abs=0.2), "the place follows the hand"
    page.mouse.up()
    assert time_of(player) == pytest.approx(10, abs=0.2)


def test_a_finger_goes_there_and_its_buttons_make_a_loop(open_report):
    page = open_report(*two_samples(), width=390, has_touch=True, is_mobile=True)
    player = page.locator(".player").first
    canvas = player.locator("canvas.notes")
    canvas.scroll_into_view_if_needed()
    canvas.tap(position={"x": 130, "y": 60})
    assert time_of(player) == pytest.approx(5, abs=0.3)
    player.get_by_role("button", name="to here").tap()
    assert player.locator("output.looped").inner_text() in ("0:00–0:05", "0:00–0:04")


def test_zoom_shows_less_of_the_music_at_the_same_place(open_report):
    page = open_report(*two_samples())
    player, roll = page.locator(".player").first, slider(page)
    roll.press("PageUp")
    widths = []
    for key in ("", "+", "+", "-", "-", "-"):
        if key:
            roll.press(key)
        widths.append(player.locator(".strip").evaluate("(strip) => strip.clientWidth"))
    assert widths[0] == widths[-1] == widths[-2], "all of it is the least"
    assert widths[2] == pytest.approx(2.25 * widths[0], rel=0.01)
    player.get_by_role("button", name="Zoom in").click()
    head = player.locator(".playhead").bounding_box()
    window = player.locator(".window").bounding_box()
    assert window["x"] <= head["x"] <= window["x"] + window["width"], "where we are is seen"


def test_restart_goes_to_the_beginning(open_report):
    page = open_report(*two_samples())
    slider(page).press("PageUp")
    page.get_by_role("button", name="From the beginning").first.click()
    assert time_of(page.locator(".player").first) == 0


# Comparison


def compare(page):
    page.get_by_role("button", name="Compare first").click()
    assert "Chosen: first" in page.locator(".chosen").inner_text()
    page.get_by_role("button", name="Compare second").click()
    return page.get_by_role("dialog", name="Compare")


def test_two_samples_are_heard_by_turns_from_the_same_place(open_report):
    page = open_report(*two_samples())
    slider(page).press("PageUp")
    dialog = compare(page)
    both = dialog.locator(".player")
    assert both.locator("canvas.notes").count() == 2
    assert both.locator(".lane-head").all_inner_texts() == ["A first", "B second"]
    assert time_of(both) == 10, "where the first one was"
    page.keyboard.press("Space")
    wait_for_sound(page)
    before = time_of(both)
    page.keyboard.press("x")
    assert both.get_attribute("data-voice") == "1"
    assert before - 0.05 <= time_of(both) < before + 0.7
    wait_until(page, f"document.querySelector('dialog .player').dataset.time > {before + 0.8}")
    wait_for_sound(page)
    dialog.get_by_role("button", name="Hear A").click()
    assert both.get_attribute("data-voice") == "0"
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    wait_until(page, f"window.pianogen.level().rms < {SILENT}")


def test_two_samples_of_different_length_share_one_axis(open_report):
    short = sample(sample="second", title="second", midi=simple_midi(SCALE[:40]))
    page = open_report(two_samples()[0], short)
    both = compare(page).locator(".player")
    assert both.locator(".time").inner_text().endswith("/ 0:20")
    widths = both.locator("canvas.notes").evaluate_all("(all) => all.map((canvas) => canvas.clientWidth)")
    assert widths[0] == widths[1]


def test_a_choice_can_be_taken_back(open_report):
    page = open_report(*two_samples())
    page.get_by_role("button", name="Compare first").click()
    assert page.get_by_role("button", name="Compare first").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Cancel").click()
    assert page.locator(".chosen").is_hidden()
    assert page.get_by_role("button", name="Compare first").get_attribute("aria-pressed") == "false"


# Files


def test_the_wav_is_what_is_heard_as_long_as_the_music(open_report):
    notes = [(60, 0.0, 0.5, 100), (64, 1.0, 0.5, 100), (67, 2.0, 1.0, 100)]
    page = open_report(sample(title="three notes", midi=simple_midi(notes)))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download three notes as WAV").click()
    assert download.value.suggested_filename == "three-notes.wav"
    with wave.open(str(download.value.path())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44100)
        assert file.getnframes() == pytest.approx(4.0 * 44100, abs=2), "three seconds, and one to fade"
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    rms = [math.sqrt(np.mean(samples[int(at * 44100) : int((at + 0.2) * 44100)] ** 2)) for at in (0.1, 0.77, 1.1, 3.7)]
    assert min(rms[0], rms[2]) > 0.01
    assert rms[1] < 0.3 * rms[0]
    assert rms[3] < SILENT
    button = page.get_by_role("button", name="Download three notes as WAV")
    assert button.is_enabled()
    assert button.inner_text() == "WAV"


def test_a_wav_of_many_notes_says_how_far_it_is(open_report):
    notes = [(40 + (7 * i) % 45, i * 0.05, 0.3, 80) for i in range(600)]
    page = open_report(sample(title="long", midi=simple_midi(notes)))
    page.evaluate("""() => {
        const button = document.querySelector("button.wav");
        window.said = [];
        const hear = () => window.said.push([button.textContent, button.disabled]);
        new MutationObserver(hear).observe(button, { childList: true });
    }""")
    with page.expect_download() as download:
        page.locator("button.wav").click()
    data = download.value.path().read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getnframes() / 44100 == pytest.approx(599 * 0.05 + 0.3 + 1, abs=0.01)
    said = page.evaluate("window.said")
    assert len(said) > 20
    assert all(is_disabled for text, is_disabled in said if "%" in text)


# Keys, sight, motion


def test_every_control_is_reached_by_the_keyboard_and_has_a_name(open_report):
    page = open_report(*two_samples())
    slider(page).focus()
    names = []
    for _ in range(14):
        names.append(
            page.evaluate("""() => {
            const { activeElement: at } = document;
            const outline = getComputedStyle(at).outlineStyle;
            return [at.getAttribute("aria-label") ?? at.textContent, outline];
        }""")
        )
        page.keyboard.press("Tab")
    assert [name for name, _ in names[:12]] == [
        "Position in first", "Play first", "From the beginning", "Volume", "Compare first", "Download first as MIDI",
        "Download first as WAV", "Tempo", "from here", "to here", "Zoom out", "Zoom in",
    ]  # fmt: skip
    assert {outline for _, outline in names} == {"solid"}, "what has the focus is seen to have it"


def test_with_reduced_motion_the_playhead_moves_in_steps(open_report):
    moved = {}
    for motion in ("reduce", "no-preference"):
        page = open_report(*two_samples(), reduced_motion=motion)
        page.locator("button.play").first.click()
        wait_for_sound(page)
        places = set()
        for _ in range(30):
            places.add(page.locator(".playhead").first.evaluate("(head) => head.style.transform"))
            page.wait_for_timeout(30)
        moved[motion] = len(places)
    assert moved["reduce"] <= 5 < moved["no-preference"]


@pytest.mark.parametrize("width", [320, 640])
def test_the_comparison_fits_a_phone_and_a_page_at_twice_its_size(open_report, width):
    page = open_report(*two_samples(), width=width)
    dialog = compare(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert dialog.evaluate("(box) => box.scrollWidth <= box.clientWidth")


def test_rolls_out_of_sight_are_not_drawn(open_report):
    many = [sample(sample=f"s{i:02d}", title=f"s{i:02d}", midi=simple_midi(SCALE)) for i in range(12)]
    page = open_report(*many)
    sizes = "() => [...document.querySelectorAll('canvas.notes')].map((canvas) => canvas.width > 300)"
    page.evaluate("scrollTo(0, 0)")
    assert not any(page.evaluate(sizes)[6:])
    page.locator(".player").last.scroll_into_view_if_needed()
    wait_until(page, f"({sizes})().at(-1)")
    assert not page.evaluate(sizes)[0]
