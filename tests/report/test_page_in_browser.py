"""The report in a real browser, from the disk and without a network: it is drawn, it sounds, it obeys."""

from pathlib import Path

import pytest
from browsers import SILENT, wait_for_sound, wait_until
from players import SCALE, state, time_of, two_samples, wait_for_state
from report_rows import corpus, evaluation, leaking, midi_bytes, run, sample


def test_play_sounds_and_moves_on_and_pause_is_silent(open_report):
    page = open_report(*two_samples())
    player = page.locator(".player").first
    assert (state(player), time_of(player)) == ("stopped", 0.0)
    page.get_by_role("button", name="Play first").click()
    level = wait_for_sound(page)
    assert state(player) == "playing"
    assert level["peak"] <= 1
    wait_until(page, "document.querySelector('.player').dataset.time > 0.6")
    page.get_by_role("button", name="Pause first").click()
    assert state(player) == "paused"
    wait_until(page, f"window.pianogen.level().rms < {SILENT}")
    stood = time_of(player)
    page.wait_for_timeout(300)
    assert time_of(player) == stood


def test_music_keeps_the_time_of_the_clock(open_report):
    page = open_report(*two_samples())
    page.get_by_role("button", name="Play first").click()
    wait_for_sound(page)
    read = "() => [performance.now() / 1000, Number(document.querySelector('.player').dataset.time)]"
    clock_before, music_before = page.evaluate(read)
    page.wait_for_timeout(1500)
    clock_after, music_after = page.evaluate(read)
    assert music_after - music_before == pytest.approx(clock_after - clock_before, abs=0.5)


def test_starting_a_second_sample_stops_the_first(open_report):
    page = open_report(*two_samples())
    first, second = page.locator(".player").all()
    page.get_by_role("button", name="Play first").click()
    wait_for_sound(page)
    page.get_by_role("button", name="Play second").click()
    wait_for_state(page, "second", "playing")
    assert state(first) == "paused"
    assert page.locator('[data-state="playing"]').count() == 1
    wait_for_sound(page)
    wait_until(page, "document.querySelectorAll('.player')[1].dataset.time > 0.2")
    assert state(second) == "playing"


def test_a_click_into_the_roll_goes_there(open_report):
    page = open_report(*two_samples())
    player = page.locator(".player").first
    canvas = player.locator("canvas.notes")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 2, "y": 60})
    assert time_of(player) == pytest.approx(10.0, abs=0.1)
    head = player.locator(".playhead").bounding_box()
    assert head["x"] - box["x"] == pytest.approx(box["width"] / 2, abs=3)
    assert player.locator(".roll").get_attribute("aria-valuetext") == "0:10 of 0:20"
    page.get_by_role("button", name="Play first").click()
    wait_for_sound(page)
    assert 9.9 < time_of(player) < 15
    canvas.click(position={"x": box["width"] / 4, "y": 60})
    assert 4.9 < time_of(player) < 8
    assert state(player) == "playing"


def test_keys_move_and_play(open_report):
    page = open_report(*two_samples())
    player = page.locator(".player").first
    roll = page.get_by_role("slider", name="Position in first")
    times = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowRight", "PageUp", "End", "ArrowRight", "Home"):
        roll.press(key)
        times.append(time_of(player))
    assert times == [1, 2, 1, 6, 16, 20, 20, 0]
    roll.press("Space")
    wait_for_sound(page)
    roll.press("Space")
    assert state(player) == "paused"


def test_the_end_is_reached_and_play_begins_again(open_report):
    page = open_report(*two_samples())
    player = page.locator(".player").first
    roll = page.get_by_role("slider", name="Position in first")
    roll.press("End")
    roll.press("ArrowLeft")
    page.get_by_role("button", name="Play first").click()
    wait_for_state(page, "first", "ended")
    assert time_of(player) == 20
    page.get_by_role("button", name="Play first").click()
    wait_for_sound(page)
    assert time_of(player) < 5


def test_volume_holds_for_every_sample_and_zero_is_silence(open_report):
    page = open_report(*two_samples())
    page.locator("input.volume").first.fill("0")
    assert page.locator("input.volume").last.input_value() == "0"
    page.get_by_role("button", name="Play first").click()
    wait_until(page, "document.querySelector('.player').dataset.time > 0.5")
    assert page.evaluate("window.pianogen.level()")["rms"] < SILENT
    page.locator("input.volume").first.fill("100")
    wait_for_sound(page)


def test_the_button_works_from_the_keyboard(open_report):
    page = open_report(*two_samples())
    page.locator("button.play").first.focus()
    page.keyboard.press("Enter")
    wait_for_sound(page)
    page.keyboard.press("Space")
    assert state(page.locator(".player").first) == "paused"


RENDER = """async ([notes, seconds]) => {
    const buffer = await window.pianogen.renderOffline(notes, seconds);
    const samples = buffer.getChannelData(0);
    const rms = (from, to) => {
        const part = samples.slice(from * 44100, to * 44100);
        return Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / part.length);
    };
    const strength = (hertz, from, to) => {  // of one frequency, by correlation with a sine and a cosine
        let re = 0, im = 0;
        for (let n = Math.floor(from * 44100); n < to * 44100; n++) {
            re += samples[n] * Math.cos(2 * Math.PI * hertz * n / 44100);
            im += samples[n] * Math.sin(2 * Math.PI * hertz * n / 44100);
        }
        return 2 * Math.hypot(re, im) / ((to - from) * 44100);
    };
    return {
        peak: samples.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0),
        tenths: Array.from({length: seconds * 10}, (_, i) => rms(i / 10, (i + 1) / 10)),
        pitches: Object.fromEntries([57, 66, 68, 69, 70, 72].map(
            (pitch) => [pitch, strength(440 * 2 ** ((pitch - 69) / 12), 0.1, 0.9)])),
    };
}"""


def note(pitch: int, velocity: int = 100, onset: float = 0.0, duration: float = 1.0) -> dict:
    return {"pitch": pitch, "velocity": velocity, "onset": onset, "duration": duration}


def test_a_note_has_its_pitch_dies_away_and_ends_with_its_key(open_report):
    page = open_report(*two_samples())
    sound = page.evaluate(RENDER, [[note(69, onset=0.0, duration=2.0)], 3])
    others = [strength for pitch, strength in sound["pitches"].items() if pitch != "69"]
    assert sound["pitches"]["69"] > 10 * max(others)
    assert sound["tenths"][1] > 1.5 * sound["tenths"][15] > 0, "it dies away"
    assert sound["tenths"][15] > 10 * sound["tenths"][28], "the key is lifted after 2 s"
    assert sound["tenths"][28] < SILENT


def test_a_harder_stroke_is_louder(open_report):
    page = open_report(*two_samples())
    loudness = [page.evaluate(RENDER, [[note(60, velocity)], 1])["tenths"][2] for velocity in (20, 60, 120)]
    assert loudness[0] * 1.5 < loudness[1] < loudness[2] / 1.2
    assert loudness[0] > SILENT


def test_every_key_at_once_at_full_force_does_not_clip(open_report):
    page = open_report(*two_samples())
    sound = page.evaluate(RENDER, [[note(pitch, 127) for pitch in range(21, 109)], 1])
    assert 0.3 < sound["peak"] <= 1


def test_hundreds_of_notes_leave_no_gap(open_report):
    notes = [note(36 + (7 * i) % 60, 80, i * 0.01, 0.15) for i in range(400)]
    page = open_report(*two_samples())
    sound = page.evaluate(RENDER, [notes, 4])
    assert min(sound["tenths"]) > 0.02
    assert sound["peak"] <= 1


def test_a_hostile_title_is_shown_as_text(open_report):
    title = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    page = open_report(sample(title=title, midi=midi_bytes(SCALE)))
    assert page.locator(".sample h3").inner_text() == title
    assert page.locator("img[src='x']").count() == 0
    assert page.get_by_role("button", name=f"Play {title}").count() == 1


def test_script_that_slipped_in_would_not_run(open_report):
    page = open_report(*two_samples())
    ran = page.evaluate("""async () => {
        const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.violatedDirective));
        const script = document.createElement("script");
        script.textContent = "window.slipped = true";
        document.body.append(script);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return [window.slipped === true, refused.length];
    }""")
    assert ran == [False, 1]
    (refusal,) = open_report.troubles
    assert "Content Security Policy" in refusal
    open_report.troubles.clear()


def test_the_roll_shows_notes_prompt_apart_and_loud_stronger(open_report):
    notes = [(60, 0.0, 2.0, 120), (60, 4.0, 2.0, 120), (60, 8.0, 2.0, 20)]
    page = open_report(sample(midi=midi_bytes(notes), prompt_sec=3.0))
    page.locator(".player").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('canvas.notes').width > 300")
    prompt, loud, soft, ground = page.evaluate("""() => {
        const canvas = document.querySelector("canvas.notes");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const at = (sec) => {
            const x = Math.round((sec / 10) * canvas.width);
            let best = [255, 255, 255], most = -1;  // the most colourful pixel of the column
            for (let i = 4 * x; i < pixels.length; i += 4 * canvas.width) {
                const rgb = [pixels[i], pixels[i + 1], pixels[i + 2]];
                const spread = Math.max(...rgb) - Math.min(...rgb);
                if (spread > most) [best, most] = [rgb, spread];
            }
            return best;
        };
        return [at(1), at(5), at(9), at(7)];
    }""")

    def colorfulness(rgb: list[int]) -> int:
        return max(rgb) - min(rgb)

    assert colorfulness(loud) > colorfulness(soft) + 40 > colorfulness(ground) + 60
    assert loud[2] > loud[0], "generated notes are blue"
    assert prompt[0] > prompt[2], "the prompt is orange"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_the_screen(open_report, width, scheme):
    metrics = [{"experiment": "quick", "run_id": "aaaa0000", "step": 1, "split": "train", "nll": 1.0}]
    tables = corpus() | {"runs": [run()], "evaluations": [evaluation()], "metrics": metrics}
    page = open_report(*two_samples(), tables=tables, width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("canvas.notes").first.bounding_box()["width"] >= min(width, 520) - 100
    ground, text = page.evaluate(
        "() => ['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g)[0])"
    )
    assert (int(ground) < int(text)) == (scheme == "dark")
    assert page.locator("img").count() == 4
    for picture in page.locator("img").all():
        assert picture.evaluate("(image) => image.naturalWidth") > 0


MATRIX = """() => [...document.querySelectorAll(".matrix td[title]")].map((cell) => {
    const style = getComputedStyle(cell);
    return [cell.className.split(" ")[0], style.backgroundColor, style.color];
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_leaks_stand_out_in_the_matrix_and_wide_tables_scroll_in_their_place(open_report, width, scheme):
    page = open_report(tables=leaking("x" * 40, num_pairs=30, other="y" * 40), width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cells = {kind: (ground, text) for kind, ground, text in page.evaluate(MATRIX)}
    assert cells.keys() == {"leak", "melody", "within"}
    assert len({ground for ground, _ in cells.values()}) == 3
    red, green, blue = (int(value) for value in cells["leak"][0][4:-1].split(", "))
    assert red > green > blue, "a leak is orange or red"
    share = page.locator("rect.leak").first
    assert share.bounding_box()["width"] == pytest.approx(share.locator("..").bounding_box()["width"], rel=0.02)
    page.locator("summary", has_text="Files of one").click()
    assert page.get_by_text("y" * 40 + "/").first.is_visible()


def test_on_a_phone_a_long_roll_scrolls_with_the_music(open_report):
    page = open_report(*two_samples(), width=360)
    scroller = page.locator(".scroller").first
    scroller.scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('canvas.notes').height > 150")
    widths = scroller.evaluate("(element) => [element.scrollWidth, element.clientWidth]")
    assert widths[0] > widths[1]
    page.get_by_role("slider", name="Position in first").press("End")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Play first").click()
    wait_until(page, "document.querySelector('.scroller').scrollLeft > 0")


def test_a_sample_that_cannot_be_drawn_leaves_the_others_playing(open_report):
    page = open_report(sample(sample="a", title="broken", midi=b"junk"), *two_samples())
    page.get_by_role("button", name="Play second").click()
    wait_for_sound(page)


def test_the_midi_file_can_be_downloaded(open_report, tmp_path):
    page = open_report(*two_samples())
    with page.expect_download() as download:
        page.get_by_role("link", name="Download first as MIDI").click()
    assert Path(download.value.path()).read_bytes() == midi_bytes(SCALE)
