"""Every measure and histogram beside the reference, which says their definitions once more; and what never changes."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from blocks import Music, Note, block, lake_block
from hypothesis import given, settings
from hypothesis import strategies as st
from statistics_reference import differences, measured_again, rows_and_histograms, weight_differences

from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.statistics.measures import measure

# Few pitches and short times, so that notes meet; and the ends of the keyboard.
PITCH = st.one_of(st.integers(58, 66), st.sampled_from([0, 21, 36, 84, 108, 127]))
SPAN = st.one_of(st.integers(0, 12), st.integers(0, 3000))
SEC = st.integers(0, 8 * 2**20).map(lambda steps: steps / 2**20)


@st.composite
def notes(draw) -> Note:
    return Note(
        onset=draw(SPAN),
        pitch=draw(PITCH),
        duration=draw(SPAN),
        velocity=draw(st.sampled_from([1, 64, 64, 80, 127])),
        track=draw(st.integers(0, 2)),
        program=draw(st.sampled_from([0, 0, 33])),
        is_drum=draw(st.sampled_from([False, False, False, True])),
        held_sec=draw(st.one_of(st.just(0.0), SEC)),
    )


@st.composite
def phrases(draw) -> list[Note]:
    """Something that comes again: a few notes, one after the other, several times."""
    pitches = draw(st.lists(PITCH, min_size=1, max_size=4))
    step, times = draw(st.sampled_from([1, 4, 12, 480])), draw(st.integers(1, 6))
    higher = draw(st.integers(0, 2))
    return [
        Note(step * (k * len(pitches) + n), min(pitch + k * higher, 127), step)
        for k in range(times)
        for n, pitch in enumerate(pitches)
    ]


@st.composite
def pieces(draw) -> Music:
    every = draw(st.lists(notes(), max_size=20)) + draw(st.one_of(st.just([]), phrases()))
    later = st.integers(0, 4000)
    return Music(
        notes=tuple(every or [draw(notes())]),
        ticks_per_quarter=draw(st.sampled_from([1, 4, 5, 24, 96, 97, 480, 1024])),
        # At 1 microsecond a quarter several ticks are one time.
        tempos=tuple(
            draw(st.lists(st.tuples(later, st.one_of(st.integers(100_000, 3_000_000), st.just(1))), max_size=4))
        ),
        presses=tuple(
            (pedal, min(a, b), max(a, b))
            for pedal, a, b in draw(
                st.lists(st.tuples(st.sampled_from(["sustain", "sustain", "sostenuto", "soft"]), SEC, SEC), max_size=6)
            )
        ),
        controls=tuple(draw(st.lists(later, max_size=3))),
        metres=tuple(
            draw(st.lists(st.tuples(later, st.integers(1, 7), st.sampled_from([1, 2, 4, 8, 16])), max_size=4))
        ),
        keys=tuple(
            draw(st.lists(st.tuples(later, st.integers(-7, 7), st.sampled_from(["major", "minor"])), max_size=4))
        ),
    )


def check(tables: dict[str, pa.Table]) -> None:
    rows, histograms = rows_and_histograms(measure(tables))
    rows_again, histograms_again = measured_again(tables)
    assert rows.keys() == rows_again.keys()
    for name in rows:
        assert differences(rows[name], rows_again[name]) == {}
        assert weight_differences(histograms[name], histograms_again[name]) == {}


@settings(max_examples=40, deadline=None)
@given(st.lists(pieces(), min_size=1, max_size=3))
def test_every_measure_is_the_one_that_its_definition_gives(music):
    check(block(*music))


def without_name(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "performance_id"}


def measured(*music: Music) -> list[tuple[dict, dict]]:
    rows, histograms = rows_and_histograms(measure(block(*music)))
    return [(without_name(rows[name]), histograms[name]) for name in rows]


@settings(max_examples=40, deadline=None)
@given(st.lists(pieces(), min_size=2, max_size=4))
def test_a_performance_is_measured_alike_alone_and_among_others_in_whatever_order(music):
    together = measured(*music)
    assert together == measured(*reversed(music))[::-1]
    assert together == [measured(piece)[0] for piece in music]


@settings(max_examples=40, deadline=None)
@given(pieces())
def test_histograms_add_up_to_the_notes_or_to_the_time(music):
    ((row, histograms),) = measured(music)
    assert {name for name, weights in histograms.items() if min(weights.values(), default=1) <= 0} == set()
    for name, weights in histograms.items():
        total = sum(weights.values())
        if HISTOGRAMS[name].counts == "notes":
            assert total == row["num_notes"]
        elif HISTOGRAMS[name].counts == "seconds":
            duration = row["sounding_duration_sec" if name.startswith("sounding") else "duration_sec"]
            assert total == pytest.approx(duration, abs=1e-9)
    assert row["sounding_duration_sec"] >= row["duration_sec"]


PITCH_MEASURES = {
    "pitch_min", "pitch_max", "pitch_mean", "key_tonic", "key", "key_mode", "key_correlation", "key_margin",
}  # fmt: skip
PITCH_HISTOGRAMS = {"pitch", "pitch_class"}


@settings(max_examples=40, deadline=None)
@given(pieces(), st.integers(1, 11))
def test_transposing_moves_pitches_and_the_key_and_nothing_else(music, semitones):
    music = replace(music, notes=tuple(replace(note, pitch=min(note.pitch, 116)) for note in music.notes))
    ((row, histograms),), ((moved, moved_histograms),) = measured(music), measured(music.transposed(semitones))
    for name in row.keys() - PITCH_MEASURES:
        assert moved[name] == pytest.approx(row[name], abs=1e-9), name
    for name in HISTOGRAMS.keys() - PITCH_HISTOGRAMS:
        assert moved_histograms[name] == histograms[name], name
    assert moved_histograms["pitch"] == {pitch + semitones: n for pitch, n in histograms["pitch"].items()}
    assert moved_histograms["pitch_class"] == {(p + semitones) % 12: n for p, n in histograms["pitch_class"].items()}
    if (row["key_margin"] or 0) > 1e-9:
        assert moved["key_tonic"] == (row["key_tonic"] + semitones) % 12
        assert moved["key_mode"] == row["key_mode"]


@settings(max_examples=40, deadline=None)
@given(pieces(), st.integers(2, 4))
def test_a_finer_resolution_changes_nothing_but_what_counts_ticks(music, times):
    # Bars that are whole ticks.
    music = replace(music, metres=tuple(metre for metre in music.metres if metre[2] <= 4))
    ((row, histograms),), ((finer, finer_histograms),) = measured(music), measured(music.finer(times))
    # Of the places within a bar only those of the coarse ticks have onsets.
    difference = None if row["groove_consistency"] is None else 1 - row["groove_consistency"]
    assert finer["groove_consistency"] == (None if difference is None else pytest.approx(1 - difference / times))
    for name in row.keys() - {"groove_consistency"}:
        assert finer[name] == pytest.approx(row[name], abs=1e-6), name
    assert finer_histograms.keys() == histograms.keys()
    for name in ("pitch", "velocity", "duration_quarters", "onset_position", "melodic_interval"):
        assert finer_histograms[name] == histograms[name], name


@settings(max_examples=40, deadline=None)
@given(pieces(), st.integers(2, 9))
def test_velocities_change_nothing_but_what_is_said_of_velocities(music, louder):
    changed = replace(music, notes=tuple(replace(note, velocity=1 + note.velocity // louder) for note in music.notes))
    ((row, histograms),), ((other, other_histograms),) = measured(music), measured(changed)
    assert {name for name in row if row[name] != other[name]} <= {name for name in row if "velocit" in name}
    assert {name for name in histograms if histograms[name] != other_histograms[name]} <= {"velocity"}


# Real files


@pytest.fixture(scope="module")
def real_blocks(real_data, tmp_path_factory) -> list[dict[str, pa.Table]]:
    """A few dozen real files, ingested."""
    root = tmp_path_factory.mktemp("real")
    music = root / "music"
    music.mkdir()
    files = sorted(path for path in real_data.rglob("*") if path.suffix in (".mid", ".midi"))
    for number, path in enumerate(files[7::40]):
        (music / f"{number:03d}{path.suffix}").write_bytes(path.read_bytes())
    lake = Lake(root / "lake")
    settings = replace(load_settings(), workers=1, backend="threading")
    manifest = ingest_dataset(lake, Dataset(name="real", title="Real", folder=music), settings)
    return [lake_block(lake, key) for key in manifest.blocks]


def test_every_measure_of_real_files_is_the_one_that_its_definition_gives(real_blocks):
    num = 0
    for tables in real_blocks:
        measured_rows, histograms = rows_and_histograms(measure(tables))
        performances = tables["performances"]
        short = performances.filter(pc.less(performances["num_notes"], 2500))["performance_id"]
        chosen = {
            name: table.filter(pc.is_in(table["performance_id"], short.combine_chunks()))
            for name, table in tables.items()
        }
        rows_again, histograms_again = measured_again(chosen)
        for name in rows_again:
            assert differences(measured_rows[name], rows_again[name]) == {}
            assert weight_differences(histograms[name], histograms_again[name]) == {}
        num += len(rows_again)
    assert num >= 15


def test_measures_of_real_files_are_within_their_bounds(real_blocks):
    for tables in real_blocks:
        for row in measure(tables)["performance_statistics"].to_pylist():
            for name, value in row.items():
                if value is not None and (name.endswith(("_share", "_rate")) or name == "scale_consistency"):
                    assert 0 <= value <= 1, name
            assert row["pitch_min"] <= row["pitch_mean"] <= row["pitch_max"]
            assert row["velocity_min"] <= row["velocity_mean"] <= row["velocity_max"]
            assert 1 <= row["polyphony_mean"] <= row["polyphony_max"]
            assert row["polyphony_max"] <= row["sounding_polyphony_max"]
            assert row["note_duration_sec_mean"] <= row["sounding_note_duration_sec_mean"]
            assert row["sounding_silence_share"] <= row["silence_share"] + 1e-9 or row["num_drum_notes"]
            assert row["tempo_qpm_min"] <= row["tempo_qpm_mean"] * (1 + 1e-6)
            assert row["tempo_qpm_mean"] <= row["tempo_qpm_max"] * (1 + 1e-6)
