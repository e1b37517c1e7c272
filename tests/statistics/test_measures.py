"""What each measure means, in music written out."""

import math
import random

import pytest
from blocks import Music, Note, block, histogram_of, line, parsed_block, quarters, row_of
from builders import event, midi_bytes, press, tempo

from pianogen.measured import COLUMNS, SCHEMA
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.statistics.measures import measure

C_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72)


def row_of_bytes(*tracks: bytes, **header):
    (row,) = measure(parsed_block(midi_bytes(*tracks, **header)))["performance_statistics"].to_pylist()
    return row


def sustain(value: int, delta: int = 0, channel: int = 0) -> bytes:
    return event(delta, 0xB0 | channel, 64, value)


def test_columns_are_those_that_are_defined_in_their_order_and_type():
    table = measure(block(line(60)))["performance_statistics"]
    assert table.schema == SCHEMA
    assert table.column_names == list(COLUMNS)


# Length


def test_a_piece_lasts_to_its_last_note_off_be_it_a_drums():
    piece = Music((Note(0, 60, 480), Note(480, 36, 480, is_drum=True)))
    row = row_of(piece)
    assert (row["num_notes"], row["num_drum_notes"]) == (1, 1)
    assert (row["duration_sec"], row["duration_quarters"], row["sounding_duration_sec"]) == (1.0, 2.0, 1.0)
    assert row["silence_share"] == 0.5
    assert (row["notes_per_sec"], row["notes_per_quarter"]) == (1.0, 0.5)


def test_a_piece_sounds_on_until_the_pedal_lets_its_last_note_go():
    row = row_of_bytes(sustain(127) + press(60, 480) + sustain(0, 480))
    assert (row["duration_sec"], row["sounding_duration_sec"]) == (0.5, 1.0)
    assert (row["note_duration_sec_mean"], row["sounding_note_duration_sec_mean"]) == (0.5, 1.0)


def test_measures_of_nothing_are_null_and_counts_of_nothing_zero():
    row = row_of(Music((Note(0, 36, 480, is_drum=True),)))
    zero = {name for name, value in row.items() if value == 0}
    null = {name for name, value in row.items() if value is None}
    assert zero == {
        "num_notes", "notes_per_sec", "notes_per_quarter", "num_velocities", "polyphony_max", "sounding_polyphony_max",
        "spread_max", "num_sustain_presses", "num_sostenuto_presses", "num_soft_presses", "sustain_share",
        "sostenuto_share", "soft_share", "num_time_signatures", "num_key_signatures", "repeated_note_run_max",
        "repeated_chord_run_max", "num_pitches", "num_pitch_classes", "polyphony_rate", "empty_measure_rate",
        "empty_beat_rate",
    }  # fmt: skip
    assert {"pitch_mean", "pitch_range", "key", "is_on_grid", "polyphony", "pitch_entropy", "ioi_sec_mean"} <= null
    assert row["silence_share"] == row["sounding_silence_share"] == 1.0


# Pitch


def test_the_top_line_is_the_highest_of_what_is_struck_within_50_milliseconds():
    # 24 ticks are 25 ms: the octave belongs to the first moment, the note two quarters later does not.
    piece = Music((Note(0, 60, 100), Note(24, 72, 100), Note(960, 74, 100), Note(960, 50, 100), Note(1920, 64, 100)))
    assert histogram_of(piece, "melodic_interval") == {36 + 2: 1, 36 - 10: 1}
    row = row_of(piece)
    assert (row["melodic_interval_mean"], row["melodic_step_share"], row["melodic_leap_share"]) == (6.0, 0.5, 0.5)


def test_steps_beyond_three_octaves_count_in_the_outermost_bins():
    assert histogram_of(line(21, 108, 21), "melodic_interval") == {0: 1, 72: 1}


def test_a_scale_has_the_key_of_its_tonic():
    # The tonic's octave and the fifth longer, as a melody has them.
    row = row_of(line(*C_MAJOR, 67, 60))
    assert (row["key"], row["key_tonic"], row["key_mode"]) == ("C major", 0, "major")
    assert row["key_correlation"] > 0.7
    for semitones in range(12):
        moved = row_of(line(*[p + semitones for p in (*C_MAJOR, 67, 60)]))
        assert moved["key_tonic"] == semitones
        assert moved["key_margin"] == pytest.approx(row["key_margin"])


def test_a_piece_whose_pitch_classes_are_held_alike_has_no_key():
    row = row_of(line(*range(60, 72)))
    assert {row[name] for name in ("key", "key_tonic", "key_mode", "key_correlation", "key_margin")} == {None}


def test_of_keys_that_fit_alike_the_first_counts_and_nothing_lies_between():
    # A diminished chord fits four keys.
    row = row_of(quarters((0, 60, 1), (0, 63, 1), (0, 66, 1), (0, 69, 1)))
    assert row["key_margin"] == 0.0
    assert row["key_tonic"] == 0


# Velocity and durations


def test_velocities_that_nobody_played_have_no_spread():
    assert (row_of(line(60, 62))["velocity_std"], row_of(line(60, 62))["num_velocities"]) == (0.0, 1)
    played = Music((Note(0, 60, 480, 60), Note(480, 62, 480, 70)))
    assert (row_of(played)["velocity_mean"], row_of(played)["velocity_std"]) == (65.0, 5.0)


@pytest.mark.parametrize("length", [480, 333, 1, 7])
def test_durations_that_are_alike_have_no_spread_at_all(length):
    row = row_of(Music(tuple(Note(k * length, 60, length) for k in range(9)), tempos=((0, 612_244),)))
    # But for the rounding of seconds to steps of a millionth.
    assert row["note_duration_sec_std"] <= 2.0**-20
    assert row_of(line(*[60] * 9))["note_duration_sec_std"] == 0.0


@pytest.mark.parametrize(
    "seconds, bin_",
    [(0.25, 24), (0.5, 28), (1.0, 32), (0.5 - 2**-20, 27), (2**-8, 0), (2**-8 - 2**-20, 0), (0, 0), (63, 55), (64, 55)],
)
def test_a_length_that_is_an_edge_counts_in_the_bin_above(seconds, bin_):
    # One tick is 2**-20 s, the smallest step of the lake.
    piece = Music((Note(0, 60, round(seconds * 2**20)), Note(2**26, 60, 2**20)), 2**20, ((0, 1_000_000),))
    counts = histogram_of(piece, "duration_sec")
    assert counts.pop(32) - (bin_ == 32) == 1
    assert bin_ == 32 or counts == {bin_: 1}
    edges = HISTOGRAMS["duration_sec"]
    assert bin_ in (0, 55) or edges.low[bin_] <= seconds < edges.high[bin_]


def test_lengths_beside_an_edge_count_on_their_sides():
    edges = HISTOGRAMS["duration_sec"].low
    for bin_ in range(1, len(edges)):
        above = math.ceil(edges[bin_] * 2**20)
        piece = Music((Note(0, 60, above), Note(0, 61, above - 1)), 2**20, ((0, 1_000_000),))
        assert histogram_of(piece, "duration_sec") == {bin_ - 1: 1, bin_: 1}


def test_lengths_in_quarters_count_at_the_nearest_24th_and_those_of_8_and_more_together():
    # 9 of 480 ticks are 0.45 of a 24th, 10 are half of one.
    piece = Music(tuple(Note(0, 60 + k, ticks) for k, ticks in enumerate((9, 10, 30, 160, 8 * 480, 9000))))
    assert histogram_of(piece, "duration_quarters") == {0: 1, 1: 1, 2: 1, 8: 1, 192: 2}


def test_steps_between_onsets_are_between_moments_and_not_between_notes():
    row = row_of(quarters((0, 60, 1), (0, 64, 1), (1, 67, 1), (3, 60, 1)))
    assert (row["ioi_sec_mean"], row["ioi_sec_median"]) == (0.75, 0.75)
    assert histogram_of(quarters((0, 60, 1), (0, 64, 1), (1, 67, 1), (3, 60, 1)), "ioi_sec") == {28: 1, 32: 1}


# Polyphony and hands


def test_a_note_off_exactly_at_the_next_onset_is_one_pitch_at_a_time():
    row = row_of(line(60, 62, 64))
    assert (row["polyphony_mean"], row["polyphony_max"], row["silence_share"]) == (1.0, 1, 0.0)
    assert row["polyphony"] == 1.0


def test_polyphony_counts_pitches_so_that_a_key_struck_again_is_one_string():
    row = row_of(quarters((0, 60, 3), (1, 60, 1), (1, 64, 1)))
    assert row["polyphony_max"] == 2
    assert row["polyphony_mean"] == pytest.approx(4 / 3)
    assert histogram_of(quarters((0, 60, 3), (1, 60, 1), (1, 64, 1)), "polyphony") == {1: 1.0, 2: 0.5}


def test_a_note_that_lasts_on_after_it_was_struck_again_is_held_to_its_own_end():
    # In two tracks of one keyboard: the second note-off comes first.
    row = row_of(Music((Note(0, 60, 1920), Note(480, 60, 480, track=1), Note(2400, 60, 480))))
    assert row["silence_share"] == pytest.approx(480 / 2880)


def test_notes_of_no_length_are_never_held():
    row = row_of(quarters((0, 60, 1), (0.5, 72, 0)))
    assert (row["num_notes"], row["polyphony_max"]) == (2, 1)
    assert row_of(quarters((0, 60, 0)))["polyphony_mean"] is None


def test_the_silence_before_the_first_note_counts():
    assert row_of(quarters((1, 60, 1), (3, 60, 1)))["silence_share"] == 0.5


def test_the_pedal_lets_pitches_sound_together_that_are_not_held_together():
    row = row_of_bytes(sustain(127) + press(60) + press(64) + press(67) + sustain(0))
    assert (row["polyphony_max"], row["sounding_polyphony_max"]) == (1, 3)
    assert row["sounding_polyphony_mean"] == pytest.approx(2.0)
    assert row["sounding_silence_share"] == 0.0


@pytest.mark.parametrize("num, bin_", [(39, 39), (40, 40), (41, 40), (60, 40)])
def test_more_pitches_than_the_histogram_tells_apart_still_count_in_the_means(num, bin_):
    cluster = Music(tuple(Note(0, pitch, 480, held_sec=0.5) for pitch in range(30, 30 + num)))
    row = row_of(cluster)
    assert (row["polyphony_mean"], row["sounding_polyphony_mean"]) == (num, num)
    assert histogram_of(cluster, "polyphony") == {bin_: 0.5}
    assert histogram_of(cluster, "sounding_polyphony") == {bin_: 1.0}


def test_hands_are_parted_at_the_widest_gap():
    # Two octaves of a fifth each: means 51.5 and 75.5.
    row = row_of(quarters((0, 48, 1), (0, 55, 1), (0, 72, 1), (0, 79, 1)))
    assert (row["spread_mean"], row["spread_max"], row["hands_distance_mean"]) == (31.0, 31, 24.0)


def test_of_equal_gaps_the_lowest_parts_the_hands():
    # 60 below 64, 68, 69: not 60 and 64 below 68 and 69, which are 6.5 apart.
    assert row_of(quarters((0, 60, 1), (0, 64, 1), (0, 68, 1), (0, 69, 1)))["hands_distance_mean"] == 7.0


def test_one_pitch_has_no_hands():
    row = row_of(line(60, 90))
    assert (row["spread_mean"], row["hands_distance_mean"], row["spread_max"]) == (None, None, 0)


@pytest.mark.parametrize(
    "pitches, is_beyond",
    [
        ((40, 44, 47, 52, 56, 60, 64, 67, 72, 76), False),
        ((40, 56, 57, 73), False),
        ((40, 57, 74), True),
        ((60, 61, 62, 63, 64, 65, 66, 67, 68, 69), False),
        ((60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70), True),
        ((40, 41, 42, 43, 44, 45, 62), True),
        ((40, 41, 42, 43, 44, 45, 61), False),
    ],
)
def test_two_hands_reach_ten_pitches_within_two_tenths(pitches, is_beyond):
    row = row_of(quarters(*[(0, pitch, 1) for pitch in pitches], (1, 60, 1)))
    assert row["beyond_two_hands_share"] == (0.5 if is_beyond else 0.0)


# Pedals


def test_a_pedal_that_two_channels_press_is_down_while_either_is():
    row = row_of_bytes(
        sustain(127) + sustain(0, 960) + press(60, 960),
        sustain(127, 480, channel=1) + sustain(0, 960, channel=1) + press(62, 480, channel=1),
    )
    assert row["num_sustain_presses"] == 2
    assert (row["duration_sec"], row["sustain_share"], row["sustain_press_sec_mean"]) == (2.0, 0.75, 1.0)


def test_what_a_pedal_does_after_the_last_note_off_is_no_share_of_the_piece():
    row = row_of(line(60, 62, presses=(("sustain", 0.5, 9.5), ("soft", 5.0, 6.0), ("sostenuto", 0.0, 0.25))))
    assert (row["sustain_share"], row["soft_share"], row["sostenuto_share"]) == (0.5, 0.0, 0.25)
    assert (row["num_sustain_presses"], row["num_soft_presses"], row["num_sostenuto_presses"]) == (1, 1, 1)
    assert row["sustain_press_sec_mean"] == 9.0


# Tempo and metre


def test_tempos_are_weighed_by_the_time_for_which_they_hold():
    # A quarter of 1 s, then one of 0.5 s; what comes at the last note-off holds for no time.
    row = row_of(line(60, 62, tempos=((0, 1_000_000), (480, 500_000), (960, 250_000))))
    assert (row["tempo_qpm_first"], row["tempo_qpm_min"], row["tempo_qpm_max"]) == (60.0, 60.0, 120.0)
    assert (row["tempo_qpm_mean"], row["num_tempos"]) == (80.0, 3)
    assert histogram_of(line(60, 62, tempos=((0, 1_000_000), (480, 500_000))), "tempo_qpm") == {12: 1.0, 24: 0.5}


def test_a_file_without_a_tempo_has_the_one_that_is_assumed():
    row = row_of_bytes(press(60))
    assert (row["tempo_qpm_first"], row["num_tempos"]) == (120.0, 1)
    assert row_of_bytes(press(60) + tempo(400_000))["num_tempos"] == 2


def test_the_time_signature_is_the_one_that_holds_longest():
    assert row_of(line(60))["time_signature"] is None
    piece = line(*[60] * 8, metres=((0, 3, 4), (960, 4, 4), (2880, 3, 4)))
    # Two quarters, four, two: of equal lengths the first counts.
    assert (row_of(piece)["time_signature"], row_of(piece)["num_time_signatures"]) == ("3/4", 3)


def test_what_a_signature_holds_after_the_last_note_off_does_not_count():
    assert row_of(line(60, 62, 64, metres=((0, 3, 4), (960, 4, 4), (96_000, 3, 4))))["time_signature"] == "3/4"
    assert row_of(line(60, 62, 64, metres=((0, 3, 4), (480, 4, 4), (96_000, 3, 4))))["time_signature"] == "4/4"


def test_signatures_that_several_tracks_state_are_taken_by_their_ticks():
    # As rows of two tracks, each in its own order.
    keys = ((0, -3, "minor"), (480, 2, "major"), (0, -3, "minor"), (480, 2, "major"))
    row = row_of(line(60, 62, 64, keys=keys))
    assert (row["key_signature"], row["num_key_signatures"]) == ("D major", 4)


@pytest.mark.parametrize(
    "sharps, mode, name",
    [(0, "major", "C major"), (-7, "major", "Cb major"), (7, "minor", "A# minor"), (-3, "minor", "C minor")],
)
def test_key_signatures_are_named_by_their_tonic(sharps, mode, name):
    assert row_of(line(60, keys=((0, sharps, mode),)))["key_signature"] == name


# Grid


EACH = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 3, 1 / 6, 1 / 12, 1 / 5]


@pytest.mark.parametrize("each", EACH, ids=str)
@pytest.mark.parametrize("start", [0, 37])
def test_scales_in_sixteenths_triplets_and_quintuplets_lie_on_the_grid_wherever_they_begin(each, start):
    row = row_of(Music(tuple(Note(start + round(k * each * 480), 60 + k, 20) for k in range(30))))
    assert row["grid_distance"] == pytest.approx(0, abs=1e-9)
    assert row["is_on_grid"]


def test_onsets_anywhere_do_not_lie_on_the_grid():
    rng = random.Random(0)
    row = row_of(Music(tuple(Note(rng.randrange(480 * 400), 60, 100) for _ in range(5000))))
    assert row["grid_distance"] > 0.95
    assert not row["is_on_grid"]


@pytest.mark.parametrize("ticks, low, high", [(4, 0.0, 0.05), (24, 0.1, 0.4), (60, 0.8, 1.0)])
def test_a_score_is_farther_from_the_grid_the_more_freely_it_is_played(ticks, low, high):
    # Up to 4, 25, and 62 ms beside sixteenths.
    rng = random.Random(0)
    row = row_of(Music(tuple(Note(max(0, 120 * k + rng.randint(-ticks, ticks)), 60, 100) for k in range(2000))))
    assert low < row["grid_distance"] < high


def test_onset_positions_are_nearest_48ths_and_the_last_half_is_the_next_quarter():
    # A 48th of 480 ticks has 10.
    piece = Music(tuple(Note(tick, 60, 10) for tick in (0, 4, 5, 240, 474, 475, 480 + 120)))
    assert histogram_of(piece, "onset_position") == {0: 3, 1: 1, 24: 1, 47: 1, 12: 1}


# Repetition


def test_a_run_is_of_one_pitch_with_nothing_else_between():
    row = row_of(line(60, 62, 62, 62, 60, 60))
    assert (row["repeated_note_run_max"], row["repeated_chord_run_max"]) == (3, 0)
    assert row["repeated_note_share"] == 3 / 6


def test_runs_of_tracks_go_on_beside_each_other():
    melody = [Note(k * 480, 60 + k, 480) for k in range(4)]
    drone = [Note(k * 480 + 240, 40, 240, track=1) for k in range(4)]
    assert row_of(Music((*melody, *drone)))["repeated_note_run_max"] == 4
    assert row_of(Music((*melody, *(Note(n.onset, n.pitch, n.duration) for n in drone))))["repeated_note_run_max"] == 1


def test_runs_of_programs_in_one_track_go_on_beside_each_other():
    melody = [Note(k * 480, 60 + k, 480) for k in range(4)]
    bass = [Note(k * 480 + 240, 40, 240, program=33) for k in range(4)]
    assert row_of(Music((*melody, *bass)))["repeated_note_run_max"] == 4


def test_a_chord_struck_again_is_a_run_of_chords():
    beats = [(k, pitch, 1) for k in range(3) for pitch in (60, 64, 67)]
    row = row_of(quarters(*beats, (3, 60, 1), (4, 60, 1)))
    assert (row["repeated_chord_run_max"], row["repeated_note_run_max"]) == (3, 2)
    # Of 11 notes, six of chords, and both single ones, of which the first was in the chord before.
    assert row["repeated_note_share"] == 8 / 11


def test_a_pitch_that_one_track_strikes_twice_at_once_is_no_chord():
    row = row_of(Music((Note(0, 60, 480), Note(0, 60, 240), Note(480, 60, 480))))
    assert (row["repeated_note_run_max"], row["repeated_chord_run_max"]) == (2, 0)


def test_a_figure_is_eight_intervals_so_that_a_sequence_repeats_it():
    motif = (60, 62, 64, 60, 64, 65, 67, 64, 60)
    higher = tuple(p + 5 for p in motif)
    once = row_of(line(*motif))
    twice = row_of(line(*motif, *higher))
    assert (once["repeated_figure_share"], twice["repeated_figure_share"]) == (0.0, 1 / 10)
    assert row_of(line(*motif[:8]))["repeated_figure_share"] is None


def test_figures_differ_that_end_64_semitones_up_and_down():
    # Once more a semitone higher, so that the last steps are 64 up and 64 down.
    row = row_of(line(60, 61, 62, 63, 64, 65, 66, 63, 127, *(61, 62, 63, 64, 65, 66, 67, 64, 0)))
    assert row["repeated_figure_share"] == 0.0


def test_one_pitch_again_and_again_is_one_figure():
    assert row_of(line(*[60] * 12))["repeated_figure_share"] == 3 / 4


def test_bars_are_alike_that_have_the_same_pitches_at_the_same_places():
    bar = ((0, 60, 1), (1, 64, 1), (2, 67, 1))
    other = ((0, 60, 1), (1, 64, 1), (2, 68, 1))

    def at(start: float, notes: tuple) -> list:
        return [(start + on, pitch, length) for on, pitch, length in notes]

    piece = quarters(*at(0, bar), *at(4, other), *at(8, bar), *at(16, bar))
    assert row_of(piece)["repeated_bar_share"] == 2 / 4
    # Bars of three quarters fall elsewhere.
    waltz = quarters(*at(0, bar), *at(3, other), *at(6, bar), metres=((0, 3, 4),))
    assert row_of(waltz)["repeated_bar_share"] == 1 / 3


def test_bars_are_alike_that_differ_by_less_than_a_48th_of_a_quarter():
    piece = Music((Note(0, 60, 480), Note(1920 + 9, 60, 480), Note(3840 + 10, 60, 480)))
    assert row_of(piece)["repeated_bar_share"] == 1 / 3


# Of the literature


def test_entropies_are_in_bits():
    row = row_of(line(60, 72, 64, 64))
    assert (row["num_pitches"], row["num_pitch_classes"], row["pitch_range"]) == (3, 2, 12)
    assert (row["pitch_entropy"], row["pitch_class_entropy"]) == (1.5, 1.0)
    assert math.copysign(1, row_of(line(60, 60))["pitch_entropy"]) == 1


def test_scale_consistency_is_the_share_of_notes_within_one_scale():
    assert row_of(line(*C_MAJOR))["scale_consistency"] == 1.0
    assert row_of(line(60, 61, 62, 64))["scale_consistency"] == 0.75


def test_beats_that_a_note_touches_are_not_empty_its_note_off_included():
    # A note from 0 to 1 touches two quarters; the song ends at 4 and has the quarter that begins there.
    row = row_of(quarters((0, 60, 1), (3.5, 60, 0.5)))
    assert row["empty_beat_rate"] == pytest.approx(1 / 5)
    assert row_of(quarters((0, 60, 1), (8, 60, 0.5)))["empty_measure_rate"] == pytest.approx(1 / 3)


def test_control_changes_after_the_last_note_make_a_song_longer():
    with_pedal = line(60, 62, controls=(480 * 8,))
    assert row_of(with_pedal)["empty_beat_rate"] == pytest.approx(6 / 9)
    assert row_of(with_pedal)["duration_quarters"] == 2.0


def test_bars_with_onsets_at_the_same_places_have_a_groove():
    steady = quarters(*[(k, 60, 0.5) for k in range(8)])
    # The second bar of two has one onset fewer, of 4 * 480 places.
    limping = quarters(*[(k, 60, 0.5) for k in range(8) if k != 6])
    assert row_of(steady)["groove_consistency"] == 1.0
    assert row_of(limping)["groove_consistency"] == pytest.approx(1 - 1 / 1920)
    assert row_of(line(60, 62))["groove_consistency"] is None


def test_drums_count_in_beats_bars_and_grooves_as_muspy_has_them():
    piece = Music((Note(0, 60, 480), *(Note(480 * k, 36, 240, is_drum=True) for k in range(8))))
    assert (row_of(piece)["empty_beat_rate"], row_of(piece)["groove_consistency"]) == (0.0, 1.0)
    assert row_of(piece)["polyphony_rate"] == 0.0
