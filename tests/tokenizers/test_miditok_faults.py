"""Where MidiTok fails or says of the same music several things: what it does, and what is done here instead."""

from dataclasses import replace

import numpy as np
import pytest
from builders import notes
from miditok_reference import reference_ids, reference_of
from music import rows_of

from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.midi_like import MidiLike
from pianogen.tokenizers.miditok_scheme import score_of
from pianogen.tokenizers.tsd import Tsd


def said(coder, ids) -> list[str]:
    return [coder.vocab[i] for i in ids if coder.vocab[i].startswith(("Chord", "Program", "Pitch", "Note"))]


def test_chords_without_a_name_need_roots_in_miditok_and_not_here():
    cluster = notes((0, 60, 1), (0, 61, 1), (0, 62, 1))
    coder = Tsd(chords=True, unknown_chords=True)
    assert "Chord_3" in reference_of(coder).vocab
    with pytest.raises(KeyError, match="Chord_ukn3"):
        reference_ids(reference_of(coder), cluster)
    assert said(coder, coder.encode(cluster))[0] == "Chord_3"


def test_a_chord_is_found_or_not_by_the_order_of_its_notes():
    coder = Tsd(chords=True)
    triad = notes((0, 60, 1), (0, 64, 0.75), (0, 67, 0.75))
    assert said(coder, reference_ids(reference_of(coder), triad))[0] == "Chord_maj"
    # The order in which symusic reads a file: by onset, then by duration.
    by_duration = triad.take(np.array([1, 2, 0]))
    assert said(coder, reference_ids(reference_of(coder), by_duration)) == ["Pitch_64", "Pitch_67", "Pitch_60"]
    assert said(coder, coder.encode(by_duration.sorted()))[0] == "Chord_maj"


def test_tracks_of_one_instrument_are_sorted_otherwise_than_one_track():
    coder = Tsd(chords=True, programs=True)
    triad = notes((0, 60, 1), (0, 64, 0.75), (0, 67, 0.75))
    one = replace(triad, track=np.zeros(3, np.int16), program=np.zeros(3, np.uint8))
    two = replace(one, track=np.array([0, 1, 1], np.int16))
    for columns, first in ((one, "Chord_maj"), (two, "Pitch_64")):
        ids = coder.encode(columns).tolist()
        assert said(coder, ids)[1] == first
        assert ids == reference_ids(reference_of(coder), columns)


def test_a_note_of_no_length_ends_before_it_begins_where_there_are_chords():
    short = NoteColumns(*(np.array(column) for column in ([60, 72], [80, 80], [0, 8], [0, 8])), 8)
    coder = MidiLike(chords=True)
    assert said(coder, reference_ids(reference_of(coder), short))[:2] == ["NoteOff_60", "NoteOn_60"]
    assert said(coder, coder.encode(short))[:2] == ["NoteOn_60", "NoteOff_60"]
    assert rows_of(coder.decode(coder.encode(short)))[0][:3] == (0, 60, 0)
    with pytest.raises(IndexError):
        reference_ids(reference_of(coder), replace(short, duration_tick=np.array([8, 0])))
    assert said(coder, coder.encode(replace(short, duration_tick=np.array([8, 0]))))[-1] == "NoteOff_72"


def test_halves_beside_quarters_need_an_eighth_in_miditok_where_sixteenths_are_known():
    coder = Tsd(metres=True, known_metres=("4/4", "2/2", "5/16"), positions_per_quarter=24)
    metres = np.array([[0, 2, 2], [1920, 4, 4]], np.int32)
    music = replace(notes((0, 60, 1), (4, 62, 1), (9, 64, 2)), metres=metres)
    with pytest.raises(KeyError, match="48"):
        reference_ids(reference_of(coder), music)
    back = coder.decode(coder.encode(music))
    assert (back.onset_tick / back.ticks_per_quarter).tolist() == [0, 4, 9]
    assert (back.duration_tick / back.ticks_per_quarter).tolist() == [1, 1, 2]


def test_no_ids_cannot_be_decoded_by_miditok_with_programs():
    coder = Tsd(programs=True)
    with pytest.raises(AttributeError):
        reference_of(coder).decode([])
    assert len(coder.decode(np.empty(0, coder.dtype))) == 0


def test_an_empty_track_changes_the_order_of_parts():
    import symusic

    coder = Tsd(programs=True)
    duet = replace(notes((0, 60, 1), (0, 64, 1)), track=np.array([0, 1], np.int16), program=np.array([0, 40], np.uint8))
    score = score_of(duet, parts=True)
    ids = reference_of(coder).encode(score).ids
    assert said(coder, ids) == ["Program_0", "Pitch_60", "Program_40", "Pitch_64"]
    assert coder.encode(duet).tolist() == ids
    score.tracks.insert(0, symusic.Track(program=40))
    assert said(coder, reference_of(coder).encode(score).ids) == ["Program_40", "Pitch_64", "Program_0", "Pitch_60"]
