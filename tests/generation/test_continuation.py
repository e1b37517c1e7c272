import pyarrow as pa
import pytest
from builders import TPQ, notes, scale
from symusic import Score

from pianogen.errors import RejectedFileError, TrainingError
from pianogen.generation.beams import BeamConfig, mean_distance
from pianogen.generation.continuation import cut_prompt, generate, search
from pianogen.lake import Lake
from pianogen.midi.render import midi_bytes
from pianogen.tables import SCHEMAS
from pianogen.training.experiment import GenerationConfig
from pianogen.training.runs import run_folder


def tempo_table(*rows: tuple[int, float, float]) -> pa.Table:
    names = ("tick", "time_sec", "tempo_qpm")
    schema = pa.schema([SCHEMAS["tempos"].field(name) for name in names])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)


def note_table(columns) -> pa.Table:
    names = ("pitch", "velocity", "onset_tick", "duration_tick")
    table = pa.table({name: getattr(columns, name) for name in names})
    return table.append_column("is_drum", pa.array([False] * len(columns)))


def test_a_prompt_is_the_notes_that_begin_in_its_seconds_at_the_tempo_they_are_played():
    # 60 quarters a minute for two quarters, then 120: five seconds hold 2 + 6 quarters.
    tempos = tempo_table((0, 0.0, 60.0), (2 * TPQ, 2.0, 120.0))
    columns = notes(*[(i, 60, 1) for i in range(20)])
    prompt = cut_prompt(note_table(columns), tempos, TPQ, prompt_sec=5.0)
    assert prompt.notes.onset_tick.tolist() == [i * TPQ for i in range(8)]
    # Rendered at its first tempo, it is 8 quarters of one second.
    assert (prompt.tempo_qpm, prompt.end_sec) == (60.0, 8.0)


def test_a_prompt_longer_than_its_piece_ends_with_the_piece():
    prompt = cut_prompt(note_table(notes((0, 60, 1), (1, 62, 1))), tempo_table((0, 0.0, 120.0)), TPQ, prompt_sec=99.0)
    assert (len(prompt.notes), prompt.end_sec) == (2, 1.0)


@pytest.fixture
def run(trained):
    settings, config = trained
    return run_folder(Lake(settings.lake), settings.runs, config)


def test_a_users_file_is_continued_as_midi_with_its_own_notes_in_it(run, tmp_path):
    mine, out = tmp_path / "mine.mid", tmp_path / "new" / "next.mid"
    mine.write_bytes(midi_bytes(scale(60, 16), tempo_qpm=90.0))
    sample = generate(run, mine, out, GenerationConfig(max_tokens=80, seed=3))
    score = Score(out)
    assert out.read_bytes() == sample.midi
    assert score.tempos[0].qpm == pytest.approx(90.0, rel=1e-4)
    assert score.note_num() == sample.num_notes > 16
    found = {(note.start / score.ticks_per_quarter, note.pitch) for note in score.tracks[0].notes}
    given = scale(60, 16)
    assert found > {(onset / TPQ, pitch) for onset, pitch in zip(given.onset_tick, given.pitch, strict=True)}
    assert sample.prompt_sec == pytest.approx(8 * 60 / 90)
    assert sample.duration_sec >= sample.prompt_sec
    again = generate(run, mine, tmp_path / "again.mid", GenerationConfig(max_tokens=80, seed=3))
    assert again.midi == sample.midi


def test_a_search_writes_the_best_continuation_and_the_others_beside_it(run, tmp_path):
    mine, out = tmp_path / "mine.mid", tmp_path / "new" / "next.mid"
    mine.write_bytes(midi_bytes(scale(60, 16), tempo_qpm=90.0))
    beams = BeamConfig(num_beams=4, num_groups=2, diversity=3.0)
    found = search(run, mine, out, beams, max_tokens=40, prompt_sec=4.0)
    assert [one.path.name for one in found] == ["next.mid", "next.2.mid", "next.3.mid", "next.4.mid"]
    assert sorted(path.name for path in out.parent.iterdir()) == sorted(one.path.name for one in found)
    scores = [one.hypothesis.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert one.path.read_bytes() == one.sample.midi
        assert Score(one.path).note_num() == one.sample.num_notes >= 12
        assert one.sample.prompt_sec == 4.0
        assert len(one.hypothesis.continuation) <= 40
    assert mean_distance([one.hypothesis.continuation for one in found]) > 0


def test_only_the_beginning_of_a_users_file_is_taken_when_asked(run, tmp_path):
    mine = tmp_path / "mine.mid"
    mine.write_bytes(midi_bytes(scale(60, 64)))
    sample = generate(run, mine, tmp_path / "next.mid", GenerationConfig(max_tokens=1), prompt_sec=2.0)
    assert sample.prompt_sec == 2.0
    assert 8 <= sample.num_notes <= 9


def test_a_prompt_without_a_known_note_is_refused(run, tmp_path):
    mine = tmp_path / "mine.mid"
    mine.write_bytes(midi_bytes(notes((0, 2, 1))))
    with pytest.raises(RejectedFileError, match="no_notes"):
        generate(run, mine, tmp_path / "next.mid", GenerationConfig())
    mine.write_bytes(b"not music")
    with pytest.raises(RejectedFileError, match="not_midi"):
        generate(run, mine, tmp_path / "next.mid", GenerationConfig())


def test_generating_with_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no finished training"):
        generate(tmp_path, None, tmp_path / "next.mid", GenerationConfig())


def test_a_piece_that_ends_before_its_first_note_is_still_a_valid_file(run, tmp_path):
    # One token can't make a note: a bar line comes first.
    sample = generate(run, None, tmp_path / "short.mid", GenerationConfig(max_tokens=1))
    assert (sample.num_notes, sample.duration_sec, sample.prompt_sec) == (0, 0, 0)
    assert Score(tmp_path / "short.mid").note_num() == 0
