"""Each check is shown a sound lake, where it returns nothing, and a planted violation, which it names."""

from pathlib import Path

import duckdb
import pytest

from pianogen.errors import QueryError
from pianogen.warehouse import run_check

CHECKS = Path(__file__).resolve().parents[2] / "warehouse" / "checks"
CHECK_NAMES = sorted(str(path.relative_to(CHECKS).with_suffix("")) for path in CHECKS.rglob("*.sql"))

# Two performances of the same music in train, another in test; one file is rejected; one run is evaluated.
SOUND = """
    insert into files by name select * from (values
        ('a', 'one.mid', 'p1'), ('a', 'two.mid', 'p2'), ('a', 'broken.mid', null), ('b', 'one.mid', 'p3')
    ) as v (dataset, path, performance_id);
    insert into rejections by name select 'a' as dataset, 'broken.mid' as path;
    insert into sources by name select dataset, path, 'CC0' as licence, false as non_commercial from files;
    insert into performances by name select * from (values
        ('p1', 'a', 2, 1, 'midi', 1.0, 2.0), ('p2', 'a', 1, 0, 'midi', 1.0, 2.0),
        ('p3', 'b', 1, 0, 'musicxml', 1.0, 2.0)
    ) as v (performance_id, dataset, num_notes, num_drum_notes, format, duration_sec, duration_quarters);
    insert into performance_statistics by name
        select performance_id, dataset, num_notes, num_drum_notes, duration_sec, duration_quarters,
            1.5 as sounding_duration_sec, 0.25 as silence_share, 60 as pitch_min, 60.0 as pitch_mean, 60 as pitch_max
        from performances;
    insert into histogram_bins by name select 'pitch' as measure, 60 as bin, 60.0 as low, 60.0 as high;
    insert into histograms by name
        select performance_id, 60 as bin, num_notes as weight, unnest(['pitch', 'pitch_class', 'velocity',
            'duration_sec', 'sounding_duration_sec', 'duration_quarters', 'onset_position']) as measure
        from performances;
    insert into histograms by name
        select performance_id, unnest(['polyphony', 'sounding_polyphony']) as measure, 1 as bin,
            unnest([1.0, 1.5]) as weight from performances;
    insert into message_counts by name select * from (values
        ('p1', 'note_on', 3), ('p1', 'text', 9), ('p2', 'note_on', 4), ('p2', 'note_on_zero', 4)
    ) as v (performance_id, kind, num_messages);
    insert into notes by name
        select *, 0 as track, 0 as onset_tick, 10 as duration_tick, 0 as held_sec from (values
            ('p1', 0, 1, 0.0, 1.0, false), ('p1', 127, 127, 1.0, 1.0, false), ('p1', 35, 64, 0.0, 1.0, true),
            ('p2', 60, 64, 0.0, 1.0, false), ('p3', 60, 64, 0.0, 1.0, false)
        ) as v (performance_id, pitch, velocity, onset_sec, offset_sec, is_drum);
    insert into clusters by name select * from (values ('p1', 'c1', true), ('p2', 'c1', false), ('p3', 'c2', true))
        as v (performance_id, cluster_id, is_representative);
    insert into splits by name select * from (values
        ('p1', 'a', 'c1', 'c1', 'train'), ('p2', 'a', 'c1', 'c1', 'train'), ('p3', 'b', 'c2', 'c2', 'test')
    ) as v (performance_id, dataset, cluster_id, split_group, split);
    insert into round_trips by name
        select performance_id, num_notes, num_notes as num_decoded, num_notes as num_matched,
            num_notes as num_same_pitch, 0 as num_unencodable, 4 * num_notes as num_tokens, 0 as num_unknown,
            unnest(['remi', 'jsb']) as tokenizer
        from performances;
    insert into runs by name select 'quick' as experiment, 'r1' as run_id, 1000 as num_parameters, 50 as steps,
        12.5 as train_sec, 300.0 as peak_memory_mb, 'split' as split_version, 'certificate' as certificate;
    insert into evaluations by name select 'quick' as experiment, 'r1' as run_id, 'p3' as performance_id,
        4 as num_tokens, 1 as num_notes, 1.0 as duration_sec, 12.0 as nats;
    insert into samples by name select 'quick' as experiment, 'r1' as run_id, 'one' as sample;
    insert into sample_judgements by name select 'quick' as experiment, 'r1' as run_id, * from (values
        ('sample', 'one', 10, 5.0, 0.3, 0.2, 0.3, 3, 1.5, 1), ('test', 'p3', 10, 5.0, 0.0, 0.0, 0.5, 5, 2.0, 1)
    ) as v (source, name, num_notes, duration_sec, cycle2_share, cycle3_share, copied_share, longest_copy_notes,
        longest_copy_sec, num_copies);
    insert into sample_copies by name select 'quick' as experiment, 'r1' as run_id, 'p1' as performance_id, * from
        (values ('sample', 'one', 3), ('test', 'p3', 5)) as v (source, name, num_notes);
"""


@pytest.fixture
def sound(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    database.execute(SOUND)
    return database


def violations(database: duckdb.DuckDBPyConnection, check: str) -> list[dict]:
    return run_check(database, (CHECKS / f"{check}.sql").read_text()).to_pylist()


@pytest.mark.parametrize("check", CHECK_NAMES)
def test_a_check_returns_nothing_on_a_sound_lake(sound, check):
    assert violations(sound, check) == []


@pytest.mark.parametrize("check", CHECK_NAMES)
def test_a_check_returns_nothing_on_empty_tables(database, check):
    assert violations(database, check) == []


@pytest.mark.parametrize("check", CHECK_NAMES)
def test_a_check_says_what_a_returned_row_means(check):
    assert (CHECKS / f"{check}.sql").read_text().startswith("-- A row is ")


def test_a_file_that_disappeared_is_named(sound):
    sound.execute("insert into files by name select 'a' as dataset, 'lost.mid' as path")
    assert violations(sound, "performances/every_file_is_a_performance_or_a_rejection") == [
        {"dataset": "a", "path": "lost.mid", "performance_id": None, "problem": "neither performance nor rejection"}
    ]


def test_a_file_that_is_both_performance_and_rejection_is_named(sound):
    sound.execute("insert into rejections by name select 'b' as dataset, 'one.mid' as path")
    assert violations(sound, "performances/every_file_is_a_performance_or_a_rejection") == [
        {"dataset": "b", "path": "one.mid", "performance_id": "p3", "problem": "both performance and rejection"}
    ]


def test_a_rejection_and_a_performance_of_files_never_seen_are_named(sound):
    sound.execute("delete from files where path in ('broken.mid', 'two.mid')")
    assert violations(sound, "performances/every_file_is_a_performance_or_a_rejection") == [
        {"dataset": "a", "path": "broken.mid", "performance_id": None, "problem": "rejection of a file never seen"},
        {"dataset": "a", "path": None, "performance_id": "p2", "problem": "performance of a file never seen"},
    ]


def test_a_file_without_a_source_with_two_and_a_source_without_a_file_are_named(sound):
    sound.execute("""
        delete from sources where path = 'broken.mid';
        insert into sources by name select 'a' as dataset, 'two.mid' as path;
        insert into sources by name select 'b' as dataset, 'ghost.mid' as path;
    """)
    assert violations(sound, "performances/every_file_has_one_source") == [
        {"dataset": "a", "path": "broken.mid", "num_sources": 0, "is_file": True},
        {"dataset": "a", "path": "two.mid", "num_sources": 2, "is_file": True},
        {"dataset": "b", "path": "ghost.mid", "num_sources": 1, "is_file": False},
    ]


@pytest.mark.parametrize("change", ["licence = null", "licence = ' '", "non_commercial = null"])
def test_a_dataset_whose_licence_is_not_recorded_is_named(sound, change):
    sound.execute(f"update sources set {change} where dataset = 'a'")
    assert violations(sound, "performances/every_performance_has_a_licence") == [
        {"dataset": "a", "num_performances": 2}
    ]


def test_more_notes_than_note_ons_are_named_of_midi_files_alone(sound):
    sound.execute("update message_counts set num_messages = 2 where performance_id = 'p1' and kind = 'note_on'")
    sound.execute("delete from message_counts where performance_id = 'p2' and kind = 'note_on'")
    found = violations(sound, "performances/messages_cover_the_notes")
    assert [(row["performance_id"], row["num_note_ons"]) for row in found] == [("p1", 2), ("p2", 0)]


def test_an_id_of_two_performances_is_named_with_their_datasets(sound):
    sound.execute("insert into performances by name select 'p1' as performance_id, 'b' as dataset")
    assert violations(sound, "performances/performance_ids_are_unique") == [
        {"performance_id": "p1", "num_performances": 2, "datasets": ["a", "b"]}
    ]


def test_notes_of_no_performance_are_counted(sound):
    sound.execute("delete from performances where performance_id = 'p1'")
    assert violations(sound, "performances/notes_belong_to_a_performance") == [{"performance_id": "p1", "num_notes": 3}]


@pytest.mark.parametrize("column, value", [("pitch", 128), ("velocity", 0), ("velocity", 128), ("velocity", None)])
def test_a_pitch_or_velocity_that_midi_does_not_have_is_named(sound, column, value):
    sound.execute(f"update notes set {column} = ? where performance_id = 'p2'", [value])
    (found,) = violations(sound, "performances/pitches_and_velocities_are_in_range")
    assert (found["performance_id"], found[column], found["num_notes"]) == ("p2", value, 1)


@pytest.mark.parametrize(
    "change",
    [
        "offset_sec = -0.1",
        "onset_sec = 1.5",
        "held_sec = -0.5",
        "onset_tick = -1",
        "duration_tick = -1",
        "onset_sec = 'nan'",
        "held_sec = 'infinity'",
        "offset_sec = 'infinity'",
        "offset_sec = null",
    ],
)
def test_a_note_that_runs_backwards_or_nowhere_is_named(sound, change):
    sound.execute(f"update notes set {change} where performance_id = 'p2'")
    (found,) = violations(sound, "performances/notes_do_not_run_backwards")
    assert (found["performance_id"], found["pitch"]) == ("p2", 60)


@pytest.mark.parametrize("condition", ["is_drum", "pitch = 0"])
def test_a_lost_note_shows_in_the_counts(sound, condition):
    sound.execute(f"delete from notes where performance_id = 'p1' and {condition}")
    (found,) = violations(sound, "performances/note_counts_match")
    assert found["performance_id"] == "p1"
    assert found["num_notes_found"] + found["num_drum_notes_found"] == 2


def test_a_performance_whose_notes_are_all_lost_shows_in_the_counts(sound):
    sound.execute("delete from notes where performance_id = 'p3'")
    assert violations(sound, "performances/note_counts_match") == [
        {
            "performance_id": "p3",
            "dataset": "b",
            "num_notes": 1,
            "num_notes_found": 0,
            "num_drum_notes": 0,
            "num_drum_notes_found": 0,
        }
    ]


def test_a_performance_in_no_cluster_in_two_or_of_no_file_is_named(sound):
    sound.execute("""
        delete from clusters where performance_id = 'p1';
        insert into clusters by name select * from (values ('p2', 'c3'), ('ghost', 'c4'))
            as v (performance_id, cluster_id);
    """)
    found = violations(sound, "clusters/every_performance_has_one_cluster")
    assert [(row["performance_id"], row["num_clusters"], row["is_performance"]) for row in found] == [
        ("ghost", 1, False),
        ("p1", 0, True),
        ("p2", 2, True),
    ]


def test_a_group_that_spans_splits_is_named_with_its_splits(sound):
    sound.execute("update splits set split = 'test' where performance_id = 'p2'")
    assert violations(sound, "splits/no_group_spans_splits") == [{"split_group": "c1", "splits": ["test", "train"]}]


@pytest.mark.parametrize("change", ["split = 'none'", "split = 'test', split_group = null"])
def test_what_is_left_out_or_pinned_spans_nothing(sound, change):
    sound.execute(f"update splits set {change} where performance_id = 'p2'")
    assert violations(sound, "splits/no_group_spans_splits") == []


@pytest.mark.parametrize("representatives, found", [("true", 2), ("false", 0), ("null", 0)])
def test_a_cluster_without_one_representative_is_named(sound, representatives, found):
    sound.execute(f"update clusters set is_representative = {representatives} where cluster_id = 'c1'")
    assert violations(sound, "clusters/every_cluster_has_one_representative") == [
        {"cluster_id": "c1", "num_representatives": found}
    ]


def test_what_is_left_out_without_a_word_is_named(sound):
    sound.execute("update splits set split = 'none', reason = 'twin' where performance_id = 'p2'")
    check = "splits/what_is_left_out_has_a_reason"
    earlier = (
        "insert into split_moves by name select 'p2' as performance_id, 'earlier' as compared_with, 'none' as to_split"
    )
    sound.execute(earlier)
    assert violations(sound, check) == [{"performance_id": "p2", "dataset": "a", "split": "none", "reason": "twin"}]
    sound.execute(earlier.replace("earlier", "published"))
    assert violations(sound, check) == []


def test_music_that_slipped_into_a_published_set_is_named(sound):
    check = "splits/published_sets_take_in_nothing"
    sound.execute("update splits set split = 'test', reason = 'group' where performance_id = 'p2'")
    # Dataset a publishes nothing yet, so nothing can slip in.
    assert violations(sound, check) == []
    sound.execute("update sources set published_split = 'train' where path = 'one.mid'")
    sound.execute("update splits set reason = 'published' where performance_id = 'p1'")
    assert [(row["performance_id"], row["path"], row["published_split"]) for row in violations(sound, check)] == [
        ("p2", "two.mid", None)
    ]
    sound.execute("update splits set reason = 'dataset' where performance_id = 'p2'")
    assert violations(sound, check) == []


def test_a_performance_in_no_split_in_two_or_of_no_file_is_named(sound):
    sound.execute("""
        delete from splits where performance_id = 'p1';
        insert into splits by name select * from (values ('p2', 'train'), ('ghost', 'test'))
            as v (performance_id, split);
    """)
    found = violations(sound, "splits/every_performance_has_one_split")
    assert [(row["performance_id"], row["num_splits"], row["is_performance"]) for row in found] == [
        ("ghost", 1, False),
        ("p1", 0, True),
        ("p2", 2, True),
    ]


@pytest.mark.parametrize("split", ["dev", "Train", "", None])
def test_a_split_of_another_name_is_named(sound, split):
    sound.execute("update splits set split = ? where performance_id = 'p3'", [split])
    assert violations(sound, "splits/split_names_are_known") == [{"split": split, "num_performances": 1}]


@pytest.mark.parametrize(
    "change, out_of_range",
    [
        ("evaluations set nats = 0.0", ["bits_per_note", "bits_per_second", "nll", "perplexity"]),
        ("evaluations set nats = 'nan'", ["bits_per_note", "bits_per_second", "nll", "perplexity"]),
        ("evaluations set nats = 48.0", ["bits_per_note"]),
        ("evaluations set nats = 30000.0", ["bits_per_note", "bits_per_second", "nll", "perplexity"]),
        ("evaluations set num_notes = 0", ["bits_per_note", "num_test_notes"]),
        ("evaluations set duration_sec = 0", ["bits_per_second"]),
        ("runs set num_parameters = 0", ["num_parameters"]),
        ("runs set steps = null", ["steps"]),
        ("runs set train_sec = 'infinity'", ["train_sec"]),
        ("runs set peak_memory_mb = 0", ["peak_memory_mb"]),
    ],
)
def test_a_run_with_a_number_out_of_range_is_named_with_that_number(sound, change, out_of_range):
    sound.execute(f"update {change}")
    (found,) = violations(sound, "leaderboard/metrics_are_in_a_sane_range")
    assert (found["run_id"], found["out_of_range"]) == ("r1", out_of_range)


@pytest.mark.parametrize("change", ["certificate = null", "certificate = ''", "split_version = null"])
def test_a_row_of_the_leaderboard_without_a_certificate_is_named(sound, change):
    sound.execute(f"update runs set {change}")
    (found,) = violations(sound, "leaderboard/every_row_has_a_certificate")
    assert found["run_id"] == "r1"


def test_a_performance_that_was_not_measured_and_a_measure_of_none_are_named(sound):
    sound.execute("update performance_statistics set performance_id = 'gone' where performance_id = 'p1'")
    found = violations(sound, "statistics/every_performance_has_statistics")
    assert [(row["performance_id"], row["is_performance"], row["num_rows"]) for row in found] == [
        ("gone", False, 1),
        ("p1", True, 0),
    ]


@pytest.mark.parametrize("change", ["num_notes = 3", "duration_sec = 1.25", "num_drum_notes = null"])
def test_statistics_of_other_notes_than_the_file_has_are_named(sound, change):
    sound.execute(f"update performance_statistics set {change} where performance_id = 'p1'")
    (found,) = violations(sound, "statistics/statistics_agree_with_performances")
    assert found["performance_id"] == "p1"


@pytest.mark.parametrize(
    "change, measure",
    [
        ("silence_share = 1.5", "silence_share"),
        ("groove_consistency = -0.1", "groove_consistency"),
        ("pitch_max = 128", "pitch_max"),
        ("pitch_mean = 'nan'", "pitch_mean"),
        ("velocity_min = 0", "velocity_min"),
        ("duration_sec = 0", "duration_sec"),
        ("ioi_sec_mean = -1", "ioi_sec_mean"),
        ("pitch_mean = 59", "pitch_min <= pitch_mean <= pitch_max"),
        ("sounding_duration_sec = 0.5", "duration_sec <= sounding_duration_sec"),
    ],
)
def test_a_measure_that_its_definition_does_not_allow_is_named(sound, change, measure):
    sound.execute(f"update performance_statistics set {change} where performance_id = 'p2'")
    found = violations(sound, "statistics/statistics_are_in_a_sane_range")
    assert ("p2", measure) in [(row["performance_id"], row["measure"]) for row in found]


@pytest.mark.parametrize("measure", ["velocity", "sounding_polyphony"])
def test_a_histogram_that_lost_a_note_or_a_second_is_named(sound, measure):
    sound.execute(f"update histograms set weight = weight / 2 where measure = '{measure}' and performance_id = 'p1'")
    (found,) = violations(sound, "statistics/histograms_add_up")
    assert (found["performance_id"], found["measure"]) == ("p1", measure)


def test_a_histogram_of_no_performance_and_an_empty_bin_are_named(sound):
    sound.execute("update histograms set performance_id = 'gone' where performance_id = 'p1'")
    sound.execute("update histograms set weight = 0 where performance_id = 'p2' and measure = 'pitch'")
    found = violations(sound, "statistics/histograms_belong_to_a_performance")
    assert [(row["performance_id"], row["weight_min"]) for row in found] == [("gone", 1.0), ("p2", 0.0)]


def test_a_dataset_that_drifted_is_named_with_its_numbers(sound):
    sound.execute("""
        insert into statistics_history by name select 'a' as dataset, 'd' as definitions, * from (values
            (1, 'pitch_mean', 60.0, 2.0, 57.0, 60.0, 63.0), (2, 'pitch_mean', 62.0, 2.0, 59.0, 62.0, 65.0),
            (1, 'pitch_max', 80.0, 4.0, 72.0, 80.0, 88.0), (2, 'pitch_max', 81.0, 4.0, 72.0, 80.0, 88.0)
        ) as v (version, measure, mean, std, p05, p50, p95)
    """)
    (found,) = violations(sound, "statistics/statistics_stay_near_the_version_before")
    assert (found["measure"], found["mean_before"], found["mean"], found["shift"]) == ("pitch_mean", 60.0, 62.0, 1.0)


def test_a_dataset_whose_sums_lost_notes_is_named(sound):
    sound.execute("delete from histograms where performance_id = 'p1'")
    (found,) = violations(sound, "comparison/every_note_is_counted")
    assert (found["dataset"], found["num_notes"], found["num_notes_counted"]) == ("a", 3, 1.0)


def test_a_performance_that_a_tokenizer_did_not_encode_or_did_twice_and_one_that_is_gone_are_named(sound):
    sound.execute("""
        update round_trips set performance_id = 'gone' where performance_id = 'p1' and tokenizer = 'jsb';
        insert into round_trips by name select * from round_trips where performance_id = 'p2' and tokenizer = 'remi';
    """)
    found = violations(sound, "round_trips/every_performance_is_measured_once")
    assert [(row["tokenizer"], row["performance_id"], row["num_rows"]) for row in found] == [
        ("jsb", "gone", 1),
        ("jsb", "p1", 0),
        ("remi", "p2", 2),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "num_notes = 7",
        "num_matched = 9",
        "num_same_pitch = 9",
        "num_unencodable = 1",
        "num_unknown = 99",
        "num_tokens = -1",
        "onset_error_sec = -0.5",
        "residual_bits = -1",
    ],
)
def test_a_round_trip_whose_notes_do_not_add_up_is_named(sound, change):
    sound.execute(f"update round_trips set {change} where performance_id = 'p1' and tokenizer = 'remi'")
    (found,) = violations(sound, "round_trips/notes_add_up")
    assert (found["tokenizer"], found["performance_id"]) == ("remi", "p1")


def test_a_sample_that_was_not_judged_or_twice_and_a_judgement_of_none_are_named(sound):
    sound.execute("""
        insert into samples by name select 'quick' as experiment, 'r1' as run_id, 'two' as sample;
        insert into sample_judgements by name
            select * replace ('gone' as name) from sample_judgements where name = 'one';
        insert into sample_judgements by name select * from sample_judgements where name = 'one';
    """)
    found = violations(sound, "sample_judgements/every_sample_is_judged_once")
    assert [(row["name"], row["is_sample"], row["num_rows"]) for row in found] == [
        ("gone", False, 1),
        ("one", True, 2),
        ("two", True, 0),
    ]


@pytest.mark.parametrize(
    "change, name",
    [
        ("copied_share = 1.1", "copied_share"),
        ("cycle3_share = 0.4", "cycle3_share"),
        ("cycle2_times = 1.5", "cycle2_times"),
        ("repeated_16 = 'nan'", "repeated_16"),
        ("distinct_1 = 0", "distinct_1"),
        ("longest_copy_notes = 11", "longest_copy_notes"),
        ("longest_copy_sec = 6", "longest_copy_sec"),
        ("num_notes = -1", "num_notes or duration_sec"),
    ],
)
def test_a_judgement_that_cannot_be_is_named_with_the_number(sound, change, name):
    sound.execute(f"update sample_judgements set {change} where name = 'one'")
    (found,) = violations(sound, "sample_judgements/judgements_are_in_a_sane_range")
    assert found["name"] == "one"
    assert name in found["out_of_range"]


@pytest.mark.parametrize(
    "change",
    [
        "update sample_judgements set num_copies = 2 where name = 'one'",
        "update sample_judgements set copied_share = 0.4 where name = 'one'",
        "delete from sample_copies where name = 'one'",
        "insert into sample_copies by name select 'quick' as experiment, 'r1' as run_id, 'sample' as source, "
        "'one' as name, 2 as num_notes",
    ],
)
def test_copies_that_do_not_add_up_are_named(sound, change):
    sound.execute(change)
    (found,) = violations(sound, "sample_judgements/copies_add_up")
    assert found["name"] == "one"


def test_a_sample_that_is_copied_from_train_is_named_with_its_source(sound):
    check = "sample_judgements/samples_are_not_copied_from_train"
    # As much as held-out music has in common with train is no copying.
    sound.execute("update sample_judgements set copied_share = 0.5 where name = 'one'")
    assert violations(sound, check) == []
    sound.execute("""
        update sample_judgements set copied_share = 0.75, copied_from = 'p1', copied_from_dataset = 'a',
            copied_from_title = 'Chopin: <b>Waltz</b>' where name = 'one'
    """)
    (found,) = violations(sound, check)
    assert (found["sample"], found["performance_id"], found["title"]) == ("one", "p1", "Chopin: <b>Waltz</b>")
    assert (found["copied_share"], found["most_copied_of_held_out"]) == (0.75, 0.5)


def test_a_sample_that_goes_round_in_circles_is_named_with_its_period(sound):
    check = "sample_judgements/samples_do_not_go_round_in_circles"
    loop = "cycle2_share = 0.6, cycle3_share = 0.6, cycle3_times = 9, cycle3_period_sec = 2"
    sound.execute(f"update sample_judgements set {loop} where name = 'one'")
    (found,) = violations(sound, check)
    assert (found["sample"], found["cycle_share"], found["period_sec"], found["times"]) == ("one", 0.6, 2.0, 9.0)
    sound.execute("update sample_judgements set cycle3_share = 0.7 where source = 'test'")
    assert violations(sound, check) == []


def test_rows_of_no_performance_are_named_with_their_table(sound):
    sound.execute("insert into tempos by name select 'gone' as performance_id, 120.0 as tempo_qpm, 0.0 as time_sec")
    sound.execute("insert into controls select 'gone', 0, 0, 0, 0.0, 64, 127")
    found = violations(sound, "performances/rows_belong_to_a_performance")
    assert [(row["found_in"], row["performance_id"], row["num_rows"]) for row in found] == [
        ("controls", "gone", 1),
        ("tempos", "gone", 1),
    ]


@pytest.mark.parametrize(
    "change, found_in",
    [
        ("update performances set duration_sec = 0 where performance_id = 'p1'", "performances"),
        ("insert into pedal_presses select 'p1', 0, 0, 'sustain', 2.0, 1.0", "pedal_presses"),
        ("insert into tempos select 'p1', 0, 0.0, 0.0", "tempos"),
        ("insert into time_signatures select 'p1', 0, 0.0, 0, 4", "time_signatures"),
    ],
)
def test_what_takes_no_time_or_less_is_named(sound, change, found_in):
    sound.execute(change)
    (found,) = violations(sound, "performances/times_are_positive")
    assert (found["found_in"], found["performance_id"]) == (found_in, "p1")


def test_a_check_that_is_not_one_query_is_refused(sound):
    with pytest.raises(QueryError, match="found 2 statements"):
        run_check(sound, "select 1; select 2")
    with pytest.raises(QueryError, match="found DELETE"):
        run_check(sound, "delete from notes")
    with pytest.raises(QueryError, match="nowhere does not exist"):
        run_check(sound, "from nowhere")
