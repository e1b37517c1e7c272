"""The pages of the data: their numbers are those of the SQL beside them, and names stay text."""

import re
from collections.abc import Callable

import pytest
from data_reports import ODD, DataPage
from report_rows import corpus

from pianogen.measured import COLUMNS
from pianogen.report import data_figures, data_pages, data_queries
from pianogen.report.page import write_report
from pianogen.report.rendering import fixed, rounded
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.warehouse import query_warehouse

HOSTILE = '<a href="javascript:alert(1)">x</a></script><b>%{y}\u202e\''
MEGABYTES = 1.5


@pytest.fixture(scope="module")
def ask(data_report) -> Callable[[str], list[dict]]:
    return lambda sql: query_warehouse(data_report[0], sql).to_pylist()


PAGES = ("index.html", "mine.html", "alone.html")


@pytest.fixture(scope="module")
def pages(data_report) -> dict[str, DataPage]:
    return {name: DataPage(data_report[1] / name) for name in PAGES}


def shares_of(page: DataPage) -> dict[tuple, int]:
    """What the scripts draw, by dataset, measure, split, counted and bin."""
    return {
        (dataset, measure, split, counted, i): share
        for measure, by_dataset in page.data["shares"].items()
        for dataset, splits in zip(page.data["labels"], by_dataset, strict=True)
        for split in splits
        for counted in splits[split]
        for i, share in enumerate(data_figures.unpack_shares(splits, split, counted) or [])
        if share
    }


@pytest.mark.parametrize("name", PAGES)
def test_the_sql_beside_a_distribution_returns_what_is_drawn(pages, ask, name):
    page = pages[name]
    drawn = shares_of(page)
    assert drawn
    for measure in HISTOGRAMS:
        (sql,) = page.sql[measure]
        rows = {
            (row["dataset"], measure, row["split"], row["counted"], row["bin"]): round(1000 * row["percent"])
            for row in ask(sql)
        }
        assert {key: share for key, share in rows.items() if share} == {
            key: share for key, share in drawn.items() if key[1] == measure
        }
    if name == "index.html":
        (sql,) = page.sql["beside"]
        rows = ask(sql)
        assert {row["split"] for row in rows} == {"train", "validation", "test"}
        for row in rows:
            key = tuple(row[column] for column in ("dataset", "measure", "split", "counted", "bin"))
            assert drawn.get(key, 0) == round(1000 * row["percent"])


@pytest.mark.parametrize("name", PAGES)
def test_the_sql_beside_the_other_plots_returns_what_is_drawn(pages, ask, name):
    page = pages[name]
    data = page.data
    figures = {figure["id"]: figure for figure in data["figures"]}
    places = {label: i for i, label in enumerate(data["labels"])}
    num_checked = 0

    def held(values: list, row: dict) -> list:
        return values[places[row["dataset"]]][row["split"]][row["counted"]]

    for figure in figures.values():
        if figure["id"] not in page.sql:
            assert figure["id"] == "split_distances", "only where there are no splits"
            continue
        (sql,) = page.sql[figure["id"]]
        rows = ask(sql)
        kind = figure["kind"]
        if kind in ("amounts", "kept"):
            columns = ("num_performances", "duration_hours", "num_notes")
            assert all(held(data["amounts"], row) == [row[column] for column in columns] for row in rows)
            assert len(rows) == sum(len(counted) for splits in data["amounts"] for counted in splits.values())
        elif kind == "quantiles":
            columns = ("num_performances", "p05", "p25", "p50", "p75", "p95")
            values = data["quantiles"][figure["measure"]]
            assert all(held(values, row) == [row[column] for column in columns] for row in rows)
        elif kind in ("parts", "keys"):
            part = data["parts"][figure["measure"]]
            for row in rows:
                category = part["categories"].index(row["value"] or "not stated")
                assert part["values"][places[row["dataset"]]][row["split"]][category] == row["percent"]
        elif kind == "matrix":
            cells = [value for lines in figure["values"].values() for line in lines for value in line]
            found = [row[column] for row in rows for column in ("jensen_shannon_bits",)]
            found += [row["wasserstein"] for row in rows] if "metric" in figure["options"] else []
            times = 2 if figure["id"] in ("distances", "mean_distances") else 1
            assert sorted(cell for cell in cells if cell is not None) == sorted(
                [value for value in found if value is not None] * times
            )
        num_checked += 1
    assert num_checked >= (28 if name == "index.html" else 15)


TABLES = {"outliers": ("path", 1), "messages": ("kind", 0), "measures": ("measure", 0), "overview": ("dataset", 0)}
"""Sections with a table, the column of their query that names its rows, and where it stands in the table."""


@pytest.mark.parametrize("name", PAGES)
def test_the_sql_beside_a_table_returns_its_rows(pages, ask, name):
    page = pages[name]
    for place, (column, i) in TABLES.items():
        if place not in page.sql:
            continue
        rows = ask(page.sql[place][-1])
        shown = [line[i].replace(" ", "_") for line in page.tables.get(place, []) if len(line) > i]
        named = [cell for cell in shown if any(cell.startswith(row[column].replace(" ", "_")) for row in rows)]
        assert len(named) >= len(rows), place
    plots = {figure["id"] for figure in page.data["figures"]}
    others = [sql for place, texts in page.sql.items() if place not in plots for sql in texts]
    assert len(others) >= (3 if name == "index.html" else 6)
    for sql in others:
        ask(sql)


def test_a_number_of_every_kind_is_the_one_of_the_music(pages, ask):
    overview = {row[0]: row[1:] for row in pages["index.html"].tables["overview"]}
    assert overview["mine"][:4] == ["17", "0", "0.1", "1,020"]
    (notes,) = [row for row in pages["index.html"].tables["notes"] if row[0] == "alone"]
    assert notes == ["alone", "40"]
    measures = {row[0]: row for row in pages["mine.html"].tables["measures"]}
    assert measures["num notes notes"][1:8] == ["17", "60", "0", "60", "60", "60", "60"]
    assert measures["num notes notes"][-1] == COLUMNS["num_notes"].text


def test_the_outlier_is_told_and_can_be_heard(pages):
    page = pages["mine.html"]
    told = [row for row in page.tables["outliers"] if ODD in " ".join(row)]
    assert len(told) == 1
    assert told[0][2:4] == ["velocity mean", "127"]
    assert any(attrs.get("class") == "player" and attrs["data-title"] == ODD for _, attrs in page.tags)
    assert "velocity mean 127; the dataset's median is" in page.text


def test_music_that_is_there_twice_counts_as_asked(pages):
    page = pages["index.html"]
    place = page.data["labels"].index("mine")
    counts = {counted: values[0] for counted, values in page.data["amounts"][place]["all"].items()}
    assert counts == {"all": 17, "no_copies": 15, "once": 15}


def test_a_dataset_of_one_performance_has_its_page(pages):
    page = pages["alone.html"]
    assert "No performance is far from the others." in page.text
    assert page.tables["splits"][2][:2] == ["all", "1"]
    assert [cell[0] for cell in page.tables["pitch"][:1]] == [""]


def test_pages_link_to_each_other_and_fetch_nothing(pages, data_report):
    for name, page in pages.items():
        addresses = [attrs.get("src") or attrs.get("href") for _, attrs in page.tags if {"src", "href"} & attrs.keys()]
        outside = [address for address in addresses if not address.startswith(("#", "data:"))]
        assert set(outside) >= {"plotly.min.js", "../index.html"}
        for address in outside:
            assert (data_report[1] / address.partition("#")[0]).is_file(), f"{name}: {address}"
        (policy,) = (attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["style-src"] == "'unsafe-inline'"
        assert "unsafe" not in rules["script-src"]
    main = (data_report[1].parent / "index.html").read_text()
    assert 'href="data/index.html"' in main
    assert 'href="data/mine.html"' in main


def test_pages_are_small_and_plotly_lies_beside_them_once(data_report):
    files = sorted(path.name for path in data_report[1].iterdir())
    assert files == ["alone.html", "index.html", "mine.html", "plotly.min.js"]
    assert all(path.stat().st_size < MEGABYTES * 1e6 for path in data_report[1].glob("*.html"))


def test_names_are_text(new_warehouse, tmp_path):
    warehouse = new_warehouse(**corpus(HOSTILE))
    folder = write_report(warehouse, tmp_path / "report").parent / "data"
    names = sorted(path.name for path in folder.glob("*.html"))
    assert names[0].startswith("_a_href_")
    assert names[1] == "index.html"
    for name in names:
        text = (folder / name).read_text()
        assert "<b>%" not in text
        assert 'href="javascript' not in text
        page = DataPage(folder / name)
        shown = HOSTILE.replace("\u202e", "\\u202e")
        assert page.data["labels"] == [shown]
        assert shown in page.text
        assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
        for place in ("", "pitch", "overview"):
            for sql in page.sql.get(place, []):
                assert query_warehouse(warehouse, sql).num_rows > 0


def test_what_is_not_measured_yet_is_said_to_be_so(new_warehouse, tmp_path):
    tables = corpus()
    del tables["performance_statistics"], tables["histograms"]
    folder = write_report(new_warehouse(**tables), tmp_path / "report").parent / "data"
    assert "Nothing measured yet" in DataPage(folder / "bach.html").text
    assert shares_of(DataPage(folder / "index.html")) == {}


def test_without_datasets_there_are_no_pages(new_warehouse, tmp_path):
    path = write_report(new_warehouse(), tmp_path / "report")
    assert sorted(path.parent.iterdir()) == [path, path.parent / "samples"]
    assert "data/" not in path.read_text().replace("data:", "")


@pytest.mark.slow
def test_pages_of_ten_datasets_stay_small(new_warehouse, tmp_path):
    tables: dict[str, list] = {}
    for number in range(10):
        rows = corpus(f"dataset-of-a-long-name-{number:02d}")
        rows["histograms"] = [
            {
                "performance_id": one["performance_id"],
                "measure": name,
                "bin": i,
                "weight": float(1 + (i * 7 + place) % 9),
            }
            for place, one in enumerate(rows["performances"])
            for name, histogram in HISTOGRAMS.items()
            for i in range(histogram.num_bins)
        ]
        for table, found in rows.items():
            tables.setdefault(table, []).extend(found)
    folder = write_report(new_warehouse(**tables), tmp_path / "report").parent / "data"
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.html")}
    assert len(sizes) == 11
    assert max(sizes.values()) < MEGABYTES * 1e6, sizes


@pytest.mark.parametrize("name", ["bach", "jsb-fast_2", "x" * 60])
def test_a_plain_name_is_that_of_its_page(name):
    assert data_pages.file_name(name) == f"{name}.html"


def test_pages_of_names_that_look_alike_do_not_meet():
    names = ["a b", "a_b", "A_B", "a/b", "../a", "index", "é" * 300, "x" * 61, ""]
    files = [data_pages.file_name(name) for name in names]
    assert len({name.lower() for name in files}) == len(files)
    assert all(re.fullmatch(r"[a-z0-9_.-]{1,90}", name) and ".." not in name for name in files)


@pytest.mark.parametrize(
    "value, digits, text",
    [(0.5, 0, "1"), (2.5, 0, "3"), (12.25, 1, "12.3"), (-0.04, 1, "0.0"), (1234567.5, 0, "1,234,568"), (None, 2, "–")],
)
def test_halves_are_rounded_as_in_the_browser(value, digits, text):
    assert fixed(value, digits) == text


def test_about_three_digits_mean_something():
    values = (0.01234, 1.2345, 12.345, 123.45, 12345.6, 0.0, 7.0, -0.5)
    assert [rounded(value) for value in values] == ["0.012", "1.23", "12.3", "123", "12,346", "0", "7", "-0.500"]


def test_equal_distributions_are_kept_once():
    def row(split: str, counted: str, bin: int, percent: float) -> dict:
        return {"dataset": "a", "split": split, "counted": counted, "bin": bin, "percent": percent}

    rows = [row(split, counted, i, 50.0) for split in ("all", "train") for counted in ("all", "once") for i in (3, 5)]
    (packed,) = data_figures.pack_shares(rows, ["a"])
    assert packed == {
        "all": {"all": [3, 50000, 0, 50000], "once": "all all"},
        "train": {"all": "all all", "once": "all all"},
    }
    assert data_figures.unpack_shares(packed, "train", "once") == [0, 0, 0, 50000, 0, 50000]
    assert data_figures.unpack_shares(packed, "test", "all") is None


def test_rare_categories_are_one_and_none_is_one_of_its_own():
    values = [*(f"{i}/4" for i in range(1, 9)), None]
    rows = [{"dataset": "a", "split": "all", "value": value, "percent": 10.0 + i} for i, value in enumerate(values)]
    packed = data_figures.pack_parts(rows, ["a", "b"])
    assert packed["categories"] == ["8/4", "7/4", "6/4", "5/4", "4/4", "3/4", "others", "not stated"]
    assert packed["values"] == [{"all": [17.0, 16.0, 15.0, 14.0, 13.0, 12.0, 21.0, 18.0]}, {}]


def test_every_bin_has_a_place_and_a_label_and_ticks_lie_among_them():
    for histogram in HISTOGRAMS.values():
        axis = data_figures.axis(histogram)
        assert len(axis["x"]) == len(axis["labels"]) == histogram.num_bins
        assert axis["x"] == sorted(axis["x"])
        assert len(set(axis["labels"])) == histogram.num_bins, histogram.name
        assert axis["title"]
        assert axis["y"].startswith("% of ")


def test_every_measure_has_its_names_and_every_query_an_order():
    assert set(data_figures.NAMES) == set(data_figures.TITLES) == set(HISTOGRAMS)
    assert set(data_queries.QUANTILES) <= set(COLUMNS)
    everything = data_queries.all_queries() | data_queries.dataset_queries("a", ["b"])
    assert all(
        "order by" in query.splitlines()[-1] or "order by" in query.splitlines()[-2] for query in everything.values()
    )
