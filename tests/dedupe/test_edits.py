"""The benchmark's edits keep what they must keep, and its matrix judges pairs as it says."""

import io
from dataclasses import replace

import mido
import numpy as np
import pytest
from corpora import here, improvise, write_midi
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.edit_files import known_works, read_bases
from benchmarks.edit_matrix import compare
from benchmarks.edit_report import cells, has_right_pitch, is_named_right, print_report, save_heat_map, save_misses
from benchmarks.edits import (
    EDITS,
    PART,
    WHOLE,
    Edit,
    Edited,
    Source,
    resaved,
    with_other_division,
    with_other_format,
)
from benchmarks.note_edits import (
    MIN_EXCERPT_NOTES,
    TICKS_PER_SEC,
    Notes,
    cut,
    excerpt,
    excerpt_start,
    followed_by,
    jittered,
    local_range,
    mirrored,
    notes_of,
    pedalled,
    quantised,
    render,
    reversed_in_time,
    stretched,
    transposed,
    with_hands_swapped,
    with_notes_added,
    with_notes_dropped,
    with_octaves,
    with_ornaments,
    with_other_tempos,
    with_other_velocities,
    with_repeats_held,
    with_shuffled_pitches,
    with_silence,
)
from pianogen.midi.parse import parse_midi
from pianogen.midi.render import midi_bytes
from pianogen.settings import Settings

TICK_SEC = 1 / TICKS_PER_SEC
by_name = {edit.name: edit for edit in EDITS}


def piece(seed: int, num_notes: int = 150) -> Notes:
    """Notes without overlaps of one key, which a MIDI file could not tell apart."""
    parsed = parse_midi(midi_bytes(improvise(seed, num_notes)))
    notes = notes_of(parsed.notes)
    offset = notes.offset_sec.copy()
    is_kept = np.ones(len(notes), bool)
    for pitch in np.unique(notes.pitch):
        rows = np.flatnonzero(notes.pitch == pitch)
        offset[rows[:-1]] = np.minimum(offset[rows[:-1]], notes.onset_sec[rows[1:]])
        is_kept[rows[:-1]] = notes.onset_sec[rows[1:]] > notes.onset_sec[rows[:-1]]
    return replace(notes, offset_sec=offset).take(is_kept)


def source(seed: int = 1, num_notes: int = 600) -> Source:
    notes = piece(seed, num_notes)
    return Source(data=render(notes), notes=notes, other=piece(seed + 1000))


def read(data: bytes) -> Notes:
    return notes_of(parse_midi(data).notes)


def made(edit: Edit, of: Source, seed: str = "a") -> Edited:
    edited = edit.apply(of, seed)
    assert edited is not None
    return edited


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(notes: Notes) -> list[tuple]:
    """Pitch, onset and offset in whole ticks, sorted."""
    ticks = (np.rint(times * TICKS_PER_SEC).astype(int).tolist() for times in (notes.onset_sec, notes.offset_sec))
    return sorted(zip(*ticks, notes.pitch.tolist(), strict=True))


pieces = st.builds(piece, st.integers(0, 50), st.integers(30, 200))
generators = st.builds(generator, st.integers(0, 2**32))


def test_there_are_edits_enough_each_under_its_own_name_and_two_that_must_not_be_found():
    assert len(EDITS) >= 22
    assert len(by_name) == len(EDITS)
    assert [edit.name for edit in EDITS if not edit.relations] == ["retrograde", "shuffled pitches"]


@pytest.mark.parametrize("name", by_name)
def test_an_edited_file_is_the_same_bytes_for_the_same_seed_parses_and_leaves_its_source_alone(name):
    before, after = source(), source()
    edited = made(by_name[name], before)
    assert edited.data == made(by_name[name], source()).data
    assert len(read(edited.data)) >= MIN_EXCERPT_NOTES
    assert rows(before.notes) == rows(after.notes)
    assert before.data == after.data


@pytest.mark.parametrize("name", ["jitter 10 ms", "5 % of notes dropped", "excerpt of 15 s", "shuffled pitches"])
def test_another_seed_gives_another_edit(name):
    assert made(by_name[name], source(), "a").data != made(by_name[name], source(), "b").data


@pytest.mark.parametrize("name", by_name)
def test_what_an_edit_says_of_transposition_and_tempo_is_true(name):
    of = source(3)
    edited = made(by_name[name], of)
    notes = read(edited.data)
    if len(notes) != len(of.notes) or not by_name[name].relations or name == "hands swapped":
        return
    (semitones,) = edited.semitones
    expected = semitones - of.notes.pitch if edited.is_mirrored else of.notes.pitch + semitones
    assert sorted(notes.pitch) == sorted(expected)
    if edited.tempo_ratio is not None and "silence" not in name:
        assert np.ptp(notes.onset_sec) == pytest.approx(np.ptp(of.notes.onset_sec) * edited.tempo_ratio, abs=0.5)


def test_an_excerpt_of_nearly_all_may_be_called_a_copy_and_one_of_half_may_not():
    edit = by_name["excerpt of 30 s"]
    assert edit.relations_of(Edited(data=b"", kept=0.9)) == PART | WHOLE
    assert edit.relations_of(Edited(data=b"", kept=0.5)) == PART


def test_an_excerpt_longer_than_the_piece_is_not_made():
    short = piece(1, 20)
    assert short.end_sec < 60
    assert by_name["excerpt of 60 s"].apply(Source(render(short), short, short), "a") is None


def test_a_file_that_mido_cannot_read_has_no_edits_of_files():
    notes = piece(1)
    assert by_name["saved again by mido"].apply(Source(b"MThd", notes, notes), "a") is None


# Files


def two_tracks() -> bytes:
    """Format 1: a tempo that changes, and a track on each of two channels."""
    midi = mido.MidiFile(type=1, ticks_per_beat=480)
    tempo, first, second = (mido.MidiTrack() for _ in range(3))
    tempo += [mido.MetaMessage("set_tempo", tempo=400_000), mido.MetaMessage("set_tempo", tempo=700_000, time=1900)]
    for i in range(50):
        for track, channel, pitch in ((first, 0, 60 + i % 12), (second, 3, 40 + i % 7)):
            track.append(mido.Message("note_on", note=pitch, velocity=70, channel=channel, time=13))
            track.append(mido.Message("note_off", note=pitch, channel=channel, time=110))
    midi.tracks += [tempo, first, second]
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def test_saving_again_and_another_format_change_no_note():
    data = two_tracks()
    merged = with_other_format(data)
    assert mido.MidiFile(file=io.BytesIO(merged)).type == 0
    parted = with_other_format(merged)
    assert mido.MidiFile(file=io.BytesIO(parted)).type == 1
    assert len(mido.MidiFile(file=io.BytesIO(parted)).tracks) == 3
    for edited in (resaved(data), merged, parted):
        assert rows(read(edited)) == rows(read(data))


@pytest.mark.parametrize("ticks_per_quarter", [96, 220, 960])
def test_another_division_moves_a_note_by_less_than_a_tick(ticks_per_quarter):
    data = two_tracks()
    edited = with_other_division(data, ticks_per_quarter)
    assert mido.MidiFile(file=io.BytesIO(edited)).ticks_per_beat == ticks_per_quarter
    before, after = read(data), read(edited)
    assert sorted(after.pitch) == sorted(before.pitch)
    assert np.abs(after.onset_sec - before.onset_sec).max() <= 0.7 / ticks_per_quarter


@given(pieces)
def test_notes_come_back_from_the_file_that_is_rendered(notes):
    assert rows(read(render(notes))) == rows(notes)


# Pitch


@given(pieces, st.integers(-12, 12))
def test_transposing_back_gives_the_notes_again(notes, semitones):
    assert rows(transposed(transposed(notes, semitones), -semitones)) == rows(notes)


@given(pieces)
def test_mirroring_twice_gives_the_notes_again(notes):
    assert rows(mirrored(mirrored(notes))) == rows(notes)
    assert (mirrored(notes).pitch.min(), mirrored(notes).pitch.max()) == (notes.pitch.min(), notes.pitch.max())


@given(pieces)
def test_swapped_hands_move_every_note_by_two_octaves_and_lower_ones_up(notes):
    swapped = with_hands_swapped(notes)
    assert sorted(swapped.pitch % 24) == sorted(notes.pitch % 24)
    lowest = notes.pitch == notes.pitch.min()
    assert set(notes.pitch[lowest] + 24) <= set(swapped.pitch)


@given(pieces, generators)
def test_octaves_are_added_to_the_share_of_notes_that_was_asked_for(notes, rng):
    doubled = with_octaves(notes, 0.3, 12, rng)
    new = sorted(set(rows(doubled)) - set(rows(notes)))
    assert len(doubled) == len(notes) + round(0.3 * len(notes))
    assert {(onset, offset, pitch - 12) for onset, offset, pitch in new} <= set(rows(notes))


@given(pieces, generators)
def test_shuffled_pitches_keep_rhythm_and_pitches(notes, rng):
    shuffled = with_shuffled_pitches(notes, rng)
    assert sorted(shuffled.pitch) == sorted(notes.pitch)
    assert sorted(shuffled.onset_sec) == sorted(notes.onset_sec)


# Notes


@given(pieces, generators, st.sampled_from([0.05, 0.1, 0.2]))
def test_dropped_notes_are_gone_and_the_others_as_they_were(notes, rng, share):
    left = with_notes_dropped(notes, share, rng)
    assert len(left) == len(notes) - round(share * len(notes))
    assert set(rows(left)) <= set(rows(notes))


@given(pieces, generators, st.sampled_from([0.05, 0.1, 0.2]))
def test_added_notes_lie_among_the_pitches_around_them(notes, rng, share):
    more = with_notes_added(notes, share, rng)
    assert len(more) == len(notes) + round(share * len(notes))
    assert set(rows(notes)) <= set(rows(more))
    lowest, highest = local_range(notes.pitch)
    for onset, _, pitch in set(rows(more)) - set(rows(notes)):
        # Between two notes; rounded to a tick it may lie on the later one.
        near = np.abs(np.arange(len(notes)) - np.searchsorted(notes.onset_sec, onset * TICK_SEC)) <= 4
        assert lowest[near].min() <= pitch <= highest[near].max()


@given(pieces, generators)
def test_ornaments_keep_every_note(notes, rng):
    ornamented = with_ornaments(notes, 0.1, rng)
    assert set(rows(notes)) <= set(rows(ornamented))
    assert len(ornamented) >= len(notes) + round(0.1 * len(notes))


# Touch and time


@given(pieces, generators)
def test_other_velocities_change_nothing_else(notes, rng):
    changed = with_other_velocities(notes, rng)
    assert rows(changed) == rows(notes)
    assert 1 <= changed.velocity.min() <= changed.velocity.max() <= 127
    assert (changed.velocity != notes.velocity).any()


@given(pieces, generators)
def test_a_pedal_moves_note_offs_alone_and_only_later(notes, rng):
    held = pedalled(notes, rng)
    assert (held.onset_sec == notes.onset_sec).all()
    assert (held.pitch == notes.pitch).all()
    assert (held.offset_sec >= notes.offset_sec - 1e-9).all()
    assert (held.offset_sec > notes.offset_sec).mean() > 0.5


@given(pieces, generators)
def test_an_edited_tempo_map_keeps_the_order_and_every_pace_within_its_bounds(notes, rng):
    warped = with_other_tempos(notes, rng)
    assert (warped.pitch == notes.pitch).all()
    before, after = np.diff(notes.onset_sec), np.diff(warped.onset_sec)
    assert (after >= before / 1.4 - 1e-9).all()
    assert (after <= before / 0.7 + 1e-9).all()


@given(pieces, generators, st.sampled_from([0.01, 0.03, 0.05]))
def test_jitter_has_the_deviation_that_was_asked_for(notes, rng, deviation_sec):
    wide = replace(notes, onset_sec=np.arange(len(notes)) + 1.0, offset_sec=np.arange(len(notes)) + 1.5)
    moved = jittered(wide, deviation_sec, rng)
    assert (moved.pitch == wide.pitch).all()
    assert np.std(moved.onset_sec - wide.onset_sec) == pytest.approx(deviation_sec, rel=0.5)
    assert np.allclose(moved.offset_sec - moved.onset_sec, 0.5)


@given(pieces)
def test_quantised_notes_lie_on_the_grid_near_where_they_were(notes):
    shifted = replace(notes, onset_sec=notes.onset_sec + 0.04, offset_sec=notes.offset_sec + 0.04)
    on_grid = quantised(shifted)
    assert np.allclose(on_grid.onset_sec / 0.125, np.rint(on_grid.onset_sec / 0.125))
    assert np.abs(np.sort(on_grid.onset_sec) - np.sort(shifted.onset_sec)).max() <= 0.0625 + 1e-9
    assert (on_grid.offset_sec - on_grid.onset_sec >= 0.125 - 1e-9).all()


@given(pieces)
def test_of_notes_of_one_pitch_that_touch_the_first_is_left_and_lasts_to_the_end_of_the_last(notes):
    held = with_repeats_held(notes, 0.05)
    every, left = (sorted(zip(n.pitch.tolist(), n.onset_sec, n.offset_sec, strict=True)) for n in (notes, held))
    expected = []
    for pitch, onset, offset in every:
        if expected and expected[-1][0] == pitch and onset <= expected[-1][2] + 0.05:
            expected[-1][2] = max(expected[-1][2], offset)
        else:
            expected.append([pitch, onset, offset])
    assert np.allclose(left, expected)
    assert len(with_repeats_held(notes.take(np.zeros(0, int)))) == 0


@given(pieces)
def test_the_retrograde_of_the_retrograde_is_the_piece(notes):
    start = notes.start_sec
    at_zero = replace(notes, onset_sec=notes.onset_sec - start, offset_sec=notes.offset_sec - start)
    assert rows(reversed_in_time(reversed_in_time(notes))) == rows(at_zero)


@given(pieces, st.sampled_from([0.5, 0.7, 1.4, 2.0]))
def test_a_stretched_piece_lasts_so_much_longer(notes, ratio):
    assert stretched(notes, ratio).end_sec == pytest.approx(notes.end_sec * ratio)


# Form


@given(pieces)
def test_silence_moves_what_follows_it(notes):
    middle = notes.start_sec + notes.span_sec / 2
    later = with_silence(notes, middle)
    moved = later.onset_sec - notes.onset_sec
    assert (moved[notes.onset_sec < middle] == 0).all()
    assert np.allclose(moved[notes.onset_sec >= middle], 5)


@given(pieces)
def test_halves_make_the_whole(notes):
    halves = [cut(notes, 0, 1 / 2), cut(notes, 1 / 2, 1)]
    assert sum(map(len, halves)) == len(notes)
    assert np.concatenate([half.pitch for half in halves]).tolist() == notes.pitch.tolist()


@given(st.integers(0, 50), generators, st.sampled_from([15.0, 30.0, 60.0]))
def test_an_excerpt_begins_with_a_note_and_where_it_has_enough_of_them(seed, rng, length_sec):
    notes = piece(seed, 400)
    # Four seconds of every five are silent for the first half: few excerpts that begin there have notes enough.
    sparse = with_other_pace(notes)
    start = excerpt_start(sparse, length_sec, rng)
    assert start is not None
    assert start in sparse.onset_sec
    part = excerpt(sparse, start, start + length_sec)
    assert part.end_sec <= length_sec
    assert part.start_sec == 0
    most = max(len(excerpt(sparse, at, at + length_sec)) for at in np.unique(sparse.onset_sec).tolist())
    assert len(part) >= min(MIN_EXCERPT_NOTES, most)


def with_other_pace(notes: Notes) -> Notes:
    """The first half five times as slow."""
    middle = notes.end_sec / 2
    times = [0, middle, notes.end_sec], [0, 5 * middle, 5 * middle + notes.end_sec - middle]
    onset, offset = (np.interp(sec, *times) for sec in (notes.onset_sec, notes.offset_sec))
    return replace(notes, onset_sec=onset, offset_sec=offset)


@given(pieces, pieces)
def test_two_pieces_in_one_file_are_both_whole(notes, other):
    both = followed_by(notes, other)
    assert both.pitch.tolist() == [*notes.pitch.tolist(), *other.pitch.tolist()]
    assert rows(both.take(np.arange(len(notes)))) == rows(notes)


# The matrix


@pytest.fixture
def settings(tmp_path) -> Settings:
    return here(tmp_path)


def test_bases_are_long_where_there_are_long_ones_and_no_two_are_one_work(folder, settings):
    for seed, (name, num_notes) in enumerate({"a/1": 150, "a/2": 160, "a/3": 50, "b/4": 170, "b/5": 30}.items()):
        write_midi(folder / f"{name}.mid", improvise(seed, num_notes))
    (folder / "corrupt").mkdir()
    (folder / "corrupt" / "6.mid").write_bytes(b"MThd")
    (folder / "known_pairs.csv").write_text("path_a,path_b,relation\na/2.mid,x.mid,r\nx.mid,b/4.mid,r\n")
    works = known_works(folder)
    assert works["a/2.mid"] == works["x.mid"] == works["b/4.mid"]
    bases = [base for base in read_bases(folder, 2, settings) if base.dataset in "ab"]
    # b/4 is the work of a/2, so that the short one is all that b has.
    assert sorted(base.name for base in bases) == ["a/1.mid", "a/2.mid", "b/5.mid"]
    assert [base.number for base in bases] == [0, 1, 2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Three bases of which the last is the first again under another name, and four edits of each."""
    folder = tmp_path_factory.mktemp("music")
    for name, seed in {"a/one": 1, "a/two": 2, "b/twin": 1}.items():
        write_midi(folder / f"{name}.mid", improvise(seed, 500), tempo_qpm=100 if name == "b/twin" else 120)
    settings = here(folder)
    edits = [by_name[name] for name in ("transposed +12", "tempo x2", "followed by another piece", "shuffled pitches")]
    bases = [base for base in read_bases(folder, 2, settings) if base.dataset in "ab"]
    return compare(bases, tmp_path_factory.mktemp("edited"), edits, 2, settings), edits


def test_edits_are_found_named_and_measured_and_shuffled_pitches_are_not_found(found):
    findings, _ = found
    for (edit, _), cell in cells(findings).items():
        assert cell.share == (edit != "shuffled pitches")
    true = [file for file in findings.files if file.relations]
    assert len(true) == 9
    assert all(has_right_pitch(findings, file) for file in true)
    assert all(is_named_right(findings, file) for file in true)


def test_pairs_of_files_without_a_work_in_common_are_counted(found):
    findings, _ = found
    # First nine files, three of each work: 36 pairs less 9. Then, of originals and shuffled ones, 9 pairs that are not
    # of two originals; two files that hold the works of a, each unrelated to 2 of them; one that holds b's and one
    # of a's, unrelated to 2.
    assert findings.num_unrelated == 36 - 9 + 9 + 2 * 2 + 2


def test_pairs_of_works_that_are_not_listed_as_one_are_told_apart_from_chance(found, capsys):
    findings, edits = found
    print_report(findings, edits)
    out = capsys.readouterr().out
    assert "known work in common: 0 of 42 " in out
    assert "- originals are a pair: a/one.mid = b/twin.mid" in out or "b/twin.mid = a/one.mid" in out


def test_the_picture_and_the_list_of_misses_are_written(found, tmp_path):
    findings, edits = found
    save_heat_map(findings, edits, tmp_path / "heat.png")
    save_misses(findings, tmp_path / "misses.csv")
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "misses.csv").read_text().splitlines()
    assert lines[0].startswith("what,edit,dataset,base,file,")
    assert any(line.startswith("unrelated,") and "b/twin.mid" in line for line in lines[1:])
