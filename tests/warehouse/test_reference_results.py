"""What others report, beside what was measured here."""

import math

import pytest

from pianogen.warehouse import read_reference_results

RUNS = """
    insert into reference_results by name select * from (values
        ('study-01', 'the study', 'study-01-a', 1.5, 19.2, true),
        ('study-02', 'the study', 'study-02-b', 0.5, 25.3, true),
        ('other', 'somebody', null, 0.4, null, false)
    ) as v (reference, reported_by, experiment, nll, million_parameters, is_checked);
    insert into runs by name select e as experiment, 'r' as run_id, 'gpt2' as model, 'remi' as tokenizer, 60 as steps
        from (values ('study-01-a'), ('study-01-a-reduced'), ('study-01-a-mine'), ('quick')) as v (e);
    insert into evaluations by name
        select experiment, 'r' as run_id, 'p' as performance_id, 100 as num_tokens, 10 as num_notes,
            5.0 as duration_sec, 100 * ln(2) as nats from runs;
"""


def test_a_reported_row_ranks_nowhere_and_a_run_of_it_says_which_it_is(database):
    database.execute(RUNS)
    shown = "standing, reference, experiment, is_reduced, rank, round(bits_per_note, 9), nll, num_parameters"
    rows = database.sql(f"select {shown} from leaderboard_with_references order by all").fetchall()
    nll = pytest.approx(math.log(2))
    assert rows == [
        ("measured here", "study-01", "study-01-a", False, 1, 10.0, nll, None),
        ("measured here", "study-01", "study-01-a-reduced", True, 1, 10.0, nll, None),
        ("measured here", None, "quick", False, 1, 10.0, nll, None),
        ("measured here", None, "study-01-a-mine", False, 1, 10.0, nll, None),
        ("reported by somebody", "other", None, None, None, None, 0.4, None),
        ("reported by the study", "study-01", "study-01-a", None, None, None, 1.5, 19_200_000),
        ("reported by the study", "study-02", "study-02-b", None, None, None, 0.5, 25_300_000),
    ]


def test_the_leaderboard_holds_no_reported_row(database):
    database.execute(RUNS)
    assert database.sql("select count(*) from leaderboard").fetchall() == [(4,)]


def test_every_shipped_result_has_a_name_of_its_own_a_source_and_a_loss():
    rows = read_reference_results().to_pylist()
    assert len({row["reference"] for row in rows}) == len(rows)
    assert [row["reference"] for row in rows[:16]] == [f"study-{number:02d}" for number in range(1, 17)]
    for row in rows:
        assert row["reported_by"]
        assert row["source"]
        assert row["is_checked"] is not None
        assert row["nll"] > 0
        assert row["nll_per"]
    # Of a published figure that was not read where it stands, nobody can say that it is right.
    assert {row["is_checked"] for row in rows} == {True, False}


def test_the_studys_perplexities_are_those_of_its_losses():
    for row in read_reference_results().to_pylist()[:16]:
        assert row["perplexity"] == pytest.approx(math.exp(row["nll"]), abs=4e-4), row["reference"]
