import math
from pathlib import Path

import duckdb
import pytest

from pianogen.views import apply_views, header

VIEWS = Path(__file__).resolve().parents[2] / "warehouse" / "views"
VIEW_NAMES = sorted(path.stem for path in VIEWS.glob("*.sql"))


def rows(database: duckdb.DuckDBPyConnection, query: str) -> list[dict]:
    return database.sql(query).to_arrow_table().to_pylist()


@pytest.mark.parametrize("view", VIEW_NAMES)
def test_a_view_of_empty_tables_has_no_rows(database, view):
    assert rows(database, f"from {view}") == []


@pytest.mark.parametrize("view", VIEW_NAMES)
def test_a_view_says_its_grain_and_units_and_what_it_reads(view):
    text = (VIEWS / f"{view}.sql").read_text()
    assert "Grain: " in header(text)
    assert "Units: " in header(text)
    assert "\n-- Reads: " in text
    assert "Used by: " in text


def test_every_promised_view_is_there():
    promised = {
        "distributions",
        "dataset_distances",
        "outliers",
        "work_statistics",
        "dataset_overview",
        "dataset_statistics",
        "pitch_distribution",
        "velocity_distribution",
        "measure_summaries",
        "category_distribution",
        "note_facts",
        "polyphony_distribution",
        "hours_by_split",
        "ingest_accounting",
        "rejections_by_reason",
        "performances_with_sources",
        "message_kinds",
        "split_agreement",
        "clusters_with_files",
        "cluster_summaries",
        "clusters_by_dataset",
        "datasets_sharing_music",
        "titles_across_splits",
        "leaderboard",
        "sample_quality",
    }
    assert promised <= set(VIEW_NAMES)


def test_hours_are_counted_by_split_and_dataset(database):
    database.execute("""
        insert into performances by name select * from (values
            ('p', 'a', 3600.0, 10), ('q', 'a', 1800.0, 5), ('r', 'b', 900.0, 7)
        ) as v (performance_id, dataset, duration_sec, num_notes);
        insert into splits by name select * from (values ('p', 'train'), ('q', 'train'), ('r', 'test'))
            as v (performance_id, split);
    """)
    assert database.sql("from hours_by_split order by all").fetchall() == [
        ("test", "b", 1, 7, 0.25),
        ("train", "a", 2, 15, 1.5),
    ]


def test_files_are_accounted_for_as_performances_and_rejections(database):
    database.execute("""
        insert into files by name select * from (values ('a', 'x.mid'), ('a', 'y.mid'), ('a', 'z.mid'), ('b', 'x.mid'))
            as v (dataset, path);
        insert into performances by name select 'p' as performance_id, 'a' as dataset;
        insert into rejections by name select * from (values
            ('a', 'y.mid', 'parse', 'truncated'),
            ('a', 'z.mid', 'parse', 'truncated'),
            ('b', 'x.mid', 'read', 'unreadable')
        ) as v (dataset, path, stage, reason);
    """)
    assert database.sql("from ingest_accounting order by all").fetchall() == [("a", 3, 1, 2), ("b", 1, 0, 1)]
    assert database.sql("from rejections_by_reason order by all").fetchall() == [
        ("a", "parse", "truncated", 2),
        ("b", "read", "unreadable", 1),
    ]


LEADERBOARD = """
    insert into runs by name
        select e as experiment, r as run_id, 'gpt2' as model, 'remi' as tokenizer, ['a', 'b'] as datasets,
            map {'b': 'bbbbbbbbbbbbbbbb', 'a': 'aaaaaaaaaaaaaaaa'} as dataset_versions, 10 as steps
        from (values ('worse', 'w'), ('better', 'b'), ('never_evaluated', 'n')) as v (e, r);
    insert into evaluations by name select * from (values
        ('worse', 'w', 'p', 100, 10, 5.0, 100 * ln(2)),
        ('worse', 'w', 'q', 300, 30, 15.0, 380 * ln(2)),
        ('better', 'b', 'p', 50, 10, 5.0, 90 * ln(2)),
        ('better', 'b', 'q', 150, 30, 15.0, 310 * ln(2))
    ) as v (experiment, run_id, performance_id, num_tokens, num_notes, duration_sec, nats);
"""


def test_the_leaderboard_ranks_by_bits_per_note_over_the_whole_test_split(database):
    database.execute(LEADERBOARD)
    better, worse = rows(database, "from leaderboard")
    assert (better["rank"], better["experiment"], worse["rank"], worse["experiment"]) == (1, "better", 2, "worse")
    # 400 bits over 40 notes, 20 s and 200 tokens; 480 bits over the same music, in 400 tokens.
    assert better["bits_per_note"] == pytest.approx(10.0)
    assert better["bits_per_second"] == pytest.approx(20.0)
    assert better["nll"] == pytest.approx(2 * math.log(2))
    assert better["perplexity"] == pytest.approx(4.0)
    assert worse["bits_per_note"] == pytest.approx(12.0)
    # The loss per token would rank the other way round.
    assert worse["perplexity"] < better["perplexity"]
    assert (better["num_test_performances"], better["num_test_notes"]) == (2, 40)


def test_runs_rank_among_those_that_tell_the_same_of_the_same_music(database):
    database.execute("""
        insert into runs by name select e as experiment, e as run_id, leak
            from (values ('full', 0.0), ('fuller', 0.0), ('pitches', 0.0), ('elsewhere', 0.0), ('leaky', 0.5))
            v (e, leak);
        insert into evaluations by name select e as experiment, e as run_id, p as performance_id, 10 as num_notes,
                10 as num_decoded, matched as num_matched, nats, carries
            from (values
                ('full', 'p', 8, 50.0, 'onset pitch'), ('fuller', 'p', 10, 40.0, 'onset pitch'),
                ('pitches', 'p', 4, 10.0, 'pitch'), ('elsewhere', 'q', 9, 5.0, 'onset pitch'),
                ('leaky', 'p', 9, 1.0, 'onset pitch')
            ) v (e, p, matched, nats, carries);
        insert into scores by name
            select e as experiment, e as run_id, part, measure, value, low, high, 1 as num_performances from (values
                ('full', 'all', 'bits_per_note', 7.2, 7.0, 7.5), ('full', 'all', 'whole_bits_per_note', 9.0, 8.0, 9.5),
                ('pitches', 'all', 'whole_bits_per_note', 20.0, 19.0, 21.0),
                ('fuller', 'all', 'whole_bits_per_note', 8.0, 7.0, 9.0),
                ('leaky', 'clean', 'bits_per_note', 9.0, 8.0, 9.9),
                ('leaky', 'contaminated', 'bits_per_note', 0.1, 0.1, 0.2)
            ) v (e, part, measure, value, low, high);
    """)
    found = {row["experiment"]: row for row in rows(database, "from leaderboard")}
    assert {name: row["rank"] for name, row in found.items()} == {
        "full": 2, "fuller": 1, "pitches": 1, "elsewhere": 1, "leaky": None,
    }  # fmt: skip
    # Those that write the same piece whole rank together, whatever their tokens tell.
    assert {name: row["whole_rank"] for name, row in found.items()} == {
        "full": 2, "fuller": 1, "pitches": 3, "elsewhere": None, "leaky": None,
    }  # fmt: skip
    assert (found["full"]["low"], found["full"]["high"]) == (7.0, 7.5)
    assert found["pitches"]["round_trip_f1"] == pytest.approx(0.4)
    assert found["full"]["test_set"] == found["leaky"]["test_set"] != found["elsewhere"]["test_set"]
    leaky = found["leaky"]
    assert (leaky["num_contaminated"], leaky["clean_bits_per_note"], leaky["contaminated_bits_per_note"]) == (
        1,
        9.0,
        0.1,
    )
    assert found["full"]["num_contaminated"] == 0


def test_the_leaderboard_names_datasets_and_their_versions(database):
    database.execute(LEADERBOARD)
    (found,) = rows(database, "from leaderboard where experiment = 'better'")
    assert found["datasets"] == "a+b"
    assert found["data_version"] == "a@aaaaaaaaaaaa + b@bbbbbbbbbbbb"


@pytest.mark.parametrize(
    "licences, banned, expected",
    [
        ("map {'b': 'CC BY-NC 4.0', 'a': 'CC0'}", "['b']", ("a: CC0 + b: CC BY-NC 4.0", True, "b: CC BY-NC 4.0")),
        ("map {'b': 'CC BY 4.0', 'a': 'CC0'}", "[]", ("a: CC0 + b: CC BY 4.0", False, "")),
        ("null", "null", (None, None, None)),
    ],
)
def test_the_leaderboard_carries_the_licences_of_the_training_data(database, licences, banned, expected):
    database.execute(LEADERBOARD)
    database.execute(f"update runs set licences = {licences}, non_commercial_datasets = {banned}")
    found = database.sql(
        "select distinct licences, non_commercial, non_commercial_licences from leaderboard"
    ).fetchall()
    assert found == [expected]


DESCRIBED = """
    insert into files by name select * from (values
        ('a', '1.mid', 'p1'), ('a', '2.mid', 'p2'), ('a', '3.mid', null), ('b', '1.mid', 'p3')
    ) as v (dataset, path, performance_id);
    insert into sources by name select * from (values
        ('a', '1.mid', 'Sonata', 'Haydn', 2004, 'train', 'CC0', false),
        ('a', '2.mid', null, '', null, 'test', 'CC0', false),
        ('a', '3.mid', 'Lost', 'Haydn', 2004, 'test', 'CC0', false),
        ('b', '1.mid', null, null, null, null, 'CC BY-NC 4.0', true)
    ) as v (dataset, path, title, composer, year, published_split, licence, non_commercial);
    insert into performances by name select * from (values
        ('p1', 'a', 'track 1', 'me', 'midi', 2, 3600.0), ('p2', 'a', 'Waltz', 'Chopin', 'midi', 2, 1800.0),
        ('p3', 'b', '', null, 'musicxml', 2, 60.0)
    ) as v (performance_id, dataset, title, composer, format, num_notes, duration_sec);
    insert into splits by name select * from (values ('p1', 'test'), ('p2', 'test'), ('p3', 'train'))
        as v (performance_id, split);
    insert into message_counts by name select * from (values
        ('p1', 'note_on', 2), ('p1', 'note_off', 2), ('p1', 'text', 0), ('p2', 'note_on', 4)
    ) as v (performance_id, kind, num_messages);
"""


def test_a_performance_is_described_by_its_dataset_first_and_its_file_second(database):
    database.execute(DESCRIBED)
    wanted = "performance_id, title, composer, year, split, published_split, licence, non_commercial"
    found = database.sql(f"select {wanted} from performances_with_sources order by performance_id").fetchall()
    assert found == [
        ("p1", "Sonata", "Haydn", 2004, "test", "train", "CC0", False),
        ("p2", "Waltz", "Chopin", None, "test", "test", "CC0", False),
        ("p3", None, None, None, "train", None, "CC BY-NC 4.0", True),
    ]


def test_published_splits_are_set_against_ours(database):
    database.execute(DESCRIBED)
    assert database.sql("from split_agreement order by published_split").fetchall() == [
        ("a", "test", "test", True, 1, 0.5),
        ("a", "train", "test", False, 1, 1.0),
    ]
    database.execute("delete from splits")
    unknown = database.sql("select split, is_same, num_performances from split_agreement").fetchall()
    assert unknown == [(None, None, 1), (None, None, 1)]


def test_kinds_of_messages_are_shares_of_a_dataset(database):
    database.execute(DESCRIBED)
    assert database.sql("from message_kinds order by kind desc").fetchall() == [
        ("a", "note_on", 6, 2, 0.75, 1.0),
        ("a", "note_off", 2, 1, 0.25, 0.5),
    ]


def test_runs_of_equal_bits_per_note_share_a_rank_and_diverged_runs_come_last(database):
    database.execute("""
        insert into runs by name select unnest(['a', 'b', 'c', 'd', 'e']) as experiment, 'r' as run_id;
        insert into evaluations by name select 'r' as run_id, 1 as num_tokens, 1.0 as duration_sec, * from (values
            ('a', 1, 'nan'::double), ('b', 1, 1000.0), ('c', 1, 2.0), ('d', 1, 2.0), ('e', 0, 1.0)
        ) as v (experiment, num_notes, nats);
    """)
    found = database.sql("select experiment, rank, perplexity from leaderboard").fetchall()
    assert [(experiment, rank) for experiment, rank, _ in found] == [("c", 1), ("d", 1), ("b", 3), ("a", 4), ("e", 5)]
    assert found[2][2] == math.inf


def test_the_leaderboard_has_the_promised_columns_in_order(database):
    assert database.sql("from leaderboard").columns == [
        "rank",
        "whole_rank",
        "experiment",
        "run_id",
        "model",
        "tokenizer",
        "datasets",
        "context_length",
        "n_layer",
        "n_head",
        "n_embd",
        "num_parameters",
        "bits_per_note",
        "low",
        "high",
        "bits_per_second",
        "whole_bits_per_note",
        "carries",
        "round_trip_f1",
        "test_set",
        "num_contaminated",
        "clean_bits_per_note",
        "contaminated_bits_per_note",
        "leak",
        "nll",
        "perplexity",
        "num_test_performances",
        "num_test_notes",
        "steps",
        "train_sec",
        "peak_memory_mb",
        "device",
        "data_version",
        "licences",
        "non_commercial",
        "non_commercial_licences",
        "split_version",
        "shards_version",
        "certificate",
        "code_version",
        "parents",
        "parents_check",
    ]


def test_the_leaderboard_tells_what_a_fine_tune_began_with_and_whether_that_is_known_to_be_clean(database):
    database.execute(LEADERBOARD)
    database.execute("""
        update runs set parents = ['first/1', 'second/2'], parents_check = 'unchecked' where experiment = 'worse';
        update runs set parents = [] where experiment = 'better';
    """)
    assert database.sql("select experiment, parents, parents_check from leaderboard order by all").fetchall() == [
        ("better", None, None),
        ("worse", "first/1 > second/2", "unchecked"),
    ]


def test_sample_quality_sets_samples_beside_held_out_music(database):
    database.execute("""
        insert into sample_judgements by name select 'e' as experiment, 'r' as run_id, * from (values
            ('sample', 'a', 0.2, 4.0, 1.0, null), ('sample', 'b', 0.6, 9.0, 0.0, null),
            ('sample', 'c', null, null, null, 'implausible_density'), ('test', 'p', 0.1, 2.0, 0.0, null)
        ) as v (source, name, copied_share, longest_copy_sec, cycle3_share, rejection);
        insert into sample_distances by name select 'e' as experiment, 'r' as run_id, * from (values
            ('x', 0.5), ('y', 0.7), ('z', null)) as v (measure, overlapping_area);
    """)
    (found,) = rows(database, "from sample_quality")
    assert (found["num_samples"], found["num_rejected"], found["num_held_out"]) == (3, 1, 1)
    assert (found["copied_share"], found["held_out_copied_share"]) == (pytest.approx(0.4), 0.1)
    assert (found["most_copied_share"], found["longest_copy_sec"]) == (0.6, 9.0)
    assert (found["cycle_share"], found["mean_overlap"]) == (0.5, pytest.approx(0.6))
    assert found["notes_per_sec"] is None


def test_views_are_created_in_the_order_they_need_whatever_their_names(tmp_path):
    (tmp_path / "a.sql").write_text("-- Top.\ncreate or replace view a as from b;")
    (tmp_path / "b.sql").write_text("-- Middle.\ncreate or replace view b as from c;")
    (tmp_path / "c.sql").write_text("-- Bottom.\n-- Reads: nothing.\ncreate or replace view c as select 1 as x;")
    with duckdb.connect() as connection:
        assert apply_views(connection, tmp_path) == ["c", "b", "a"]
        assert connection.sql("from a").fetchall() == [(1,)]
        comments = connection.sql("select view_name, comment from duckdb_views() where not internal").fetchall()
    assert sorted(comments) == [("a", "Top."), ("b", "Middle."), ("c", "Bottom.")]
