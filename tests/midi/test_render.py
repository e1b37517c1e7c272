import numpy as np
import pytest
from builders import TPQ, notes
from symusic import Score

from pianogen.midi.render import duration_sec, midi_bytes


def test_rendered_notes_come_back_the_same():
    columns = notes((0, 60, 1), (0, 64, 2), (1.5, 108, 0.25), (2, 21, 4), velocity=100)
    score = Score.from_midi(midi_bytes(columns, tempo_qpm=90.0))
    found = score.tracks[0].notes.numpy()
    order = np.lexsort((found["duration"], found["pitch"], found["time"]))
    assert score.ticks_per_quarter == TPQ
    assert score.tempos[0].qpm == pytest.approx(90.0, rel=1e-4)
    for name, expected in (
        ("pitch", columns.pitch),
        ("velocity", columns.velocity),
        ("time", columns.onset_tick),
        ("duration", columns.duration_tick),
    ):
        assert found[name][order].tolist() == expected.tolist()


def test_the_same_notes_give_the_same_bytes():
    assert midi_bytes(notes((0, 60, 1), (1, 62, 1))) == midi_bytes(notes((1, 62, 1), (0, 60, 1)))


def test_no_notes_give_a_valid_file_of_no_length():
    score = Score.from_midi(midi_bytes(notes(), tempo_qpm=60.0))
    assert score.note_num() == 0
    assert duration_sec(notes()) == 0


def test_duration_is_the_last_note_off_at_the_tempo():
    assert duration_sec(notes((0, 60, 8), (3, 62, 1)), tempo_qpm=60.0) == 8.0
