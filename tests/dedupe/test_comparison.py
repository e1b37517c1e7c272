from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from corpora import folder_dataset, here
from shingling import Notes, improvised, melody, read_notes, write_notes

from pianogen.dedupe import looks as looks_module
from pianogen.dedupe.alignment import FIGURES, align
from pianogen.dedupe.comparison import Comparison, KnownLooks, compare_all, nothing_known
from pianogen.dedupe.corpus import Corpus, columns_of, load_corpus
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.dedupe.first_looks import CandidateConfig
from pianogen.dedupe.gathered_notes import GatheredNotes
from pianogen.dedupe.looks import SecondLooks
from pianogen.dedupe.postings import Thresholds
from pianogen.dedupe.relations import RelationConfig
from pianogen.dedupe.shingle import WINDOWS
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake

ALL = Thresholds(min_shared=1, min_share=0.0, few=0, rather_few=0, min_chroma=1, min_chroma_share=0.0)


def music() -> dict[str, Notes]:
    long, short = improvised(4, 1000), improvised(1, 200)
    tiny = melody(2, 40)
    return {
        "long.mid": long,
        "long_edited.mid": long.up(3).jittered(0.02),
        "long_part.mid": long.take(slice(200, 500)),
        "short.mid": short,
        "short_slow.mid": short.stretched(1.5),
        "short_mirrored.mid": short.mirrored(130),
        "short_in_long.mid": improvised(6, 500).followed_by(short),
        "tiny.mid": tiny,
        "tiny_up.mid": tiny.up(12).jittered(0.01),
        "nothing.mid": improvised(1, 6),
        **{f"other{i}.mid": improvised(50 + i, 150 + 100 * i) for i in range(4)},
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    folder = tmp_path_factory.mktemp("music")
    for name, notes in music().items():
        write_notes(folder / name, notes.later(1 - notes.onset_sec.min()))
    lake = Lake(tmp_path_factory.mktemp("lake"))
    ingest_dataset(lake, folder_dataset(folder), here(folder))
    fingerprint_dataset(lake, "mine", here(folder))
    return lake


@pytest.fixture
def corpus(lake, tmp_path) -> Corpus:
    return load_corpus(lake, tmp_path)


def compared(lake: Lake, corpus: Corpus, known: KnownLooks | None = None, **config) -> Comparison:
    settings = here(corpus.folder)
    known = nothing_known(corpus) if known is None else known
    return compare_all(lake, corpus, CandidateConfig(**config), RelationConfig(), settings, known)


def columns_by_number(corpus: Corpus, number: int) -> tuple:
    return tuple(c[corpus.first[number] : corpus.first[number + 1]] for c in columns_of(corpus.folder))


def pairs_of(found: Comparison) -> list[tuple[int, int]]:
    return list(zip(found.a.tolist(), found.b.tolist(), strict=True))


def names_of(lake: Lake, corpus: Corpus) -> list[str]:
    path_of = {file["performance_id"]: file["path"] for file in lake.read("files").to_pylist()}
    return [path_of[i] for i in corpus.ids]


def test_a_has_the_lower_id_and_no_pair_stands_twice(lake, corpus):
    pairs = pairs_of(compared(lake, corpus))
    assert len(set(map(frozenset, pairs))) == len(pairs) > 0
    assert all(corpus.ids[a] < corpus.ids[b] for a, b in pairs)


def test_no_pair_with_a_chain_is_missed(lake, corpus):
    found = set(map(frozenset, pairs_of(compared(lake, corpus))))
    for a, b in combinations(range(len(corpus.ids)), 2):
        figures = align(columns_by_number(corpus, a), columns_by_number(corpus, b))
        if figures.num_anchors >= 12:
            assert frozenset((a, b)) in found
    names = names_of(lake, corpus)
    assert {frozenset((names[a], names[b])) for a, b in map(tuple, found)} >= {
        frozenset(pair)
        for family in ("long", "short", "tiny")
        for pair in combinations([name for name in names if name.startswith(family)], 2)
    }


def test_figures_are_those_of_the_kept_shingles_or_of_all(lake, corpus):
    found = compared(lake, corpus)
    gathered, num_again = GatheredNotes(corpus.folder), 0
    for k, (a, b) in enumerate(pairs_of(found)):
        is_again = not np.isnan(found.matched[k]) or found.num_smaller_top[k] > 0
        num_again += is_again
        held = [gathered.shingles_of(n).columns if is_again else columns_by_number(corpus, n) for n in (a, b)]
        assert np.array_equal(found.figures[k], np.array(align(*held), float), equal_nan=True), (a, b)
        sizes = [len(np.unique(one[0])) for one in held]
        coarse = max(corpus.facts["sampling"][[a, b]]) > 1 and not is_again
        if coarse:
            sizes = [int((np.unique(one[0]) % np.uint64(8) == 0).sum()) for one in held]
        assert found.num_smaller[k] == min(sizes), (a, b)
    # Both kinds are there.
    assert num_again > 0
    assert num_again == len(found.second_looks.pair)


def test_a_chain_that_is_long_enough_is_kept_as_it_is_and_a_weak_one_looked_at_again(lake, corpus):
    found = compared(lake, corpus)
    names = names_of(lake, corpus)
    by_name = {frozenset((names[a], names[b])): k for k, (a, b) in enumerate(pairs_of(found))}
    strong = by_name[frozenset(("long.mid", "long_edited.mid"))]
    weak = by_name[frozenset(("tiny.mid", "tiny_up.mid"))]
    num_anchors = FIGURES.index("num_anchors")
    assert found.figures[strong, num_anchors] >= CandidateConfig().enough_anchors
    assert np.isnan(found.matched[strong])
    assert found.matched[weak] > 0.9
    assert found.num_smaller_top[weak] > 0
    # With no chain ever enough all are.
    every = compared(lake, corpus, enough_anchors=10**6)
    assert not np.isnan(every.matched[every.figures[:, num_anchors] > 0]).any()


def test_ranges_of_performances_and_workers_do_not_matter(lake, corpus, tmp_path, monkeypatch):
    expected = compared(lake, corpus)
    for num_tasks in (1, 3, 200):
        monkeypatch.setattr("pianogen.dedupe.first_looks._NUM_TASKS", num_tasks)
        found = compared(lake, corpus)
        for name in ("a", "b", "figures", "num_smaller", "num_smaller_top", "matched", "matched_class"):
            assert np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=True), name


def test_looks_that_are_known_are_not_done_again_and_say_the_same(lake, corpus, monkeypatch):
    looked = []
    real = looks_module._look_again
    monkeypatch.setattr(looks_module, "_look_again", lambda task: (looked.append(len(task.a)), real(task))[1])
    expected = compared(lake, corpus)
    order = np.argsort(expected.second_looks.pair)
    all_known = SecondLooks(*(column[order] for column in expected.second_looks))
    num = len(order)
    assert sum(looked) == num > 4
    for rows, num_new in ((slice(None), 0), (slice(0, num, 2), num // 2), (slice(1, 3), num - 2), (slice(0, 0), num)):
        looked.clear()
        some = SecondLooks(*(column[rows] for column in all_known))
        found = compared(lake, corpus, known=replace(nothing_known(corpus), second=some))
        assert sum(looked) == num_new
        for name in ("figures", "num_smaller", "num_smaller_top", "matched", "matched_class"):
            assert np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=True), name
        for column, other in zip(found.second_looks, expected.second_looks, strict=True):
            assert np.array_equal(column, other, equal_nan=True)
            assert column.dtype == other.dtype


def test_a_shingle_that_a_short_one_shares_with_a_long_one_by_chance_is_told_by_what_is_near(tmp_path, monkeypatch):
    long = improvised(7, 4000)
    kept = long.shingles()
    at = int(np.searchsorted(long.onset_sec, kept.onset_sec[kept.kind == WINDOWS][0] - 1e-3))
    passage, scraps = long.take(slice(2000, 2060)), long.take(slice(at, at + 12)).followed_by(melody(8, 30))
    for name, notes in {"long": long, "passage": passage.up(2).stretched(1.2), "scraps": scraps}.items():
        write_notes(tmp_path / "music" / f"{name}.mid", notes.later(1 - notes.onset_sec.min()))
    lake = Lake(tmp_path / "lake")
    ingest_dataset(lake, folder_dataset(tmp_path / "music"), here(tmp_path))
    fingerprint_dataset(lake, "mine", here(tmp_path))
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    corpus = load_corpus(lake, arrays)
    names = [name.removesuffix(".mid") for name in names_of(lake, corpus)]
    seen = {}
    look = looks_module._look_nearby

    def looking(kept, gathered, a, b):
        seen[frozenset((names[a], names[b]))] = look(kept, gathered, a, b)
        return seen[frozenset((names[a], names[b]))]

    monkeypatch.setattr(looks_module, "_look_nearby", looking)
    found = compared(lake, corpus, thresholds=ALL)
    by_name = {frozenset((names[a], names[b])): k for k, (a, b) in enumerate(pairs_of(found))}
    # Near the one place there is all that the two have in common, and no more.
    of_passage, of_scraps = (frozenset(("long", name)) for name in ("passage", "scraps"))
    assert seen[of_scraps] is not None
    assert found.figures[by_name[of_scraps], FIGURES.index("num_anchors")] < RelationConfig().min_anchors
    assert np.isnan(found.matched[by_name[of_scraps]])
    a, b = (GatheredNotes(arrays).shingles_of(n).columns for n in pairs_of(found)[by_name[of_passage]])
    assert np.array_equal(found.figures[by_name[of_passage]], np.array(align(a, b), float), equal_nan=True)
    assert found.figures[by_name[of_passage], FIGURES.index("num_anchors")] > 20
    assert found.matched[by_name[of_passage]] > 0.9


def test_nobody_to_compare_gives_no_pairs_of_the_same_shapes(tmp_path):
    lake = Lake(tmp_path / "lake")
    found = compared(lake, load_corpus(lake, tmp_path))
    assert pairs_of(found) == []
    assert found.figures.shape == (0, len(FIGURES))
    assert len(found.matched) == len(found.num_smaller_top) == len(found.second_looks.pair) == 0


@pytest.mark.slow
def test_real_files_are_found_in_one_another(real_data, tmp_path):
    paths = sorted(path for path in (real_data / "maestro").rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    chosen = np.random.default_rng(2).choice(paths, 12, replace=False)
    folder = tmp_path / "music"
    for i, path in enumerate(chosen):
        notes = read_notes(path)
        write_notes(folder / f"{i}.mid", notes)
        if i % 3 == 0:
            middle = len(notes.pitch) // 3
            write_notes(folder / f"{i}_part.mid", notes.take(slice(middle, 2 * middle)).up(-1).stretched(1.1))
    lake = Lake(tmp_path / "lake")
    settings = replace(here(tmp_path), workers=2, backend="processes")
    ingest_dataset(lake, folder_dataset(folder), settings)
    fingerprint_dataset(lake, "mine", settings)
    corpus = load_corpus(lake, tmp_path)
    found = compare_all(lake, corpus, CandidateConfig(), RelationConfig(), settings, nothing_known(corpus))
    names = names_of(lake, corpus)
    strong = found.figures[:, FIGURES.index("num_anchors")] >= 40
    pairs = {frozenset((names[a], names[b])) for a, b in np.array(pairs_of(found))[strong]}
    assert pairs >= {frozenset((f"{i}.mid", f"{i}_part.mid")) for i in range(0, 12, 3)}
