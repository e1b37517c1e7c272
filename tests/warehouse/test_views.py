import math
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.views import apply_views, header

VIEWS = Path(__file__).resolve().parents[2] / "warehouse" / "views"
VIEW_NAMES = sorted(path.stem for path in VIEWS.glob("*.sql"))

# Two notes overlap from 1 to 2 s, a third follows after a second of silence; the drum is left out.
SMALL = """
    insert into performances by name
        select 'p' as performance_id, 'a' as dataset, 3 as num_notes, 1 as num_drum_notes, 5.0 as duration_sec;
    insert into notes by name
        select 'p' as performance_id, * from (values
            (60, 40, 0.0, 2.0, false),
            (64, 60, 1.0, 2.0, false),
            (71, 80, 3.0, 5.0, false),
            (35, 127, 0.0, 9.0, true)
        ) as v (pitch, velocity, onset_sec, offset_sec, is_drum);
"""


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
        "performance_statistics",
        "dataset_statistics",
        "pitch_distribution",
        "velocity_distribution",
        "note_duration_distribution",
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
    }
    assert promised <= set(VIEW_NAMES)


def test_statistics_of_three_notes_are_those_counted_by_hand(database):
    database.execute(SMALL)
    (found,) = rows(database, "from performance_statistics")
    assert found == {
        "performance_id": "p",
        "dataset": "a",
        "num_notes": 3,
        "duration_sec": 5.0,
        "notes_per_sec": pytest.approx(3 / 5),
        "pitch_min": 60,
        "pitch_mean": pytest.approx(65.0),
        "pitch_max": 71,
        "velocity_mean": pytest.approx(60.0),
        "velocity_std": pytest.approx(math.sqrt(800 / 3)),
        "note_duration_sec_mean": pytest.approx(5 / 3),
        "note_duration_sec_median": pytest.approx(2.0),
        # 1 s of one note, 1 s of two, 2 s of one: 5 note-seconds over 4 s of sound.
        "polyphony_mean": pytest.approx(5 / 4),
        "polyphony_max": 2,
        "silence_share": pytest.approx(1 / 5),
    }


def test_a_performance_of_drums_alone_has_no_notes_and_is_silent(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset, 2.0 as duration_sec;
        insert into notes by name
            select 'p' as performance_id, true as is_drum, 35 as pitch, 0.0 as onset_sec, 2.0 as offset_sec;
    """)
    (found,) = rows(database, "from performance_statistics")
    assert (found["num_notes"], found["polyphony_max"], found["silence_share"]) == (0, 0, 1.0)
    assert found["pitch_mean"] is None
    assert found["polyphony_mean"] is None


def test_a_note_that_ends_where_another_begins_does_not_overlap_it(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset, 2.0 as duration_sec;
        insert into notes by name select 'p' as performance_id, false as is_drum, * from (values
            (60, 0.0, 1.0), (60, 1.0, 2.0)) as v (pitch, onset_sec, offset_sec);
    """)
    assert rows(database, "from sounding_time") == [{"performance_id": "p", "num_sounding": 1, "duration_sec": 2.0}]


def test_a_note_of_no_length_never_sounds(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset, 2.0 as duration_sec;
        insert into notes by name select 'p' as performance_id, false as is_drum, * from (values
            (60, 0.0, 2.0), (64, 1.0, 1.0), (67, 0.0, 0.0), (72, 2.0, 2.0)) as v (pitch, onset_sec, offset_sec);
    """)
    (found,) = rows(
        database, "select num_notes, polyphony_max, polyphony_mean, silence_share from performance_statistics"
    )
    assert found == {"num_notes": 4, "polyphony_max": 1, "polyphony_mean": 1.0, "silence_share": 0.0}


def counted_by_looking(notes: list[tuple[int, int]]) -> dict[int, Fraction]:
    """Milliseconds for each number of notes held, by asking at every millisecond who is held."""
    found: dict[int, Fraction] = {}
    for moment in range(max(offset for _, offset in notes)):
        held = sum(onset <= moment < offset for onset, offset in notes)
        if held:
            found[held] = found.get(held, Fraction(0)) + 1
    return found


note_ms = st.tuples(st.integers(0, 60), st.integers(0, 30)).map(lambda note: (note[0], note[0] + note[1]))


@settings(max_examples=60, deadline=None)
@given(performances=st.lists(st.lists(note_ms, min_size=1, max_size=12), min_size=1, max_size=3))
def test_sounding_time_is_what_looking_at_every_millisecond_finds(empty_database, performances):
    # 1/1024 s in place of 1 ms: its sums are exact in binary.
    listed = [(f"p{i}", onset / 1024, offset / 1024) for i, notes in enumerate(performances) for onset, offset in notes]
    values = ", ".join(str((*note, False)) for note in listed)
    empty_database.execute("begin transaction")
    empty_database.execute(
        f"insert into notes by name from (values {values}) as v (performance_id, onset_sec, offset_sec, is_drum)"
    )
    found = {(p, n): Fraction(sec) * 1024 for p, n, sec in empty_database.sql("from sounding_time").fetchall()}
    empty_database.execute("rollback")
    expected = {(f"p{i}", n): ms for i, notes in enumerate(performances) for n, ms in counted_by_looking(notes).items()}
    assert found == expected


def test_each_performance_counts_once_in_the_statistics_of_its_dataset(database):
    database.execute("""
        insert into performances by name select * from (values
            ('p', 'a', 3600.0), ('q', 'a', 7200.0), ('r', 'b', 1800.0)) as v (performance_id, dataset, duration_sec);
        insert into notes by name select false as is_drum, 0.0 as onset_sec, 1.0 as offset_sec, * from (values
            ('p', 50, 10), ('q', 60, 20), ('q', 60, 20), ('q', 60, 20), ('r', 99, 127)
        ) as v (performance_id, pitch, velocity);
    """)
    a, b = rows(database, "from dataset_statistics order by dataset")
    assert (a["dataset"], a["num_performances"], a["num_notes"], a["duration_hours"]) == ("a", 2, 4, 3.0)
    assert (b["dataset"], b["num_performances"], b["num_notes"], b["duration_hours"]) == ("b", 1, 1, 0.5)
    assert (a["pitch_min"], a["pitch_max"], a["polyphony_max"]) == (50, 60, 3)
    # One performance at pitch 50, one at 60: the mean is 55 although three of four notes are at 60.
    assert a["pitch_mean_mean"] == 55.0
    assert a["pitch_mean_p50"] == 55.0
    assert a["pitch_mean_p05"] == pytest.approx(50.5)
    assert a["velocity_mean_p95"] == pytest.approx(19.5)
    assert a["num_notes_per_performance_mean"] == 2.0


def test_shares_of_a_distribution_are_of_the_dataset_without_drums(database):
    database.execute("""
        insert into performances by name select * from (values ('p', 'a', 1.0), ('q', 'b', 1.0))
            as v (performance_id, dataset, duration_sec);
        insert into notes by name select * from (values
            ('p', 60, 64, false), ('p', 60, 65, false), ('p', 62, 64, false), ('p', 60, 64, false),
            ('p', 60, 64, true), ('q', 60, 64, false)) as v (performance_id, pitch, velocity, is_drum);
    """)
    assert database.sql("from pitch_distribution order by all").fetchall() == [
        ("a", 60, 3, 0.75),
        ("a", 62, 1, 0.25),
        ("b", 60, 1, 1.0),
    ]
    assert database.sql("from velocity_distribution order by all").fetchall() == [
        ("a", 64, 3, 0.75),
        ("a", 65, 1, 0.25),
        ("b", 64, 1, 1.0),
    ]


def test_a_note_duration_on_the_edge_of_a_bin_falls_into_the_bin_it_begins(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset, 60.0 as duration_sec;
        insert into notes by name select 'p' as performance_id, false as is_drum, * from (values
            (0.1, 0.1), (0.1, 0.149), (0.1, 0.25), (0.1, 0.3), (0.0, 9.99), (0.0, 10.0), (0.0, 60.0)
        ) as v (onset_sec, offset_sec);
    """)
    found = database.sql("select bin_sec, num_notes from note_duration_distribution order by bin_sec").fetchall()
    assert 0.3 - 0.1 < 0.2  # what a bin's edge must survive
    assert found == [(0.0, 2), (0.15, 1), (0.2, 1), (9.95, 1), (10.0, 2)]


def test_polyphony_of_a_dataset_fills_its_duration_with_silence(database):
    database.execute(SMALL)
    database.execute(
        "insert into performances by name select 'q' as performance_id, 'a' as dataset, 5.0 as duration_sec"
    )
    assert database.sql("from polyphony_distribution order by all").fetchall() == [
        ("a", 0, 6.0, 0.6),
        ("a", 1, 3.0, 0.3),
        ("a", 2, 1.0, 0.1),
    ]


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
        "bits_per_second",
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
    ]


def test_views_are_created_in_the_order_they_need_whatever_their_names(tmp_path):
    (tmp_path / "a.sql").write_text("-- Top.\ncreate or replace view a as from b;")
    (tmp_path / "b.sql").write_text("-- Middle.\ncreate or replace view b as from c;")
    (tmp_path / "c.sql").write_text("-- Bottom.\n-- Reads: nothing.\ncreate or replace view c as select 1 as x;")
    with duckdb.connect() as connection:
        assert apply_views(connection, tmp_path) == ["c", "b", "a"]
        assert connection.sql("from a").fetchall() == [(1,)]
        comments = connection.sql("select view_name, comment from duckdb_views() where not internal").fetchall()
    assert sorted(comments) == [("a", "Top."), ("b", "Middle."), ("c", "Bottom.")]
