import numpy as np
import pyarrow as pa
import pytest
from corpora import folder_dataset, here, improvise, write_many, write_midi
from shingling import improvised, write_notes

from pianogen.dedupe.corpus import Corpus, columns_of, load_corpus
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.tables import SCHEMAS


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Two datasets, one of several blocks; among them performances without shingles."""
    root = tmp_path_factory.mktemp("corpus")
    write_many(root / "many", num_files=500, num_notes=14)
    for i, num_notes in enumerate((5, 60, 900)):
        write_notes(root / "few" / f"{i}.mid", improvised(1000 + i, num_notes))
    lake = Lake(root / "lake")
    for name in ("many", "few"):
        ingest_dataset(lake, folder_dataset(root / name, name), here(root))
        fingerprint_dataset(lake, name, here(root))
    return lake


@pytest.fixture(scope="module")
def corpus(lake, tmp_path_factory) -> Corpus:
    return load_corpus(lake, tmp_path_factory.mktemp("arrays"))


def test_every_performance_has_a_number(lake, corpus):
    assert sorted(corpus.ids) == sorted(lake.read("performances")["performance_id"].to_pylist())
    assert len(corpus.ids) == 503
    assert len(corpus.first) == 504


def test_numbers_follow_the_order_of_ids(corpus):
    assert list(corpus.ids) == sorted(corpus.ids)


def test_rows_of_a_performance_are_its_shingles(lake, corpus):
    table = lake.read("shingles").sort_by("performance_id")
    columns = columns_of(corpus.folder)
    assert [len(column) for column in columns] == [table.num_rows] * 5
    held = [i for i, num in zip(corpus.ids, np.diff(corpus.first), strict=True) for _ in range(num)]
    assert held == table["performance_id"].to_pylist()
    names = SCHEMAS["shingles"].names[1:]
    by_number = pa.table(dict(zip(["performance_id", *names], [held, *columns], strict=True)))
    # Rows of one place may stand in either order.
    order = [(name, "ascending") for name in by_number.column_names]
    assert by_number.sort_by(order).equals(table.cast(by_number.schema).sort_by(order))
    for name, column in zip(names, columns, strict=True):
        assert column.dtype == SCHEMAS["shingles"].field(name).type.to_pandas_dtype(), name


def test_rows_of_a_performance_ascend_by_shingle(corpus):
    shingle = columns_of(corpus.folder)[0]
    for begin, end in zip(corpus.first[:-1], corpus.first[1:], strict=True):
        assert (np.diff(shingle[begin:end].astype(object)) >= 0).all()


def test_facts_are_columns_of_the_fingerprints(lake, corpus):
    rows = {row["performance_id"]: row for row in lake.read("fingerprints").to_pylist()}
    for name, column in corpus.facts.items():
        assert column.tolist() == [rows[i][name] for i in corpus.ids], name
    assert np.diff(corpus.first).tolist() == [rows[i]["num_places"] for i in corpus.ids]


def test_the_block_of_a_performance_is_the_one_of_the_ingest_that_holds_its_notes(lake, corpus):
    assert len(corpus.ingest_blocks) >= 3
    for number, key in enumerate(corpus.ingest_blocks):
        inside = set(lake.read_block("ingest", key, "performances")["performance_id"].to_pylist())
        assert {i for i, block in zip(corpus.ids, corpus.block_of, strict=True) if block == number} == inside


def test_an_empty_lake_has_an_empty_corpus(tmp_path):
    corpus = load_corpus(Lake(tmp_path / "lake"), tmp_path)
    assert (corpus.ids, corpus.ingest_blocks, corpus.first.tolist()) == ((), (), [0])
    for name, column in corpus.facts.items():
        assert len(column) == 0
        assert column.dtype == SCHEMAS["fingerprints"].field(name).type.to_pandas_dtype(), name


def test_without_shingles_there_are_performances_all_the_same(folder, tmp_path):
    for seed in range(3):
        write_midi(folder / f"{seed}.mid", improvise(seed, 5))
    lake = Lake(tmp_path / "lake")
    ingest_dataset(lake, folder_dataset(folder), here(tmp_path))
    fingerprint_dataset(lake, "mine", here(tmp_path))
    corpus = load_corpus(lake, tmp_path)
    assert corpus.first.tolist() == [0] * 4
    assert len(corpus.ids) == 3
    assert corpus.facts["num_shingles"].tolist() == [0] * 3


def test_what_another_process_has_changed_in_its_arrays_is_not_seen_here(corpus):
    mine, other = (columns_of(corpus.folder)[3] for _ in range(2))
    before = int(mine[0])
    other[0] = 127 - before % 2
    assert mine[0] == before
    assert columns_of(corpus.folder)[3][0] == before
