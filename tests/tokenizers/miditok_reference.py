"""MidiTok itself, as the reference of the schemes whose ids are its own."""

from typing import Any

import miditok
import numpy as np
import symusic

from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer

CLASSES = {"remi": miditok.REMI, "tsd": miditok.TSD, "midi_like": miditok.MIDILike}


def reference_of(coder: TimelineTokenizer) -> Any:
    """MidiTok's tokenizer with the same options."""
    options = coder.config
    return CLASSES[coder.name](
        miditok.TokenizerConfig(
            pitch_range=(options.lowest_pitch, options.highest_pitch),
            use_velocities=bool(options.num_velocities),
            num_velocities=options.num_velocities or 1,
            beat_res=options.beat_res,
            special_tokens=["PAD", "BOS", "EOS"],
            use_rests=options.rests,
            beat_res_rest=options.beat_res_rest,
            use_tempos=options.tempos,
            num_tempos=options.num_tempos,
            tempo_range=(40, 250),
            use_time_signatures=options.metres,
            time_signature_range=options.metre_range,
            use_sustain_pedals=options.pedal,
            use_pitchdrum_tokens=False,
            remove_duplicated_notes=options.without_repeats,
        )
    )


def score_of(columns: NoteColumns) -> Any:
    """The music as symusic has it: one piano track, notes in the order of the columns."""
    score: Any = symusic.Score(columns.ticks_per_quarter)
    track: Any = symusic.Track(program=0, is_drum=False)
    track.notes = symusic.Note.from_numpy(
        time=columns.onset_tick.astype(np.int32),
        duration=columns.duration_tick.astype(np.int32),
        pitch=columns.pitch.astype(np.int8),
        velocity=columns.velocity.astype(np.int8),
        ttype="tick",
    )
    for down, up in columns.press_tick.tolist():
        track.pedals.append(symusic.Pedal(down, up - down))
    score.tracks.append(track)
    for tick, usec in columns.tempos.tolist():
        score.tempos.append(symusic.Tempo(tick, mspq=usec))
    for row in columns.metres.tolist():
        score.time_signatures.append(symusic.TimeSignature(*row))
    return score


def reference_ids(reference: Any, columns: NoteColumns) -> list[int]:
    """Ids that MidiTok gives to the music."""
    sequences = reference.encode(score_of(columns))
    sequences = sequences if isinstance(sequences, list) else [sequences]
    return sequences[0].ids if sequences else []


def reference_music(reference: Any, ids: list[int]) -> dict[str, list]:
    """What MidiTok makes of ids: notes by onset, pitch and duration, presses, tempos and metres."""
    score = reference.decode([ids])
    tracks = list(score.tracks)
    notes = [(n.time, n.pitch, n.duration, n.velocity) for track in tracks for n in track.notes]
    return {
        "notes": sorted(notes, key=lambda note: note[:3]),
        "presses": [(p.time, p.time + p.duration) for track in tracks for p in track.pedals],
        "tempos": [(t.time, round(t.mspq, -1)) for t in score.tempos],
        "metres": [(t.time, t.numerator, t.denominator) for t in score.time_signatures],
        "quarter": [score.ticks_per_quarter],
    }
