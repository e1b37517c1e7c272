"""Of a corpus that has grown, only what is new is looked at; the looks are those of a corpus looked at afresh."""

from pathlib import Path

import numpy as np
import pytest
from corpora import here
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pianogen.dedupe import first_looks as module
from pianogen.dedupe.corpus import Corpus
from pianogen.dedupe.first_looks import CandidateConfig, FirstLooks, first_looks, no_first_looks
from pianogen.dedupe.postings import Thresholds
from pianogen.dedupe.relations import RelationConfig
from pianogen.dedupe.shingle import CHROMA, TOP, WINDOWS

SPREAD = 0x9E3779B97F4A7C15
"""Times this, small numbers lie all over the range of hashes."""


def corpus_of(folder: Path, performances: list[list[int]]) -> Corpus:
    """A corpus of performances that hold shingles by their numbers, in this order, one every half second."""
    folder.mkdir(exist_ok=True)
    first = np.cumsum([0, *map(len, performances)]).astype(np.int64)
    rows = []
    for held in performances:
        rows += sorted((n * SPREAD % 2**64, (WINDOWS, TOP, CHROMA)[n % 3], 0.5 * k) for k, n in enumerate(held))
    np.save(folder / "first.npy", first)
    columns = {
        "shingle": np.array([row[0] for row in rows], np.uint64),
        "kind": np.array([row[1] for row in rows], np.uint8),
        "onset_sec": np.array([row[2] for row in rows], np.float32),
        "pitch": np.zeros(len(rows), np.uint8),
        "is_mirrored": np.zeros(len(rows), bool),
    }
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column if len(rows) else np.zeros(1, column.dtype))
    sizes = np.array([len(set(held)) for held in performances], np.int32)
    chroma = np.array([len({n for n in held if n % 3 == 2}) for held in performances], np.int32)
    num = len(performances)
    facts = {
        "sampling": np.ones(num, np.int32),
        "num_shingles": sizes,
        "num_shingles_coarse": sizes,
        "num_chroma": chroma,
        "num_chroma_coarse": chroma,
    }
    ids, zeros = tuple(f"{i:03d}" for i in range(num)), np.zeros(num, int)
    return Corpus(folder, ids, first, facts, zeros, ("block",), dataset_of=zeros)


def look(corpus: Corpus, config: CandidateConfig, known: FirstLooks, is_new: np.ndarray) -> FirstLooks:
    return first_looks(corpus, config, RelationConfig(), here(corpus.folder), known, is_new)


def look_afresh(corpus: Corpus, config: CandidateConfig) -> FirstLooks:
    return look(corpus, config, no_first_looks(), np.ones(len(corpus.ids), bool))


def assert_same(found: FirstLooks, expected: FirstLooks) -> None:
    for name, column, other in zip(FirstLooks._fields, found, expected, strict=True):
        assert np.array_equal(column, other, equal_nan=True), name
        assert column.dtype == other.dtype, name


configs = st.builds(
    CandidateConfig,
    thresholds=st.builds(
        Thresholds,
        min_shared=st.integers(1, 3),
        min_share=st.sampled_from([0.0, 0.1]),
        few=st.sampled_from([0, 12]),
        rather_few=st.sampled_from([0, 12]),
        min_chroma=st.integers(1, 3),
        min_chroma_share=st.sampled_from([0.0, 0.2]),
    ),
    # Of so few performances some shingles are common, and become so.
    max_run=st.integers(2, 6),
    short=st.sampled_from([0, 40]),
    min_anchors=st.just(1),
    min_coverage=st.just(0.0),
)
performances = st.lists(
    st.tuples(st.lists(st.integers(0, 25), max_size=20, unique=True), st.booleans()), min_size=1, max_size=24
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(performances, configs)
def test_what_is_added_gives_what_looking_afresh_gives(tmp_path, drawn, config):
    held, is_new = [shingles for shingles, _ in drawn], np.array([new for _, new in drawn])
    before = corpus_of(tmp_path / "before", [shingles for shingles, new in drawn if not new])
    after = corpus_of(tmp_path / "after", held)
    old = look_afresh(before, config)
    number = np.flatnonzero(~is_new)
    known = old._replace(a=number[old.a], b=number[old.b])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW_NEW", 0)
        added = look(after, config, known, is_new)
    assert_same(added, look_afresh(after, config))


def test_pairs_are_lost_where_what_brought_them_together_becomes_common(tmp_path):
    config = CandidateConfig(
        thresholds=Thresholds(min_shared=2, min_share=0.0, few=0, rather_few=0, min_chroma=9, min_chroma_share=1.0),
        max_run=3,
    )
    # Of 0 and 1 all that the first three share; the last two hold it too.
    held = [[0, 1, 30, 60], [0, 1, 33, 63], [0, 1, 36, 66], [0, 1], [0, 1]]
    before = look_afresh(corpus_of(tmp_path / "before", held[:3]), config)
    assert list(zip(before.a, before.b, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    is_new = np.arange(5) >= 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW_NEW", 0)
        after = look(corpus_of(tmp_path / "after", held), config, before, is_new)
    assert list(zip(after.a, after.b, strict=True)) == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_where_much_is_new_all_is_looked_at_and_nothing_known_is_believed(tmp_path, monkeypatch):
    looked = []
    real = module._look_at_range
    monkeypatch.setattr(module, "_look_at_range", lambda task: (looked.append(task), real(task))[1])
    corpus = corpus_of(tmp_path, [[1, 2, 4, 5, 7, 8, 10]] * 10)
    expected = look_afresh(corpus, CandidateConfig())
    assert len(expected.a) == 45
    assert looked
    looked.clear()
    found = look(corpus, CandidateConfig(), no_first_looks(), np.arange(10) >= 8)
    assert_same(found, expected)
    assert looked
    looked.clear()
    look(corpus, CandidateConfig(), expected, np.arange(10) >= 10)
    assert not looked
