"""The view of round trips: its numbers are those that numpy has of the same rows."""

import numpy as np
import pyarrow as pa
import pytest

from pianogen.tables import SCHEMAS

SUMS = ("num_notes", "num_decoded", "num_matched", "num_same_pitch", "num_unencodable", "num_tokens", "num_unknown")
ERRORS = ("onset_error_sec", "onset_shift_sec", "duration_error_sec", "velocity_error")
SPLITS = ("train", "validation", "test", "none", None)


@pytest.fixture
def rows(database) -> list[dict]:
    """Round trips of two tokenizers, one of which says nothing of velocity, over two datasets in every split."""
    rng = np.random.default_rng(7)
    found = []
    for i in range(60):
        performance, dataset, split = f"p{i}", "ab"[i % 2], SPLITS[i % len(SPLITS)]
        database.execute(
            "insert into performances by name select ? as performance_id, ? as dataset", [performance, dataset]
        )
        if split:
            database.execute("insert into splits by name select ? as performance_id, ? as split", [performance, split])
        for tokenizer in ("remi", "jsb"):
            counts = {name: int(rng.integers(0, 50)) for name in SUMS}
            errors = {name: float(rng.normal()) for name in ERRORS}
            if tokenizer == "jsb":
                errors["velocity_error"] = None
            found.append({"tokenizer": tokenizer, "performance_id": performance, **counts, **errors})
            found[-1] |= {"dataset": dataset, "split": split}
    table = pa.Table.from_pylist(found, SCHEMAS["round_trips"])
    database.register("rows_to_copy", table)
    database.execute("insert into round_trips select * from rows_to_copy")
    database.unregister("rows_to_copy")
    return found


def test_every_number_is_the_one_of_the_rows(database, rows):
    shown = database.sql("select * from tokenizer_round_trips").to_arrow_table().to_pylist()
    assert len(shown) == 2 * 2 * 4 == len({(row["tokenizer"], row["dataset"], row["split"]) for row in shown})
    for row in shown:
        own = [
            r
            for r in rows
            if (r["tokenizer"], r["dataset"]) == (row["tokenizer"], row["dataset"])
            and row["split"] in ("all", r["split"])
        ]
        total = {name: np.sum([r[name] for r in own]) for name in SUMS}
        assert row["num_performances"] == len(own) == (30 if row["split"] == "all" else 6)
        assert all(row[name] == total[name] for name in ("num_notes", "num_decoded", "num_tokens", "num_unencodable"))
        notes, decoded, matched = total["num_notes"], total["num_decoded"], total["num_matched"]
        precision, recall = matched / decoded, matched / notes
        assert row["precision"] == pytest.approx(precision)
        assert row["recall"] == pytest.approx(recall)
        assert row["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
        assert row["pitch_f1"] == pytest.approx(2 * total["num_same_pitch"] / (notes + decoded))
        assert row["tokens_per_note"] == pytest.approx(total["num_tokens"] / notes)
        assert row["unknown_token_rate"] == pytest.approx(total["num_unknown"] / total["num_tokens"])
        for name, error, scale in (
            ("onset_error_ms", "onset_error_sec", 1000),
            ("onset_shift_ms", "onset_shift_sec", 1000),
            ("duration_error_ms", "duration_error_sec", 1000),
            ("velocity_error", "velocity_error", 1),
        ):
            if row["tokenizer"] == "jsb" and name == "velocity_error":
                assert row[name] is None
            else:
                assert row[name] == pytest.approx(scale * np.sum([r[error] for r in own]) / matched)


def test_of_music_without_notes_nothing_is_said(database):
    database.execute("""
        insert into performances by name select 'p' as performance_id, 'a' as dataset;
        insert into round_trips by name
            select 'remi' as tokenizer, 'p' as performance_id, 0 as num_notes, 0 as num_decoded, 0 as num_matched,
                0 as num_same_pitch, 0 as num_tokens, 0 as num_unknown, 0.0 as onset_error_sec;
    """)
    (row,) = database.sql("select * from tokenizer_round_trips").to_arrow_table().to_pylist()
    assert row["split"] == "all"
    figures = ("precision", "recall", "f1", "pitch_f1", "onset_error_ms", "tokens_per_note", "unknown_token_rate")
    assert [row[name] for name in figures] == [None] * len(figures)
