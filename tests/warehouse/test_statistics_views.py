"""The views over statistics: small histograms and measures, counted by hand or by numpy."""

import itertools
import math

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.statistics.bins import HISTOGRAMS, bin_table

# In dataset a, p2 is a copy of p1, and p3 another performance of their work; p4 stands alone, and so does q in b.
MUSIC = """
    insert into performances by name select * from (values
        ('p1', 'a', 100.0), ('p2', 'a', 100.0), ('p3', 'a', 100.0), ('p4', 'a', 60.0), ('q', 'b', 60.0)
    ) as v (performance_id, dataset, duration_sec);
    insert into clusters by name select * from (values
        ('p1', 'c1', true, 0.9), ('p2', 'c1', false, 0.8), ('p3', 'c1', false, 0.7), ('p4', 'c2', true, 1.0),
        ('q', 'c3', true, 1.0)
    ) as v (performance_id, cluster_id, is_representative, completeness);
    insert into duplicate_pairs by name select * from (values
        ('p1', 'p2', 'edited_copy'), ('p1', 'p3', 'same_work'), ('p2', 'p3', 'same_work')
    ) as v (performance_a, performance_b, relation);
    insert into splits by name select * from (values
        ('p1', 'train'), ('p2', 'train'), ('p3', 'train'), ('p4', 'test')
    ) as v (performance_id, split);
    insert into performance_statistics by name select * from (values
        ('p1', 'a', 10, 50.0), ('p2', 'a', 20, 52.0), ('p3', 'a', 30, 54.0), ('p4', 'a', 40, 80.0), ('q', 'b', 50, 90.0)
    ) as v (performance_id, dataset, num_notes, velocity_mean);
    insert into histograms by name select 'pitch' as measure, * from (values
        ('p1', 60, 6), ('p1', 62, 4), ('p2', 60, 20), ('p3', 60, 30), ('p4', 72, 40), ('q', 60, 50)
    ) as v (performance_id, bin, weight);
"""


@pytest.fixture
def music(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    add_bins(database)
    database.execute(MUSIC)
    return database


def add_bins(database: duckdb.DuckDBPyConnection) -> None:
    database.register("bins_to_copy", bin_table())
    database.execute("insert into histogram_bins select * from bins_to_copy")
    database.unregister("bins_to_copy")


def test_copies_and_first_performances_are_those_of_their_own_dataset(music):
    found = music.sql("select performance_id, split, is_copy, is_first from counted_performances order by 1").fetchall()
    assert found == [
        ("p1", "train", False, True),
        ("p2", "train", True, False),
        ("p3", "train", False, False),
        ("p4", "test", False, True),
        ("q", "none", False, True),
    ]


def test_of_copies_in_two_datasets_both_count(database):
    database.execute("""
        insert into performances by name select * from (values ('p', 'a'), ('q', 'b')) as v (performance_id, dataset);
        insert into clusters by name select 'c' as cluster_id, * from (values ('p', true), ('q', false))
            as v (performance_id, is_representative);
        insert into duplicate_pairs by name
            select 'p' as performance_a, 'q' as performance_b, 'same_bytes' as relation;
    """)
    assert database.sql("select is_copy, is_first from counted_performances").fetchall() == [(False, True)] * 2


def test_without_clusters_every_performance_counts(database):
    database.execute("insert into performances by name select 'p' as performance_id, 'a' as dataset")
    assert database.sql("from counted_performances").fetchall() == [("p", "a", "none", False, True)]


@pytest.mark.parametrize(
    "split, counted, expected",
    [
        ("all", "all", {60: 56, 62: 4, 72: 40}),
        ("all", "no_copies", {60: 36, 62: 4, 72: 40}),
        ("all", "once", {60: 6, 62: 4, 72: 40}),
        ("train", "all", {60: 56, 62: 4}),
        ("test", "once", {72: 40}),
    ],
)
def test_music_that_is_there_twice_counts_twice_or_once(music, split, counted, expected):
    found = music.execute(
        "select bin, weight, share from distributions where dataset = 'a' and split = ? and counted = ? order by bin",
        [split, counted],
    ).fetchall()
    assert {bin: weight for bin, weight, _ in found} == expected
    assert [share for *_, share in found] == pytest.approx([n / sum(expected.values()) for n in expected.values()])


def test_a_distribution_says_the_edges_of_its_bins_and_their_unit(music):
    found = music.sql("select distinct low, high, unit, counts from distributions where bin = 72").fetchall()
    assert found == [(72.0, 72.0, "MIDI number", "notes")]


def test_measures_are_summed_up_over_the_performances_that_count(music):
    wanted = "split, counted, num_performances, total, mean, min, p50, max"
    found = music.sql(
        f"select {wanted} from measure_summaries where dataset = 'a' and measure = 'num_notes' order by all"
    ).fetchall()
    assert found == [
        ("all", "all", 4, 100.0, 25.0, 10.0, 25.0, 40.0),
        ("all", "no_copies", 3, 80.0, pytest.approx(80 / 3), 10.0, 30.0, 40.0),
        ("all", "once", 2, 50.0, 25.0, 10.0, 25.0, 40.0),
        ("test", "all", 1, 40.0, 40.0, 40.0, 40.0, 40.0),
        ("test", "no_copies", 1, 40.0, 40.0, 40.0, 40.0, 40.0),
        ("test", "once", 1, 40.0, 40.0, 40.0, 40.0, 40.0),
        ("train", "all", 3, 60.0, 20.0, 10.0, 20.0, 30.0),
        ("train", "no_copies", 2, 40.0, 20.0, 10.0, 20.0, 30.0),
        ("train", "once", 1, 10.0, 10.0, 10.0, 10.0, 10.0),
    ]


def test_each_performance_counts_once_in_the_statistics_of_its_dataset(music):
    found = music.sql(
        "select dataset, num_performances, num_notes, velocity_mean_mean from dataset_statistics order by 1"
    )
    assert found.fetchall() == [("a", 4, 100, 59.0), ("b", 1, 50, 90.0)]


def test_a_measure_of_nothing_is_not_summed_up(music):
    assert music.sql("from measure_summaries where measure = 'pitch_mean'").fetchall() == []


def divergence_bits(a: np.ndarray, b: np.ndarray) -> float:
    """Jensen and Shannon's: entropy of the mean less the mean of the entropies."""

    def entropy(share: np.ndarray) -> float:
        return -sum(p * math.log2(p) for p in share if p > 0)

    a, b = a / a.sum(), b / b.sum()
    return entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2


def moved_by(place: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein's: both masses laid out in order, cut where either changes its place, and moved piece by piece."""
    below_a, below_b = np.cumsum(a) / a.sum(), np.cumsum(b) / b.sum()
    cuts = np.unique(np.concatenate([[0.0], below_a, below_b]).round(12))
    middles = (cuts[1:] + cuts[:-1]) / 2
    at_a, at_b = place[np.searchsorted(below_a, middles)], place[np.searchsorted(below_b, middles)]
    return float((np.diff(cuts) * np.abs(at_a - at_b)).sum())


@pytest.mark.parametrize("measure", HISTOGRAMS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_distances_are_what_their_definitions_say(empty_database, measure, data):
    histogram = HISTOGRAMS[measure]
    bins = st.dictionaries(st.integers(0, histogram.num_bins - 1), st.integers(1, 1000), min_size=1, max_size=8)
    weights = {"a": data.draw(bins), "b": data.draw(bins)}
    empty_database.execute("begin transaction")
    add_bins(empty_database)
    for dataset, counts in weights.items():
        empty_database.execute("insert into performances by name select $1 as performance_id, $1 as dataset", [dataset])
        for bin, weight in counts.items():
            empty_database.execute(
                "insert into histograms by name select $1 as performance_id, $2 as measure, $3 as bin, $4 as weight",
                [dataset, measure, bin, weight],
            )
    found = empty_database.sql(
        "select dataset_a, dataset_b, jensen_shannon_bits, wasserstein from dataset_distances where counted = 'once'"
    ).fetchall()
    empty_database.execute("rollback")
    dense = {name: np.array([counts.get(i, 0) for i in range(histogram.num_bins)]) for name, counts in weights.items()}
    place = np.log2(histogram.low) if histogram.is_ratio else (histogram.low + histogram.high) / 2
    assert len(found) == 4
    for a, b, bits, moved in found:
        assert bits == pytest.approx(divergence_bits(dense[a], dense[b]), abs=1e-9)
        if histogram.is_circular:
            assert moved is None
        else:
            assert moved == pytest.approx(moved_by(place, dense[a], dense[b]), abs=1e-8)


def test_splits_and_ways_to_count_are_set_against_each_other(music):
    (test_train,) = music.sql("""
        select jensen_shannon_bits from split_distances
        where dataset = 'a' and split_a = 'test' and split_b = 'train' and counted = 'all' and measure = 'pitch'
    """).fetchall()
    assert test_train == (1.0,)  # no pitch in common
    found = music.sql("""
        select counted, wasserstein from dedupe_distances
        where dataset = 'a' and split = 'train' and measure = 'pitch' order by counted
    """).fetchall()
    # All: 56 of 60 notes at 60 and 4 at 62. Without copies 36 of 40; once 6 of 10.
    assert found == [("no_copies", pytest.approx(2 * (0.1 - 4 / 60))), ("once", pytest.approx(2 * (0.4 - 4 / 60)))]


def test_keys_and_metres_are_shares_of_performances(database):
    database.execute("""
        insert into performances by name select * from (values ('p', 'a'), ('q', 'a'), ('r', 'a'))
            as v (performance_id, dataset);
        insert into splits by name select 'p' as performance_id, 'test' as split;
        insert into performance_statistics by name select 'a' as dataset, * from (values
            ('p', 'C major', '4/4', true), ('q', 'C major', null, false), ('r', 'A minor', '3/4', true)
        ) as v (performance_id, key, time_signature, is_on_grid);
    """)
    found = database.sql("""
        select measure, value, num_performances, share from category_distribution
        where split = 'all' and measure in ('key', 'time_signature', 'is_on_grid') order by all
    """).fetchall()
    third = pytest.approx(1 / 3)
    assert found == [
        ("is_on_grid", "grid", 2, pytest.approx(2 / 3)),
        ("is_on_grid", "no grid", 1, third),
        ("key", "A minor", 1, third),
        ("key", "C major", 2, pytest.approx(2 / 3)),
        ("time_signature", "3/4", 1, third),
        ("time_signature", "4/4", 1, third),
        ("time_signature", None, 1, third),
    ]
    assert database.sql(
        "select value, share from category_distribution where split = 'test' and measure = 'key'"
    ).fetchall() == [("C major", 1.0)]


def test_what_lies_far_from_its_dataset_is_an_outlier_and_what_lies_near_is_not(database):
    database.execute("""
        insert into performances by name
            select 'p' || i as performance_id, 'a' as dataset from range(20) as v (i);
        insert into files by name select performance_id || '.mid' as path, dataset, performance_id from performances;
        insert into performance_statistics by name
            select performance_id, dataset, 60 + 0.1 * row_number() over () as velocity_mean, 10 as num_notes,
                if(performance_id = 'p7', 3600.0, 100.0 + row_number() over ()) as duration_sec from performances;
    """)
    found = database.sql("select rank, path, measure, amount, dataset_p50 from outliers").fetchall()
    assert found == [(1, "p7.mid", "duration_sec", 3600.0, pytest.approx(111.5, abs=1))]


def test_a_version_that_moved_is_told_with_both_numbers(database):
    database.execute("""
        insert into statistics_history by name select 'a' as dataset, 'same' as definitions, * from (values
            (1, 'pitch_mean', 10, 64.0, 2.0, 61.0, 64.0, 67.0),
            (2, 'pitch_mean', 11, 64.5, 2.0, 61.0, 64.0, 67.0),
            (3, 'pitch_mean', 12, 66.0, 2.0, 61.0, 66.0, 67.0),
            (1, 'velocity_std', 10, 0.0, 0.0, 0.0, 0.0, 0.0),
            (2, 'velocity_std', 11, 0.0, 0.0, 0.0, 0.0, 0.0),
            (3, 'velocity_std', 12, 1.0, 1.0, 0.0, 0.5, 2.0)
        ) as v (version, measure, num_performances, mean, std, p05, p50, p95);
    """)
    wanted = "measure, version_before, version, mean_before, mean, shift, is_drift"
    assert database.sql(f"select {wanted} from statistics_drift order by 1").fetchall() == [
        ("pitch_mean", 2, 3, 64.5, 66.0, 0.75, True),
        ("velocity_std", 2, 3, 0.0, 1.0, None, True),
    ]
    database.execute("delete from statistics_history where version = 3")
    found = database.sql("select measure, is_drift from statistics_drift order by 1").fetchall()
    assert found == [("pitch_mean", False), ("velocity_std", False)]
    database.execute("update statistics_history set definitions = 'other' where version = 1")
    assert database.sql("from statistics_drift").fetchall() == []


def test_a_note_says_its_name_its_quarters_and_the_time_since_the_one_before(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset, 480 as ticks_per_quarter;
        insert into notes by name select 'p' as performance_id, 0 as track, 0 as held_sec, * from (values
            (60, 0, 240, 0.0, 0.25, false), (64, 480, 480, 0.5, 1.0, false), (35, 480, 10, 0.5, 0.6, true),
            (22, 600, 480, 0.625, 1.125, false)
        ) as v (pitch, onset_tick, duration_tick, onset_sec, offset_sec, is_drum);
    """)
    wanted = "pitch_name, onset_quarters, duration_quarters, position, ioi_sec, interval"
    assert database.sql(f"select {wanted} from note_facts order by onset_sec").fetchall() == [
        ("C4", 0.0, 0.5, 0.0, None, None),
        ("E4", 1.0, 1.0, 0.0, 0.5, 4),
        ("Bb0", 1.25, 1.0, 0.25, 0.125, -42),
    ]


def test_a_work_is_described_over_its_performances(database):
    database.execute("""
        insert into performances by name select 'a' as dataset, * from (values
            ('p', 60.0), ('q', 120.0), ('r', 90.0), ('s', 30.0), ('t', 40.0), ('u', 50.0)
        ) as v (performance_id, duration_sec);
        insert into files by name select dataset, performance_id || '.mid' as path, performance_id from performances;
        insert into sources by name select * from (values
            ('a', 'p.mid', 'Haydn', 'Sonata', null), ('a', 'q.mid', 'Haydn', 'Sonata', null),
            ('a', 'r.mid', null, null, 'W'), ('a', 's.mid', 'Haydn', 'Sonata', null),
            ('a', 't.mid', 'Haydn', null, null), ('a', 'u.mid', null, 'Sonata', null)
        ) as v (dataset, path, composer, title, work);
        insert into performance_statistics by name
            select performance_id, dataset, duration_sec, 10 as num_notes, 'C major' as key,
                performance_id = 's' as is_on_grid
            from performances;
    """)
    wanted = "work, num_performances, num_notes, duration_sec_min, duration_sec_max, num_played, played_sec_min"
    assert database.sql(f"select {wanted} from work_statistics order by 1").fetchall() == [
        ("Haydn: Sonata", 3, 30, 30.0, 120.0, 2, 60.0),
        ("Sonata", 1, 10, 50.0, 50.0, 1, 50.0),
        ("W", 1, 10, 90.0, 90.0, 1, 90.0),
    ]


def test_a_split_is_described_over_all_datasets(music):
    wanted = "split, num_performances, num_first, num_datasets, num_notes, num_notes_mean"
    assert music.sql(f"select {wanted} from split_statistics order by 1").fetchall() == [
        ("none", 1, 1, 1, 50, 50.0),
        ("test", 1, 1, 1, 40, 40.0),
        ("train", 3, 1, 1, 60, 20.0),
    ]


def test_an_overview_has_a_row_for_each_dataset_whatever_is_known_of_it(music):
    music.execute("insert into files by name select 'c' as dataset, 'x.mid' as path")
    music.execute("insert into rejections by name select 'c' as dataset, 'x.mid' as path")
    wanted = "dataset, num_performances, num_rejections, num_notes, num_copies, num_first, num_train, num_test"
    assert music.sql(f"select {wanted} from dataset_overview order by 1").fetchall() == [
        ("a", 4, 0, 100, 1, 2, 3, 1),
        ("b", 1, 0, 50, 0, 1, 0, 0),
        ("c", 0, 1, None, None, None, None, None),
    ]


def test_time_is_shared_among_numbers_of_pitches_held_and_sounding(database):
    add_bins(database)
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset;
        insert into histograms by name select 'p' as performance_id, * from (values
            ('polyphony', 0, 1.0), ('polyphony', 1, 3.0), ('sounding_polyphony', 1, 2.0), ('sounding_polyphony', 3, 2.0)
        ) as v (measure, bin, weight);
    """)
    assert database.sql("from polyphony_distribution order by all").fetchall() == [
        ("a", 0, 1.0, 0.25, 0.0, 0.0),
        ("a", 1, 3.0, 0.75, 2.0, 0.5),
        ("a", 3, 0.0, 0.0, 2.0, 0.5),
    ]


def test_bins_of_time_meet_and_double_every_fourth(database):
    add_bins(database)
    found = database.sql("select low, high from histogram_bins where measure = 'ioi_sec' order by bin").fetchall()
    assert found[0][0] == 1 / 256
    assert found[-1][1] == 64.0
    assert all(math.isclose(high, following[0]) for (_, high), following in itertools.pairwise(found))
    assert found[4][0] == 2 * found[0][0]
