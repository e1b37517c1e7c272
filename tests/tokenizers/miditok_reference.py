"""What MidiTok makes of music and of ids, with the options of a scheme whose ids are its own."""

from typing import Any

from miditok import TokSequence

from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.miditok_scheme import MidiTokScheme, score_of
from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer


def reference_of(coder: TimelineTokenizer) -> Any:
    """MidiTok's tokenizer with the same options."""
    return MidiTokScheme(scheme=coder.in_miditok, config=coder.config.in_miditok).miditok


def reference_ids(reference: Any, columns: NoteColumns) -> list[int]:
    """Ids that MidiTok gives to the music."""
    sequences = reference.encode(score_of(columns, parts=reference.config.use_programs))
    sequences = sequences if isinstance(sequences, list) else [sequences]
    return sequences[0].ids if sequences else []


def reference_music(reference: Any, ids: list[int]) -> dict[str, list]:
    """What MidiTok makes of ids: notes by onset, pitch, duration and program, presses, tempos and metres, no drums."""
    # Of a list that is empty it does not see that it is one stream.
    score = reference.decode(TokSequence(ids=ids) if reference.one_token_stream else [ids])
    tracks = [track for track in score.tracks if not track.is_drum]
    notes = [(n.time, n.pitch, n.duration, track.program, n.velocity) for track in tracks for n in track.notes]
    return {
        "notes": [(*note[:3], note[4], note[3]) for note in sorted(notes, key=lambda note: note[:4])],
        "presses": [(p.time, p.time + p.duration) for track in tracks for p in track.pedals],
        "tempos": [(t.time, round(t.mspq, -1)) for t in score.tempos],
        "metres": [(t.time, t.numerator, t.denominator) for t in score.time_signatures],
        "quarter": [score.ticks_per_quarter],
    }
