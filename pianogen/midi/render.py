"""Note columns to the bytes of a MIDI file, through symusic; the same notes give the same bytes."""

from typing import Any

from symusic import Note, Score, Tempo, Track

from pianogen.midi.columns import NoteColumns

DEFAULT_TEMPO_QPM = 120.0


def midi_bytes(notes: NoteColumns, tempo_qpm: float = DEFAULT_TEMPO_QPM) -> bytes:
    """A MIDI file of one piano track at one tempo; without notes, a valid file of a tempo alone."""
    score: Any = Score(notes.ticks_per_quarter)
    score.tempos.append(Tempo(0, tempo_qpm))
    track: Any = Track(program=0, is_drum=False, name="piano")
    track.notes = Note.from_numpy(
        time=notes.onset_tick.astype("int32"),
        duration=notes.duration_tick.astype("int32"),
        pitch=notes.pitch.astype("int8"),
        velocity=notes.velocity.astype("int8"),
        ttype="tick",
    )
    score.tracks.append(track)
    return score.dumps_midi()


def duration_sec(notes: NoteColumns, tempo_qpm: float = DEFAULT_TEMPO_QPM) -> float:
    """Seconds from the start of the file to the last note-off at one tempo; 0 without notes."""
    return notes.end_tick / notes.ticks_per_quarter * 60 / tempo_qpm
