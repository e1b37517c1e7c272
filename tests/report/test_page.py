"""The report: what it shows, that text stays text, and that it changes as a whole."""

import html.parser
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import symusic
from report_rows import corpus, evaluation, leaking, midi_bytes, run, sample

from pianogen.errors import QueryError, SettingsError
from pianogen.report.page import write_report
from pianogen.report.player_parts import PAGE

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>'\"&{{ 7*7 }}"


class Page(html.parser.HTMLParser):
    """Tags, the text of each, and all text that a reader of English sees."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.words: list[str] = []
        self.inside = ""
        self.spans: list[bool] = []
        self.feed(path.read_text(encoding="utf-8"))
        # Every piece of text stands apart; before a comma that was no space.
        self.text = re.sub(r" (?=[,:;.])", "", " ".join(" ".join(self.words).split()))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "span":
            self.spans.append(dict(attrs).get("lang") == "es")
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self.inside = ""
        if tag == "span":
            self.spans.pop()

    def handle_data(self, data):
        if self.inside == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self.inside != "style" and not any(self.spans):
            self.words.append(data)

    def notes(self) -> list[dict]:
        return [json.loads(text) for attrs, text in self.scripts if attrs.get("class") == "notes"]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def full(**changes) -> dict:
    """Rows of a warehouse that holds something of everything."""
    tables = {
        "runs": [run()],
        "evaluations": [evaluation()],
        "metrics": [
            {"experiment": "quick", "run_id": "aaaa0000", "step": step, "split": split, "nll": nll}
            for step, split, nll in [(10, "train", 3.0), (20, "train", 2.0), (20, "validation", 2.125)]
        ],
        "samples": [sample()],
    }
    return tables | corpus() | changes


def test_an_empty_warehouse_says_what_is_missing(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(), tmp_path / "report"))
    for words in ("No data yet", "No runs yet", "No samples yet", "no split yet", "Nothing compared yet"):
        assert words in page.text
    assert len(page.scripts) == 2, "the languages, and their words"
    assert files_in(tmp_path / "report").keys() == {"index.html"}


def test_what_others_report_stands_apart_with_the_runs_that_are_it(new_warehouse, tmp_path):
    reported = {"reported_by": "the study", "source": "A table", "nll_per": "character", "split": "not told"}
    references = [
        {**reported, "reference": "study-01", "experiment": "quick", "nll": 0.4411, "is_checked": True},
        {**reported, "reference": "other", "nll": 0.5, "is_checked": False, "note": "<b>About</b>"},
    ]
    page = Page(write_report(new_warehouse(**full(reference_results=references)), tmp_path / "report"))
    section = page.text[page.text.index("What others report") :]
    assert "study-01 reported by the study" in section
    assert "quick measured here" in section
    assert section.index("study-01 reported") < section.index("quick measured") < section.index("other reported")
    assert "other reported by the study, unchecked" in section
    assert "A table <b>About</b>" in section
    assert "What others report" not in Page(write_report(new_warehouse("w2.duckdb", **full()), tmp_path / "r2")).text


def test_every_section_shows_its_rows(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**full()), tmp_path / "report"))
    assert "yet" not in page.text
    assert "clean" in page.text
    assert "not clean" not in page.text
    assert "7.000" in page.text, "bits per note"
    assert "14.0" in page.text, "bits per second"
    assert "1,234,567" in page.text, "parameters"
    assert "bach 3 2 1 0.50 3 0.00 (1) – 0.50 (1)" in page.text, "the dataset's row"
    assert "bach parse truncated 1" in page.text, "its rejections"
    for version in ("aaaa0000", "5417aaaa", "ce27f1ca", "54a2d000", "c0de0000"):
        assert version in page.text
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 4
    assert all(picture["src"].startswith("data:image/svg+xml;base64,") for picture in pictures)
    assert "best validation nll is 2.125 nats per token, at step 20" in pictures[-1]["alt"]


@pytest.mark.parametrize(
    "licences, banned, says",
    [
        (
            [("bach", "CC0"), ("maestro_v3", "CC BY-NC-SA 4.0")],
            ["maestro_v3"],
            "trained on bach, maestro_v3, non-commercial licence: CC BY-NC-SA 4.0 (maestro_v3)",
        ),
        ([("bach", "CC0")], [], "trained on bach, licences: bach: CC0"),
        (None, None, "trained on bach, licences of its training data not recorded"),
    ],
)
def test_the_licence_of_the_training_data_stands_on_the_page(new_warehouse, tmp_path, licences, banned, says):
    names = [name for name, _ in licences or [("bach", "")]]
    row = run(datasets=names, licences=licences, non_commercial_datasets=banned)
    page = Page(write_report(new_warehouse(**full(runs=[row])), tmp_path / "report"))
    assert says in page.text
    assert ("non-commercial" in page.text) == bool(banned)


def test_a_licence_is_text(new_warehouse, tmp_path):
    row = run(licences=[("bach", HOSTILE)], non_commercial_datasets=["bach"])
    page = write_report(new_warehouse(**full(runs=[row])), tmp_path / "report")
    assert HOSTILE not in page.read_text()
    assert "<img src=x" not in page.read_text()


def test_the_leaderboard_ranks_by_bits_per_note_and_sets_per_token_numbers_apart(new_warehouse, tmp_path):
    runs = [run(), run(experiment="better", run_id="bbbb0000"), run(experiment="unevaluated", run_id="cccc0000")]
    # More nats a token but fewer bits a note: longer tokens.
    better = evaluation(experiment="better", run_id="bbbb0000", num_tokens=50, nats=300.0)
    warehouse = new_warehouse(**full(runs=runs, evaluations=[evaluation(), better]))
    path = write_report(warehouse, tmp_path / "report")
    text = path.read_text()
    page = Page(path)
    board = text[text.index('aria-label="Leaderboard"') : text.index("Versions behind")]
    assert re.findall(r'<th scope="row">(\w+)</th>', board) == ["better", "quick"]
    assert re.findall(r'class="n best"><strong>([\d.]+)<', board) == ["4.328", "7.000"]
    assert re.findall(r'class="n token">([\d.]+)<', board) == ["6.000", "403.43", "1.213", "3.36"]
    assert "not comparable across tokenizers" in page.text
    assert "unevaluated" in page.text, "a run without an evaluation still has its curve"


def test_rows_from_different_splits_come_with_a_warning(new_warehouse, tmp_path):
    runs = [run(), run(experiment="older", run_id="bbbb0000", split_version="01d01d01")]
    older = evaluation(experiment="older", run_id="bbbb0000")
    page = Page(write_report(new_warehouse(**full(runs=runs, evaluations=[evaluation(), older])), tmp_path / "report"))
    assert "measured on 2 different splits" in page.text


def test_a_contaminated_split_is_called_so_and_both_files_are_named(new_warehouse, tmp_path):
    pair = {
        "split_a": "test",
        "dataset_a": "bach",
        "path_a": "0.mid",
        "split_b": "train",
        "dataset_b": "custom",
        "path_b": "fast <b>copy</b>.mid",
        "relation": "same_notes",
        "score": 0.98,
    }
    page = Page(write_report(new_warehouse(**full(contamination=[pair])), tmp_path / "report"))
    assert "not clean" in page.text
    assert "test bach/0.mid train custom/fast <b>copy</b>.mid same_notes 0.98" in page.text


def test_the_published_split_stands_beside_the_clean_one(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**leaking(num_pairs=3)), tmp_path / "report"))
    assert "jsb train 4 1" in page.text, "performances of train, published and here"
    assert "jsb validation 0 0 1 1" in page.text
    assert "jsb test 3 100.0 % 0 0 0 3 3" in page.text, "published: all of them have their music in train; here: none"
    assert "As published: 3 pairs across splits, 1 with a shared melody alone" in page.text
    assert "Here: no pair across splits, 1 with a shared melody alone" in page.text


def test_leaks_of_a_published_split_are_named_with_what_became_of_them(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**leaking()), tmp_path / "report"))
    row = "jsb jsb/a000.mid train → left out jsb/b000.mid test edited copy 0.50 -3 semitones, time ×1.25"
    assert row in page.text
    assert "jsb jsb/m1.mid train jsb/m2.mid validation shared melody 0.50 –" in page.text
    assert "more, in the view" not in page.text
    assert "Titles in several published splits" in page.text
    assert "jsb Chorale 000 1 0 1 1" in page.text, "in train and in test, and it is the same music"


def test_cells_of_the_matrix_say_what_they_count(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**leaking()), tmp_path / "report"))
    told = {attrs["title"]: attrs["class"].split()[0] for tag, attrs in page.tags if tag == "td" and "title" in attrs}
    assert told == {
        "jsb train and jsb test: 1 edited_copy": "leak",
        "jsb train and jsb validation: 1 shared_melody": "melody",
        "asap test and jsb test: 1 same_bytes": "within",
    }


def test_tiers_clusters_and_copies_between_datasets_are_shown(new_warehouse, tmp_path):
    path = write_report(new_warehouse(**leaking(num_pairs=2)), tmp_path / "report")
    page = Page(path)
    assert "asap 2 2 0 0 0 0 0 0" in page.text, "all are copies by their bytes"
    assert "jsb 6 0 0 2 0 0 0 4" in page.text
    bars = re.findall(r'<rect class="(tier\d|leak)" x?=?"?(\d*)"? ?width="([\d.]+)"', path.read_text())
    assert bars == [("leak", "", "100.0"), ("tier0", "0", "2"), ("tier2", "0", "2")]
    assert "asap jsb 2 0 0 0 0 0" in page.text
    assert "asap/asap/o000.mid same bytes jsb/jsb/b000.mid" in page.text
    assert "jsb 3 Chorale 000 jsb/b000.mid asap, jsb left out, test" in page.text


def test_long_lists_end_and_say_how_much_is_left_out(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**leaking(num_pairs=30)), tmp_path / "report"))
    assert "And 11 more, in the view split_leaks_published" in page.text, "30 leaks and a melody"
    assert "And 10 more, in the view titles_across_splits" in page.text
    assert "And 10 more, in the view pairs_with_files" in page.text


def test_names_in_the_section_on_duplicates_are_text(new_warehouse, tmp_path):
    tables = leaking(HOSTILE, other=HOSTILE + "2")
    path = write_report(new_warehouse(**tables), tmp_path / "report")
    page = Page(path)
    assert HOSTILE not in path.read_text()
    assert page.text.count(HOSTILE) >= 12
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_text_from_files_is_shown_as_text(new_warehouse, tmp_path):
    tables = full(
        **corpus(HOSTILE),
        runs=[run(experiment=HOSTILE, model=HOSTILE, datasets=[HOSTILE], device=HOSTILE)],
        evaluations=[evaluation(experiment=HOSTILE)],
        samples=[sample(title=HOSTILE, experiment=HOSTILE, sample="../../" + HOSTILE)],
    )
    page = Page(write_report(new_warehouse(**tables), tmp_path / "report"))
    assert page.text.count(HOSTILE) >= 6
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all(attrs["src"].startswith("data:") for tag, attrs in page.tags if tag == "img")
    assert len(page.scripts) == 3 + len(PAGE), "ours, the words of the languages, and the notes of one sample"
    (path,) = (p for p in files_in(tmp_path / "report") if p.endswith(".mid"))
    assert re.fullmatch(r"samples/[a-z0-9_-]+\.mid", path)


def test_scripts_run_only_by_their_hash_and_nothing_is_fetched(new_warehouse, tmp_path):
    page = Page(write_report(new_warehouse(**full()), tmp_path / "report"))
    (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    addresses = [a.get("src") or a.get("href") for _, a in page.tags if a.get("src") or a.get("href")]
    assert all(address.startswith(("data:", "#", "samples/", "data/")) for address in addresses)


def test_the_notes_of_a_sample_stand_in_seconds_and_its_midi_beside(new_warehouse, tmp_path):
    midi = midi_bytes([(72, 2.0, 1.5, 90), (60, 0.25, 0.5, 33)])
    page = Page(write_report(new_warehouse(**full(samples=[sample(midi=midi, prompt_sec=1.5)])), tmp_path / "report"))
    assert page.notes() == [
        {
            "notes": [[60, 0.25, 0.5, 33], [72, 2.0, 1.5, 90]],
            "pedal": [],
            "marks": [],
            "prompt_sec": 1.5,
            "duration_sec": 3.5,
        }
    ]
    (link,) = (attrs["href"] for tag, attrs in page.tags if tag == "a" and "download" in attrs)
    assert (tmp_path / "report" / link).read_bytes() == midi


def test_the_prompt_of_a_sample_is_named(new_warehouse, tmp_path):
    samples = [sample(prompt_performance_id="bach-1"), sample(sample="nothing", prompt_sec=0.0)]
    page = Page(write_report(new_warehouse(**full(samples=samples)), tmp_path / "report"))
    assert "continues the first 1.0 s of Opus 2" in page.text
    assert "from nothing" in page.text


def test_drums_are_not_drawn(new_warehouse, tmp_path):
    score = symusic.Score.from_midi(midi_bytes([(60, 0.0, 1.0, 80)]))
    drums = symusic.Track(program=0, is_drum=True)
    drums.notes.append(symusic.Note(0, 100, 36, 100))
    score.tracks.append(drums)
    page = Page(write_report(new_warehouse(**full(samples=[sample(midi=score.dumps_midi())])), tmp_path / "report"))
    assert [note[0] for note in page.notes()[0]["notes"]] == [60]


@pytest.mark.parametrize("midi", [b"", b"not a MIDI file", midi_bytes([])], ids=["empty", "junk", "no notes"])
def test_a_sample_that_cannot_be_drawn_breaks_nothing(new_warehouse, tmp_path, midi):
    samples = [sample(sample="broken", title="Broken", midi=midi), sample()]
    page = Page(write_report(new_warehouse(**full(samples=samples)), tmp_path / "report"))
    assert "Broken" in page.text
    assert "A continuation" in page.text
    assert len([tag for tag, attrs in page.tags if tag == "a" and "download" in attrs]) == 2


def test_samples_whose_names_look_alike_keep_their_own_files(new_warehouse, tmp_path):
    names = ["a b", "a_b", "a/b", "A B", "é" * 200]
    midis = {name: midi_bytes([(60 + i, 0.0, 1.0, 80)]) for i, name in enumerate(names)}
    samples = [sample(sample=name, midi=midi) for name, midi in midis.items()]
    write_report(new_warehouse(**full(samples=samples)), tmp_path / "report")
    written = [data for path, data in files_in(tmp_path / "report").items() if path.endswith(".mid")]
    assert sorted(written) == sorted(midis.values())


def test_the_same_warehouse_gives_the_same_bytes_in_another_process(new_warehouse, tmp_path):
    warehouse = new_warehouse(**full())
    write_report(warehouse, tmp_path / "here")
    code = "import sys, pathlib as p; from pianogen.report.page import write_report as w; w(*map(p.Path, sys.argv[1:]))"
    environment = os.environ | {"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    there = tmp_path / "elsewhere" / "there"
    subprocess.run([sys.executable, "-c", code, str(warehouse), str(there)], env=environment, check=True)
    assert files_in(tmp_path / "here") == files_in(there)
    assert str(tmp_path).encode() not in files_in(there)["index.html"]


def test_rows_stored_in_another_order_give_the_same_bytes(new_warehouse, tmp_path):
    tables = full(samples=[sample(sample="a"), sample(sample="b", title="Other")])
    backwards = {name: rows[::-1] for name, rows in tables.items()}
    write_report(new_warehouse(**tables), tmp_path / "one")
    write_report(new_warehouse("backwards.duckdb", **backwards), tmp_path / "two")
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


def test_a_new_report_replaces_the_old_one_whole(new_warehouse, tmp_path):
    out = tmp_path / "report"
    write_report(new_warehouse(**full()), out)
    before = files_in(out)
    write_report(new_warehouse("empty.duckdb"), out)
    assert files_in(out).keys() == {"index.html"}
    write_report(tmp_path / "pianogen.duckdb", out)
    assert files_in(out) == before


def test_an_error_leaves_the_old_report(new_warehouse, tmp_path):
    out = tmp_path / "report"
    write_report(new_warehouse(**full()), out)
    before = files_in(out)
    (tmp_path / "broken.duckdb").write_bytes(b"not a database")
    with pytest.raises(QueryError, match=r"broken\.duckdb"):
        write_report(tmp_path / "broken.duckdb", out)
    with pytest.raises(QueryError, match="missing"):
        write_report(tmp_path / "missing.duckdb", out)
    assert files_in(out) == before


def test_a_warehouse_without_a_view_is_named_with_what_to_do(new_warehouse, tmp_path):
    warehouse = new_warehouse()
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop view hours_by_split")
    with pytest.raises(QueryError, match=r"pianogen\.duckdb: the report can't read splits; publish it again.*hours_by"):
        write_report(warehouse, tmp_path / "report")


KILLED = """
import os, pathlib, signal, sys
from pianogen.report.page import write_report
from pianogen.report.player_parts import PAGE
left, name = int(sys.argv[3]), sys.argv[4]
original = getattr(os, name)
def dying(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return original(*args, **kwargs)
setattr(os, name, dying)
write_report(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.mark.parametrize("point", [("rename", 0), ("rename", 1)], ids=["written aside", "between the renames"])
def test_a_killed_run_leaves_nothing_that_the_next_does_not_remove(new_warehouse, tmp_path, point):
    out = tmp_path / "site" / "report"
    warehouse = new_warehouse(**full())
    write_report(warehouse, out)
    clean = files_in(out.parent)
    name, left = point
    killed = subprocess.run([sys.executable, "-c", KILLED, str(warehouse), str(out), str(left), name], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert files_in(out.parent) != clean, "the kill came before anything was written"
    write_report(warehouse, out)
    assert files_in(out.parent) == clean


def test_a_swap_that_fails_half_way_puts_the_old_report_back(new_warehouse, tmp_path, monkeypatch):
    out = tmp_path / "site" / "report"
    write_report(new_warehouse(**full()), out)
    before = files_in(out.parent)
    rename = os.rename

    def full_disk(source, target):
        if str(source).endswith(".new"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full_disk)
        with pytest.raises(OSError, match="No space left"):
            write_report(new_warehouse("empty.duckdb"), out)
    assert files_in(out.parent) == before


@pytest.mark.parametrize("make", ["file", "folder"])
def test_what_is_not_a_report_is_not_replaced(new_warehouse, tmp_path, make):
    out = tmp_path / "thesis"
    if make == "file":
        out.write_text("years of work")
    else:
        out.mkdir()
        (out / "index.html").write_text("years of work")
    with pytest.raises(SettingsError, match="thesis"):
        write_report(new_warehouse(), out)
    assert (out if make == "file" else out / "index.html").read_text() == "years of work"


def test_an_empty_folder_becomes_the_report(new_warehouse, tmp_path):
    (tmp_path / "report").mkdir()
    assert write_report(new_warehouse(), tmp_path / "report").is_file()
