"""The page of an audit in a real browser, from the disk and without a network: it is drawn, it sounds, it obeys."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audits import PIECES, leaking_folders, write_pairs, write_split
from browsers import SILENT, launch, wait_for_sound, wait_until, watched
from corpora import here, improvise, transposed, write_midi

from pianogen.audit.leaks import Audit, audit_split, judge
from pianogen.audit.page import write_audit
from pianogen.audit.sources import Source, from_folders
from pianogen.midi.columns import NoteColumns

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from launch()


@pytest.fixture(scope="module")
def transposed_copy(tmp_path_factory) -> Audit:
    """One leak, three semitones up."""
    folder = tmp_path_factory.mktemp("music")
    return audit_split(leaking_folders(folder), here(folder), num_rolls=5)


@pytest.fixture
def open_audit(browser, tmp_path: Path) -> Iterator[Callable]:
    """Call with an audit; returns its open page. In the end, nothing may have failed or been fetched."""
    with watched(browser) as pages:

        def open_page(audit: Audit, before: Callable = lambda out: None, **options):
            path = write_audit(audit, tmp_path / "out")
            before(path.parent)
            return pages.open(path, height=900, **options)

        open_page.troubles = pages.troubles
        yield open_page


def open_pair(page, number: int = 0):
    page.locator("button.open-pair").nth(number).click()
    page.wait_for_selector(".pair-view canvas.lane")
    return page.locator(".pair-view")


def place(page) -> float:
    return float(page.locator(".pair-view").get_attribute("data-place"))


def voice(page) -> str | None:
    return page.locator(".pair-view").get_attribute("data-voice")


def state(page) -> str | None:
    return page.locator(".pair-view").get_attribute("data-state")


def test_the_page_says_the_verdict_and_counts_the_pairs(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    assert page.locator(".badge").inner_text() == "leaks"
    assert page.locator(".verdict li").all_inner_texts() == ["1 of 2 test files (50.0 %) has music in train."]
    row = page.locator("#matrix tbody tr").first.locator("th, td").all_inner_texts()
    assert row == ["train – test", "0", "0", "1", "0", "0", "0", "1"]
    assert page.locator("tr.pair").count() == 1
    assert "a.mid" in page.locator("tr.pair").inner_text()


def test_a_clean_audit_says_so(open_audit, tmp_path, folder):
    write_split(folder, train={"a.mid": PIECES[0]}, test={"b.mid": PIECES[1]})
    audit = audit_split(from_folders({"train": folder / "train", "test": folder / "test"}), here(tmp_path))
    page = open_audit(audit)
    assert page.locator(".badge").inner_text() == "clean"
    assert "No two files of different splits" in page.locator(".empty").inner_text()
    assert page.locator("#filter").is_hidden()


COLORS = """() => [...document.querySelectorAll("canvas.lane")].map((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let blue = 0, gray = 0;
    for (let i = 0; i < pixels.length; i += 4) {
        const [r, g, b] = pixels.slice(i, i + 3);
        if (b - r > 60) blue++;
        else if (Math.max(r, g, b) < 215 && b - r < 30) gray++;
    }
    return { blue, gray };
})"""


def test_equal_notes_are_marked_in_both_rolls_and_stand_at_equal_places(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    view = open_pair(page)
    first, second = page.evaluate(COLORS)
    assert first["blue"] > 300
    # b is drawn at a's pitches: the same picture.
    assert abs(first["blue"] - second["blue"]) < 0.1 * first["blue"]
    heads = view.locator(".lane-head").all_inner_texts()
    assert heads == ["A train a.mid", "B test renamed.mid (drawn 3 semitones lower, on A's pitches)"]
    facts = dict(
        zip(page.locator(".evidence dt").all_inner_texts(), page.locator(".evidence dd").all_inner_texts(), strict=True)
    )
    assert facts["semitones from A to B"] == "+3"
    assert facts["notes in both"] == "150 of A's 150, of B's 150"


def test_notes_of_one_alone_are_not_marked(open_audit, tmp_path, folder):
    piece = improvise(1, 200)
    low = NoteColumns(
        pitch=np.concatenate([piece.pitch, np.full(40, 24, np.uint8)]),
        velocity=np.concatenate([piece.velocity, np.full(40, 90, np.uint8)]),
        onset_tick=np.concatenate([piece.onset_tick, np.arange(40, dtype=np.int32) * 480]),
        duration_tick=np.concatenate([piece.duration_tick, np.full(40, 400, np.int32)]),
        ticks_per_quarter=piece.ticks_per_quarter,
    ).sorted()
    write_split(folder, train={"a.mid": piece}, test={"b.mid": low})
    source = from_folders({"train": folder / "train", "test": folder / "test"})
    audit = audit_split(source, here(tmp_path), num_rolls=1)
    assert audit.pairs.num_rows == 1
    page = open_audit(audit)
    open_pair(page)
    first, second = page.evaluate(COLORS)
    assert second["gray"] > first["gray"] + 300


def test_each_of_the_two_sounds_and_pauses(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    open_pair(page)
    for name, side in (("A", "a"), ("B", "b")):
        page.get_by_role("button", name=f"Play {name}", exact=True).click()
        assert wait_for_sound(page)["peak"] <= 1
        assert (state(page), voice(page)) == (side, side)
        page.get_by_role("button", name=f"Pause {name}", exact=True).click()
        assert state(page) == "stopped"
        wait_until(page, f"window.pianogen.level().rms < {SILENT}")


def test_at_twice_the_tempo_the_place_moves_twice_as_fast(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    view = open_pair(page)
    view.get_by_role("slider", name="Tempo").fill("200")
    view.get_by_role("button", name="Play A", exact=True).click()
    wait_for_sound(page)
    read = "() => [performance.now() / 1000, Number(document.querySelector('.pair-view').dataset.place)]"
    clock_before, place_before = page.evaluate(read)
    page.wait_for_timeout(1000)
    clock_after, place_after = page.evaluate(read)
    assert (place_after - place_before) / (clock_after - clock_before) == pytest.approx(2, rel=0.25)


def test_from_one_to_the_other_the_music_goes_on_at_the_same_place(open_audit, tmp_path, folder):
    """b is twice as slow: its clock shows other times at the same music."""
    piece = improvise(1, 200)
    write_midi(folder / "train" / "a.mid", piece, tempo_qpm=120)
    write_midi(folder / "test" / "b.mid", piece, tempo_qpm=60)
    source = from_folders({"train": folder / "train", "test": folder / "test"})
    page = open_audit(audit_split(source, here(tmp_path), num_rolls=1))
    open_pair(page)
    roll = page.get_by_role("slider", name="Place in the music")
    roll.press("Home")
    for _ in range(3):
        roll.press("PageUp")
    before = place(page)
    assert before > 25
    minutes = [text.split()[1] for text in roll.get_attribute("aria-valuetext").split(" · ")]
    a_sec, b_sec = (60 * int(text.split(":")[0]) + int(text.split(":")[1]) for text in minutes)
    assert b_sec == pytest.approx(2 * a_sec, abs=2)
    page.get_by_role("button", name="Play A", exact=True).click()
    wait_for_sound(page)
    at_a = place(page)
    page.get_by_role("button", name="Play B", exact=True).click()
    wait_until(page, "document.querySelector('.pair-view').dataset.voice === 'b'")
    assert place(page) == pytest.approx(at_a, abs=2.0)
    # Half as fast on the axis, which runs in a's seconds.
    wait_for_sound(page)
    read = "() => [performance.now() / 1000, Number(document.querySelector('.pair-view').dataset.place)]"
    clock_before, place_before = page.evaluate(read)
    page.wait_for_timeout(1500)
    clock_after, place_after = page.evaluate(read)
    assert place_after - place_before == pytest.approx((clock_after - clock_before) / 2, abs=0.3)


def test_in_turn_each_passage_is_heard_in_a_then_in_b(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    open_pair(page)
    page.get_by_role("button", name="Play A and B in turn").click()
    wait_for_sound(page)
    start = place(page)
    assert voice(page) == "a"
    wait_until(page, "document.querySelector('.pair-view').dataset.voice === 'b'")
    assert start - 0.5 <= place(page) < start + 2, "b begins where a began"
    wait_until(page, "document.querySelector('.pair-view').dataset.voice === 'a'")
    assert start + 3 < place(page) < start + 6, "and a goes on where b ended"
    assert page.locator('.pair-view[data-state="both"]').count() == 1


def test_an_excerpt_is_heard_at_once_wherever_it_lies_in_the_other(open_audit, tmp_path, folder):
    piece = improvise(1, 400)
    late = slice(200, 320)
    part = replace(
        piece,
        pitch=piece.pitch[late],
        velocity=piece.velocity[late],
        onset_tick=piece.onset_tick[late] - piece.onset_tick[200],
        duration_tick=piece.duration_tick[late],
    )
    write_split(folder, train={"a.mid": piece}, test={"b.mid": part})
    source = from_folders({"train": folder / "train", "test": folder / "test"})
    page = open_audit(audit_split(source, here(tmp_path), num_rolls=1))
    view = open_pair(page)
    assert page.locator("tr.detail p").first.inner_text() == "B lies within A."
    assert place(page) > 35, "shown is where both have music"
    assert view.locator(".pair-scroller").evaluate("(element) => element.scrollLeft") > 1000
    page.get_by_role("slider", name="Place in the music").press("Home")
    assert place(page) < 1
    page.get_by_role("button", name="Play B", exact=True).click()
    wait_for_sound(page)
    assert place(page) > 35
    page.get_by_role("slider", name="Place in the music").press("Home")
    page.get_by_role("button", name="Play A and B in turn").click()
    wait_for_sound(page)
    wait_until(page, "document.querySelector('.pair-view').dataset.place > 5.5")
    assert voice(page) == "a", "b has no turn where it has no music"


def test_a_click_into_the_roll_or_the_overview_goes_there(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    view = open_pair(page)
    begun = place(page)
    page.get_by_role("button", name="Zoom in").click()
    lane = view.locator("canvas.lane").last
    box = lane.bounding_box()
    lane.click(position={"x": 600, "y": 80})
    head = view.locator(".playhead").bounding_box()
    assert head["x"] - box["x"] == pytest.approx(600, abs=3)
    assert place(page) > begun + 1
    overview = view.locator("canvas.overview")
    width = overview.bounding_box()["width"]
    overview.click(position={"x": width - 2, "y": 20})
    late = place(page)
    assert late > begun + 20
    assert view.locator(".pair-scroller").evaluate("(element) => element.scrollLeft") > 0


def test_closing_a_pair_is_silence(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    open_pair(page)
    page.get_by_role("button", name="Play A", exact=True).click()
    wait_for_sound(page)
    page.locator("button.open-pair").click()
    assert page.locator(".pair-view").count() == 0
    wait_until(page, f"window.pianogen.level().rms < {SILENT}")


def many_pairs(lake, num_pairs: int) -> Audit:
    files: dict[str, str | None] = {f"train/{i:04d}": f"a{i:04d}" for i in range(num_pairs)}
    pairs = [
        {
            "performance_a": f"a{i:04d}",
            "performance_b": "b",
            "score": (i + 1) / (num_pairs + 1),
            "relation": "excerpt" if i % 3 else "same_work",
        }
        for i in range(num_pairs)
    ]
    source = write_pairs(lake, {**files, f"test/{HOSTILE}": "b"}, pairs)
    return judge(lake, Source(title=HOSTILE, datasets=source.datasets, split_of=source.split_of))


def test_hostile_names_are_shown_as_text(open_audit, lake):
    page = open_audit(many_pairs(lake, 2))
    assert page.locator(".lead").inner_text() == HOSTILE
    assert page.locator("tr.pair").first.locator(".path").last.inner_text() == f"test/{HOSTILE}"
    assert page.locator("img").count() == 0


def test_thousands_of_pairs_are_filtered_and_sorted(open_audit, lake):
    page = open_audit(many_pairs(lake, 4000))
    assert page.locator("tr.pair").count() == 100
    assert page.locator("#shown").inner_text() == "4,000 pairs"
    page.get_by_role("button", name="Show 100 more").click()
    assert page.locator("tr.pair").count() == 200
    page.locator("select[name=relation]").select_option("same work")
    assert page.locator("#shown").inner_text() == "1,334 of 4,000 pairs"
    page.get_by_label("Name contains").fill("train/399")
    assert page.locator("#shown").inner_text() == "4 of 4,000 pairs"
    paths = page.locator("tr.pair td:nth-child(2) .path")
    assert paths.all_inner_texts() == ["train/3999", "train/3996", "train/3993", "train/3990"]
    page.locator("#list thead button").nth(1).click()
    assert paths.all_inner_texts() == ["train/3990", "train/3993", "train/3996", "train/3999"]
    page.locator("#list thead button").nth(1).click()
    assert paths.all_inner_texts() == ["train/3999", "train/3996", "train/3993", "train/3990"]
    assert page.locator("#list thead th").nth(1).get_attribute("aria-sort") == "descending"
    page.locator("button.open-pair").first.click()
    assert "Only the first 0 pairs" in page.locator("tr.detail").inner_text()


def test_notes_that_were_left_behind_are_named(open_audit, transposed_copy):
    page = open_audit(transposed_copy, before=lambda out: (out / "rolls" / "notes-1.js").unlink())
    page.locator("button.open-pair").click()
    page.wait_for_selector("tr.detail .warning")
    assert page.locator("tr.detail .warning").inner_text() == "rolls/notes-1.js is missing: it belongs beside this page"
    assert all("ERR_FILE_NOT_FOUND" in trouble for trouble in open_audit.troubles)
    open_audit.troubles.clear()


def test_script_that_slipped_in_would_not_run(open_audit, transposed_copy):
    page = open_audit(transposed_copy)
    ran = page.evaluate("""async () => {
        const script = document.createElement("script");
        script.textContent = "window.slipped = true";
        document.body.append(script);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return window.slipped === true;
    }""")
    assert ran is False
    assert len(open_audit.troubles) == 1
    open_audit.troubles.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_the_screen(open_audit, transposed_copy, width, scheme):
    omissions = tuple({"split": "test", "path": f"{i}-" * 40, "reason": "no_notes", "detail": ""} for i in range(3))
    page = open_audit(replace(transposed_copy, rejections=omissions), width=width, color_scheme=scheme)
    view = open_pair(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.locator("canvas.lane").first.bounding_box()["width"] >= width - 140
    page.locator("#omissions summary").click()
    assert page.locator("#omissions li").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, text = page.evaluate(
        "() => ['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g)[0])"
    )
    assert (int(ground) < int(text)) == (scheme == "dark")


def test_a_mirror_image_is_drawn_the_right_way_up(open_audit, tmp_path, folder):
    piece = improvise(1, 200)
    mirrored = replace(piece, pitch=(130 - piece.pitch.astype(int)).astype(np.uint8))
    write_split(folder, train={"a.mid": piece}, test={"b.mid": mirrored, "c.mid": transposed(PIECES[3], 1)})
    source = from_folders({"train": folder / "train", "test": folder / "test"})
    page = open_audit(audit_split(source, here(tmp_path), num_rolls=1))
    view = open_pair(page)
    assert "drawn upside down" in view.locator(".lane-head").last.inner_text()
    first, second = page.evaluate(COLORS)
    assert first["blue"] > 300
    assert abs(first["blue"] - second["blue"]) < 0.1 * first["blue"]
