"""Counts, distributions, keys and metrics beside pretty_midi's, music21's and MusPy's, where they define the same."""

import random
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pretty_midi
import pytest
from blocks import Music, Note, parsed_block, row_of
from statistics_reference import Row, Weights, rows_and_histograms

from benchmarks.agreement import compare, midi_files
from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi
from pianogen.midi.time import SEC_STEPS
from pianogen.statistics import tonality
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.statistics.measures import measure


def measured(data: bytes) -> tuple[Row, Weights]:
    rows, histograms = rows_and_histograms(measure(parsed_block(data)))
    return next(iter(rows.values())), next(iter(histograms.values()))


def steps(seconds: list[float]) -> np.ndarray:
    """Seconds as the lake keeps them."""
    return np.rint(np.array(seconds) * SEC_STEPS) / SEC_STEPS


def test_counts_and_distributions_of_real_files_are_those_of_pretty_midi(real_data):
    num_files = num_notes = 0
    for path in midi_files(real_data)[5::100]:
        data = path.read_bytes()
        if compare(data).reason != "agrees":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pretty_midi.PrettyMIDI(str(path))
        row, weights = measured(data)
        notes = [n for instrument in theirs.instruments if not instrument.is_drum for n in instrument.notes]
        drums = [n for instrument in theirs.instruments if instrument.is_drum for n in instrument.notes]
        held = steps([n.end for n in notes]) - steps([n.start for n in notes])
        bins = np.searchsorted(HISTOGRAMS["duration_sec"].low, held, side="right") - 1
        classes = theirs.get_pitch_class_histogram(normalize=False)
        assert (row["num_notes"], row["num_drum_notes"]) == (len(notes), len(drums)), path
        assert weights["pitch"] == Counter(n.pitch for n in notes), path
        assert weights["pitch_class"] == {k: n for k, n in enumerate(classes) if n}, path
        assert weights["velocity"] == Counter(n.velocity for n in notes), path
        assert weights["duration_sec"] == Counter(np.maximum(bins, 0).tolist()), path
        assert row["duration_sec"] == pytest.approx(max(n.end for n in (*notes, *drums)), abs=2e-6), path
        num_files += 1
        num_notes += len(notes)
    assert num_files >= 5
    assert num_notes > 10_000


def test_the_key_is_the_one_that_music21_finds_with_the_same_profiles():
    import music21
    from music21.analysis.discrete import KrumhanslKessler

    analysis = KrumhanslKessler()
    assert tuple(analysis.getWeights("major")) == tonality.MAJOR
    assert tuple(analysis.getWeights("minor")) == tonality.MINOR
    rng = random.Random(1)
    for _ in range(20):
        scale = [
            (rng.randrange(12) + step) % 12 for step in rng.choice([(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)])
        ]
        notes = [Note(480 * k, 60 + rng.choice(scale), 120 * rng.randint(1, 8)) for k in range(40)]
        stream = music21.stream.Stream()
        for note in notes:
            stream.insert(note.onset / 480, music21.note.Note(note.pitch, quarterLength=note.duration / 480))
        theirs = analysis.getSolution(stream)
        ours = row_of(Music(tuple(notes)))
        assert (ours["key_tonic"], ours["key_mode"]) == (theirs.tonic.pitchClass, theirs.mode)
        assert ours["key_correlation"] == pytest.approx(theirs.correlationCoefficient, abs=1e-9)


def test_metrics_of_real_files_are_those_of_muspy(real_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("muspy", reason="MusPy is not installed: it comes with `make bench`")
        from benchmarks.statistics_agreement import METRICS, Ours
        from benchmarks.statistics_agreement import compare as compare_metrics
    num_files = 0
    # The shortest ones: MusPy takes seconds over a long file.
    for path in sorted(midi_files(real_data)[3::20], key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        try:
            parse_midi(data)
        except RejectedFileError:
            continue
        row, weights = measured(data)
        _, of_file, of_notes = compare_metrics(Ours(path, row, weights)).comparisons
        assert of_notes.equal == list(METRICS), (path, of_notes.reasons)
        assert "unexplained" not in of_file.reasons.values(), (path, of_file.reasons)
        num_files += not of_file.reasons and not of_file.not_compared
        if num_files == 10:
            break
    assert num_files == 10


def test_muspys_length_of_a_song_counts_control_changes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        muspy = pytest.importorskip("muspy", reason="MusPy is not installed: it comes with `make bench`")
        from benchmarks.statistics_agreement import METRICS, WITH_BARS, music_of
    piece = Music((Note(0, 60, 480), Note(480, 64, 480), Note(960, 36, 1000, is_drum=True)), controls=(480 * 9,))
    notes = [(n.onset, n.duration, n.pitch, n.velocity, n.is_drum) for n in piece.notes]
    music = music_of(notes, piece.controls, 480)
    assert muspy.empty_beat_rate(music) == pytest.approx(5 / 10)
    for music_piece in (piece, replace(piece, controls=())):
        music = music_of(notes, music_piece.controls, 480)
        row = row_of(music_piece)
        for name, metric in METRICS.items():
            value = metric(music, 1920) if name in WITH_BARS else metric(music)
            assert row[name] == pytest.approx(value, abs=1e-9), name
