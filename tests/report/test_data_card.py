"""Data cards: what they say is what the warehouse and the catalogue hold, the folder is not ours alone."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pianogen.catalogue import Dataset
from pianogen.catalogue_entries import Fact
from pianogen.errors import QueryError, SettingsError
from pianogen.report.data_card import MARK, write_data_cards
from pianogen.report.known_limits import known_limits

HOSTILE = (
    "<script>alert(1)</script> | `x` [link](http://evil) ![](http://evil) **b** _i_ https://evil \x1b[31m\u202e\nnext"
)
MINE = Dataset(name="mine", title="Tunes of mine", folder=Path("/somewhere/mine"), homepage="https://example.org/mine")


@pytest.fixture(scope="session")
def cards(data_report, tmp_path_factory) -> Path:
    """Of a dataset with a copy, a transposition and an outlier, and of one of a single performance."""
    folder = tmp_path_factory.mktemp("cards")
    write_data_cards(data_report[0], folder, [MINE])
    return folder


def tables(card: str) -> list[list[list[str]]]:
    """Cells of each table, heads left out."""
    found: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n?)+", card, re.MULTILINE):
        found.append([line.strip("| ").split(" | ") for line in block.strip().splitlines()[2:]])
    return found


def test_a_card_tells_files_splits_measures_and_what_is_there_twice(cards):
    card = (cards / "mine.md").read_text()
    assert card.startswith(f"{MARK}\n\n# Tunes of mine\n\n17 performances, ")
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles[:5] == ["Known limits", "Files and music", "Splits", "What the music is like", "The same music again"]
    assert titles[-1] == "Versions"
    cells = {row[0]: row[1:] for table in tables(card) for row in table}
    assert cells["files"] == ["17"]
    assert cells["homepage"] == ["<https://example.org/mine>"]
    assert cells["without copies of one another"] == ["15"]
    assert cells["pitch_mean"][0] == "MIDI number"
    assert [row[0] for row in tables(card)[-1]] == ["files and their bytes", "splits"]


def test_every_number_of_a_card_can_be_asked_for_again(cards, data_report):
    """The queries that stand in a card run as they are, and give the rows that are shown."""
    card = (cards / "mine.md").read_text()
    queries = re.findall(r"```sql\n(.*?)\n```", card, re.DOTALL)
    assert len(queries) > 10
    with duckdb.connect(str(data_report[0]), read_only=True) as connection:
        rows = {query: connection.sql(query).to_arrow_table().to_pylist() for query in queries}
    (splits,) = (found for query, found in rows.items() if "from hours_by_split" in query)
    cells = {row[0]: row[1] for table in tables(card) for row in table if len(row) == 4}
    assert {row["split"]: f"{row['num_performances']:,}" for row in splits}.items() <= cells.items()
    (measures,) = (found for query, found in rows.items() if "from measure_summaries" in query)
    assert len(measures) > 60


def test_the_same_warehouse_gives_the_same_bytes_and_no_place_of_the_machine(cards, data_report, tmp_path):
    elsewhere = replace(MINE, folder=tmp_path / "quite elsewhere")
    written = write_data_cards(data_report[0], tmp_path / "again", [elsewhere])
    for name, path in written.paths.items():
        assert path.read_bytes() == (cards / f"{name}.md").read_bytes()
        text = path.read_text()
        assert str(tmp_path) not in text
        assert str(data_report[0].parent) not in text
        assert "/somewhere" not in text
    before = {path: path.stat().st_mtime_ns for path in written.paths.values()}
    again = write_data_cards(data_report[0], tmp_path / "again", [elsewhere])
    assert again.version == written.version
    assert {path: path.stat().st_mtime_ns for path in again.paths.values()} == before, "what is the same is not written"


def test_the_index_lists_every_dataset_with_its_card(cards):
    index = (cards / "README.md").read_text()
    assert index.startswith(MARK)
    (rows,) = tables(index)
    assert [row[0] for row in rows] == ["[alone](alone.md)", "[mine](mine.md)"]
    assert rows[1][1:4] == ["Tunes of mine", "17", "17"]


def test_only_our_own_files_are_replaced_or_removed(data_report, tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("# Mine\n")
    gone = tmp_path / "gone.md"
    gone.write_text(f"{MARK}\n\n# Of a dataset that is gone\n")
    write_data_cards(data_report[0], tmp_path, [])
    assert notes.read_text() == "# Mine\n"
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "alone.md", "mine.md", "notes.md"}


def test_a_file_of_somebody_else_in_the_place_of_a_card_stops_before_anything_is_written(data_report, tmp_path):
    (tmp_path / "mine.md").write_text("# A page of mine\n")
    with pytest.raises(SettingsError, match=r"mine\.md: was not written by pianogen .* data_cards in pianogen\.toml"):
        write_data_cards(data_report[0], tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.md"]


def test_without_a_warehouse_there_is_no_card(tmp_path):
    with pytest.raises(QueryError, match="no warehouse yet"):
        write_data_cards(tmp_path / "none.duckdb", tmp_path / "cards", [])
    assert not (tmp_path / "cards").exists()


def test_text_out_of_files_stays_text(new_warehouse, tmp_path):
    """Titles, paths, composers, licences and reasons are other people's."""
    performance = {
        "performance_id": "a1", "dataset": "odd", "file_id": "f1", "format": "midi", "num_notes": 3,
        "num_drum_notes": 0, "duration_sec": 2.0, "warnings": [f"{HOSTILE}: 3 times"],
    }  # fmt: skip
    where = {"dataset": "odd", "path": f"{HOSTILE}.mid"}
    outlier = {"performance_id": "a2", "dataset": "odd", "num_notes": 9, "duration_sec": 2.0, "pitch_mean": 60.0}
    warehouse = new_warehouse(
        performances=[performance, *(performance | {"performance_id": f"a{i}"} for i in range(2, 9))],
        files=[where | {"file_id": "f1", "performance_id": f"a{i}"} for i in range(1, 9)],
        sources=[where | {"title": HOSTILE, "composer": HOSTILE, "licence": HOSTILE, "non_commercial": False}],
        rejections=[where | {"stage": "parse", "reason": HOSTILE, "detail": HOSTILE}],
        performance_statistics=[
            outlier | {"performance_id": f"a{i}", "pitch_mean": 60.0 + i % 2 + 50 * (i == 8)} for i in range(1, 9)
        ],
    )
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table manifests as select 'splits' as stage, 'all' as partition, 'v1' as version")
    dataset = Dataset(
        name="odd",
        title=HOSTILE,
        folder=tmp_path,
        facts=(Fact(name=f"known_{HOSTILE}", value={HOSTILE: 1}, source=HOSTILE, verified=False),),
    )
    paths = write_data_cards(warehouse, tmp_path / "cards", [dataset]).paths
    for text in (path.read_text() for path in paths.values()):
        prose = re.sub(r"```sql\n.*?\n```", "", text, flags=re.DOTALL).replace(MARK, "")
        assert "<script" not in prose
        assert "http://" not in prose
        assert "https://evil" not in prose
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not re.search(r"\[link\]|!\[|\*\*b|(?<!\w)_i_", prose)
        assert "&#60;script&#62;" in prose
    # Each table has as many cells in every row as in its head.
    for block in re.findall(r"(?:^\|.*\n)+", paths["odd"].read_text(), re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


OVERVIEW = {
    "dataset": "mine", "num_files": 500, "num_performances": 500, "num_rejections": 0, "num_notes": 90_000,
    "num_drum_notes": 0, "with_pedal_share": 1.0, "dynamic_share": 1.0, "on_grid_share": 0.5, "non_commercial": False,
    "num_composers": 3, "num_works": 9, "num_copies": 0, "num_first": 500,
}  # fmt: skip


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"dynamic_share": 0.0}, "No dynamics: within each performance all notes have one velocity."),
        ({"dynamic_share": 0.75}, "Dynamics in part: 25 % of the performances have a single velocity."),
        ({"with_pedal_share": 0.0}, "No sustain pedal: notes sound as long as their keys are held."),
        ({"on_grid_share": 0.95}, "Score-like: onsets lie on the file's grid, "),
        ({"on_grid_share": 0.05}, "Played freely: the file's quarters and bars are not the music's."),
        ({"non_commercial": True}, "Its licence forbids commercial use, "),
        ({"num_rejections": 5}, "5 of its files (1.0 %) could not be read as music and are left out."),
        ({"num_performances": 20, "num_first": 20}, "Small: with 20 performances "),
        ({"num_drum_notes": 10_000}, "10,000 drum notes (10 % of all) are kept and not measured."),
        ({"num_copies": 50, "num_first": 400}, "50 performances (10 %) are copies of others in it."),
        ({"num_copies": 50, "num_first": 400}, "50 more (10 %) are other renditions or parts of music that it has."),
        ({"num_composers": 0, "num_works": 0}, "Nothing says whose music it is"),
    ],
)
def test_limits_are_chosen_by_the_numbers(changes, sentence):
    said = known_limits(OVERVIEW | changes, medians={}, means={})
    assert any(line.startswith(sentence) for line in said), said


def test_a_dataset_without_limits_has_none_but_what_it_is_made_of():
    assert known_limits(OVERVIEW, medians={}, means={}) == [
        "Mixed: 50 % of the performances lie on their file's grid, as scores do; others do not."
    ]


def test_limits_tell_of_parts_leaks_messages_and_signatures():
    said = known_limits(
        OVERVIEW,
        medians={"num_tempos": 1.0},
        means={"beyond_two_hands_share": 0.2},
        categories=[{"measure": "time_signature", "value": None, "share": 0.3}],
        messages=[{"kind": "pitch_bend", "performance_share": 0.25}, {"kind": "tempo", "performance_share": 1.0}],
        leaks=[
            {"split": "test", "other_split": "train", "num_held_out": 20, "num_leaking": 5},
            {"split": "validation", "other_split": "train", "num_held_out": 20, "num_leaking": 0},
        ],
        num_files_published=1000,
    )
    assert said[0] == "A part: 500 of the 1,000 files that were published are here."
    assert "30 % of the performances state no time signature; their bars are counted as 4/4." in said
    assert "20 % of the time, keys are held that two hands cannot reach: not all is for one player." in said
    assert "25 % of the MIDI files hold pitch bends, which are not measured." in said
    assert said[-1] == "Its published split leaks: 5 of 20 performances of test have the same music in train."
