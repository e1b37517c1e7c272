"""The page of the tokenizers: its numbers are those of the SQL beside them, and names stay text."""

from pathlib import Path

import pytest
from report_rows import corpus
from test_page import Page

from pianogen.report import round_trip_plots
from pianogen.report.page import write_report
from pianogen.report.rendering import fixed
from pianogen.report.round_trip_queries import QUERIES
from pianogen.warehouse import query_warehouse

HOSTILE = '<a href="javascript:alert(1)">x</a></script><b>\u202e\''


def round_trips(dataset: str = "bach") -> list[dict]:
    """Of the performances of `corpus`: one tokenizer loses nothing, one a note, and one knows no onsets."""
    losses = {"whole": (0, 0, 0), "lossy": (1, 0, 0), "names": (1, 1, None)}
    return [
        {
            "tokenizer": tokenizer,
            "tokenizer_version": "v",
            "performance_id": f"{dataset}-{i}",
            "num_notes": 1000,
            "num_decoded": 1000,
            "num_matched": 1000 - lost,
            "num_same_pitch": 1000 - lost,
            "num_unencodable": 0,
            "num_tokens": 4000,
            "num_unknown": unknown,
            **dict.fromkeys(("onset_error_sec", "onset_shift_sec", "duration_error_sec", "velocity_error"), error),
        }
        for tokenizer, (lost, unknown, error) in losses.items()
        for i in range(2)
    ]


@pytest.fixture
def written(new_warehouse, tmp_path) -> tuple[Path, Path]:
    """A warehouse and the page of its tokenizers."""
    warehouse = new_warehouse(**corpus(), round_trips=round_trips())
    return warehouse, write_report(warehouse, tmp_path / "report").parent / "tokenizers.html"


def test_the_page_shows_what_its_sql_returns(written):
    warehouse, path = written
    text = Page(path).text
    for query in QUERIES.values():
        rows = query_warehouse(warehouse, query).to_pylist()
        assert rows
        for row in rows:
            assert row["tokenizer"] in text
    rows = query_warehouse(warehouse, QUERIES["f1"]).to_pylist()
    assert {row["tokenizer"]: row["f1"] for row in rows} == {"whole": 1.0, "lossy": 0.999, "names": 0.999}
    shown = path.read_text()
    assert 'class="step5">1.000<' in shown
    assert shown.count('class="step4">0.999<') == 2
    assert f"names bach 4,000 {fixed(0.025, 3)}" in text


def test_what_tokens_say_nothing_of_has_no_line_among_the_errors(written):
    text = Page(written[1]).text
    errors = text[text.index("How far off what comes back is") : text.index("Unknown tokens on test")]
    assert errors.count("whole") == 3
    assert "names" not in errors


def test_the_report_and_the_data_lead_to_it_and_back(written):
    folder = written[1].parent
    # In the navigation, and in a sentence of both languages.
    assert (folder / "index.html").read_text().count('href="tokenizers.html"') == 3
    assert 'href="../tokenizers.html"' in (folder / "data" / "index.html").read_text()
    page = Page(written[1])
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a" and not attrs["href"].startswith("#")}
    assert links == {"index.html"}
    assert not page.scripts
    (policy,) = (attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "unsafe" not in policy


def test_without_round_trips_there_is_no_page(new_warehouse, tmp_path):
    folder = write_report(new_warehouse(**corpus()), tmp_path / "report").parent
    assert not (folder / "tokenizers.html").exists()
    assert "tokenizers.html" not in (folder / "index.html").read_text()
    assert "tokenizers.html" not in (folder / "data" / "index.html").read_text()


def test_names_are_text(new_warehouse, tmp_path):
    rows = round_trips(HOSTILE)
    warehouse = new_warehouse(**corpus(HOSTILE), round_trips=rows)
    path = write_report(warehouse, tmp_path / "report").parent / "tokenizers.html"
    page = Page(path)
    assert HOSTILE.replace("\u202e", "\\u202e") in page.text
    assert not page.scripts
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)


def test_pictures_need_no_rows_and_rank_by_f1():
    rows = [{"tokenizer": name, "dataset": "a", "f1": f1} for name, f1 in (("b", 0.5), ("a", 0.5), ("c", 0.9))]
    assert round_trip_plots.ranked([*rows, {"tokenizer": "d", "dataset": "a", "f1": None}]) == ["c", "a", "b", "d"]
    for figure in (round_trip_plots.f1_matrix([]), round_trip_plots.price([])):
        assert "no data yet" in {text.get_text() for text in figure.axes[0].texts}
    (axes,) = round_trip_plots.f1_matrix([*rows, {"tokenizer": "a", "dataset": "z", "f1": 0.99999}]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "a", "b"]
    assert "0.999" in {text.get_text() for text in axes.texts}
