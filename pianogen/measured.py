"""What is measured of every performance: the columns of `performance_statistics`, each defined once, here.

Where not said otherwise:

- Drums are left out.
- *Held* is from note-on to note-off, as played; *sounding* is to the later lift of the sustain pedal.
- Polyphony counts pitches, not notes: a key struck again while its note sounds on is one string.
- A mean or a share of nothing is null. Standard deviations are of the population. A median of two is their mean.
- A quarter is the file's own: MIDI counts quarters, and a performance that was played freely has them anywhere.

The columns under "of the literature" equal MusPy's metrics of the same names, on the file's ticks and with its notion
of a song's length: to the last note-off or control change, drums included.
Source: Dong et al., MusPy: A Toolkit for Symbolic Music Generation, ISMIR 2020; muspy 0.5 `metrics`.
"""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One measure of a performance."""

    name: str
    type: pa.DataType
    unit: str
    text: str


ID = pa.string()
_INT, _REAL, _TEXT, _BOOL = pa.int32(), pa.float64(), pa.string(), pa.bool_()

_NAMES = (
    Column("performance_id", ID, "", "Of performances."),
    Column("dataset", _TEXT, "", "Of performances."),
)

_LENGTH = (
    Column("num_notes", _INT, "notes", "Key presses."),
    Column("num_drum_notes", _INT, "notes", "Notes on the drum channel, which no other measure counts."),
    Column("duration_sec", _REAL, "seconds", "To the last note-off, be it a drum's."),
    Column("duration_quarters", _REAL, "quarters", "The same."),
    Column("sounding_duration_sec", _REAL, "seconds", "Until the last note falls silent; duration_sec at least."),
    Column("notes_per_sec", _REAL, "notes per second", "num_notes / duration_sec."),
    Column("notes_per_quarter", _REAL, "notes per quarter", "num_notes / duration_quarters."),
)

_PITCH = (
    Column("pitch_min", _INT, "MIDI number", "Lowest pitch."),
    Column("pitch_max", _INT, "MIDI number", "Highest pitch."),
    Column("pitch_mean", _REAL, "MIDI number", "Mean pitch of the notes."),
    Column("pitch_std", _REAL, "semitones", "Standard deviation of the pitches of the notes."),
    Column("melodic_interval_mean", _REAL, "semitones", "Mean size of the steps of the top line, see histogram_bins."),
    Column("melodic_step_share", _REAL, "share 0-1", "Steps of the top line of 1 or 2 semitones."),
    Column("melodic_leap_share", _REAL, "share 0-1", "Steps of the top line of more than 7 semitones."),
)

_KEY = (
    Column("key_tonic", _INT, "semitones above C", "Tonic of the key whose profile fits best."),
    Column("key_mode", _TEXT, "", "major or minor."),
    Column("key", _TEXT, "", "Both by name, sharps and flats as that key is usually written."),
    Column(
        "key_correlation",
        _REAL,
        "-1 to 1",
        "Pearson correlation of the time that each pitch class is held, over its notes, with the key's profile. "
        "Source: Krumhansl and Kessler 1982, Krumhansl and Schmuckler's algorithm (Krumhansl 1990, p. 40).",
    ),
    Column("key_margin", _REAL, "", "key_correlation less that of the next best key: small is ambiguous."),
)

_VELOCITY = (
    Column("velocity_min", _INT, "MIDI number", "Lowest velocity."),
    Column("velocity_max", _INT, "MIDI number", "Highest velocity."),
    Column("velocity_mean", _REAL, "MIDI number", "Mean velocity of the notes."),
    Column("velocity_std", _REAL, "MIDI number", "Standard deviation of the velocities; 0 where nobody played it."),
    Column("num_velocities", _INT, "velocities", "Different velocities."),
)

_DURATION = (
    Column("note_duration_sec_mean", _REAL, "seconds", "Mean time that a key is held."),
    Column("note_duration_sec_median", _REAL, "seconds", "Median time that a key is held."),
    Column("note_duration_sec_std", _REAL, "seconds", "Standard deviation of the time that a key is held."),
    Column("note_duration_quarters_mean", _REAL, "quarters", "Mean time that a key is held."),
    Column("note_duration_quarters_median", _REAL, "quarters", "Median time that a key is held."),
    Column("sounding_note_duration_sec_mean", _REAL, "seconds", "Mean time that a note sounds."),
    Column("sounding_note_duration_sec_median", _REAL, "seconds", "Median time that a note sounds."),
    Column("ioi_sec_mean", _REAL, "seconds", "Mean time from a moment at which a key goes down to the next one."),
    Column("ioi_sec_median", _REAL, "seconds", "Median of the same."),
)

_POLYPHONY = (
    Column("polyphony_mean", _REAL, "pitches", "Mean number of pitches held, over the time in which one is."),
    Column("polyphony_max", _INT, "pitches", "Most pitches held at once."),
    Column("silence_share", _REAL, "share 0-1", "Of duration_sec, in which no key is held; the beginning included."),
    Column("sounding_polyphony_mean", _REAL, "pitches", "As polyphony_mean, of pitches that sound."),
    Column("sounding_polyphony_max", _INT, "pitches", "Most pitches sounding at once."),
    Column("sounding_silence_share", _REAL, "share 0-1", "Of sounding_duration_sec, in which nothing sounds."),
)

_HANDS = (
    Column("spread_mean", _REAL, "semitones", "Lowest to highest pitch held, over the time in which two or more are."),
    Column("spread_max", _INT, "semitones", "Widest spread held at once."),
    Column(
        "hands_distance_mean",
        _REAL,
        "semitones",
        "Between the hands: the pitches held are parted at their widest gap (of equal ones the lowest), and the means "
        "of both parts subtracted; over the time in which two or more are held.",
    ),
    Column(
        "beyond_two_hands_share",
        _REAL,
        "share 0-1",
        "Of the time in which keys are held: no two hands of five fingers and a tenth (16 semitones) reach them all.",
    ),
)

_PEDAL = (
    Column("num_sustain_presses", _INT, "presses", "Of the sustain pedal, CC 64 at 64 or more."),
    Column("num_sostenuto_presses", _INT, "presses", "Of the sostenuto pedal, CC 66."),
    Column("num_soft_presses", _INT, "presses", "Of the soft pedal (una corda), CC 67."),
    Column("sustain_share", _REAL, "share 0-1", "Of duration_sec with the sustain pedal down, on any channel."),
    Column("sostenuto_share", _REAL, "share 0-1", "The same of the sostenuto pedal."),
    Column("soft_share", _REAL, "share 0-1", "The same of the soft pedal."),
    Column("sustain_press_sec_mean", _REAL, "seconds", "Mean length of a press of the sustain pedal."),
)

_METRE = (
    Column("tempo_qpm_first", _REAL, "quarters per minute", "The tempo at the beginning."),
    Column("tempo_qpm_mean", _REAL, "quarters per minute", "60 × duration_quarters / duration_sec."),
    Column("tempo_qpm_min", _REAL, "quarters per minute", "Slowest tempo that lasts, before the last note-off."),
    Column("tempo_qpm_max", _REAL, "quarters per minute", "Fastest tempo that lasts, before the last note-off."),
    Column("num_tempos", _INT, "changes", "Tempos, with the 120 that is assumed where none is stated."),
    Column("time_signature", _TEXT, "", "The one that holds longest, in ticks up to the last note-off; null: none."),
    Column("num_time_signatures", _INT, "changes", "Time signatures, in whatever track."),
    Column("key_signature", _TEXT, "", "The one that holds longest, as the file states it; null where it has none."),
    Column("num_key_signatures", _INT, "changes", "Key signatures, in whatever track."),
)

_GRID = (
    Column(
        "grid_distance",
        _REAL,
        "0-1",
        "How little onsets keep to parts of the file's quarter, wherever it begins: 1 less the length of their mean as "
        "points on a circle that is a 4th, 6th, 8th, 12th, 16th, 20th or 24th of a quarter, whichever is longest "
        "(circular variance). 0 is a score, 1 a player whom the file's quarters do not follow.",
    ),
    Column("is_on_grid", _BOOL, "", "grid_distance below 0.5: as a score is. How often so: docs/statistics.md."),
)

_REPETITION = (
    Column(
        "repeated_note_run_max",
        _INT,
        "notes",
        "Longest run of one pitch struck again and again in one part (track and program), with nothing else struck "
        "there between.",
    ),
    Column("repeated_chord_run_max", _INT, "chords", "The same of two pitches or more that are struck at one tick."),
    Column(
        "repeated_note_share",
        _REAL,
        "share 0-1",
        "Of the notes, those whose pitch is among what their part struck the moment before.",
    ),
    Column(
        "repeated_figure_share",
        _REAL,
        "share 0-1",
        "Of all runs of nine notes by onset and pitch, those whose eight intervals occurred before.",
    ),
    Column(
        "repeated_bar_share",
        _REAL,
        "share 0-1",
        "Of the bars with notes, those with the pitches and onsets (in 24ths of a quarter) of an earlier one; bars of "
        "the time signature that holds longest, 4/4 where there is none, counted from the beginning.",
    ),
)

_LITERATURE = (
    Column("num_pitches", _INT, "pitches", "MusPy's n_pitches_used."),
    Column("num_pitch_classes", _INT, "pitch classes", "MusPy's n_pitch_classes_used."),
    Column("pitch_range", _INT, "semitones", "pitch_max - pitch_min."),
    Column("pitch_entropy", _REAL, "bits", "Of the histogram of pitches."),
    Column("pitch_class_entropy", _REAL, "bits", "Of the histogram of pitch classes. Wu and Yang 2020, there by bar."),
    Column("scale_consistency", _REAL, "share 0-1", "Most notes within one major or natural minor scale. Mogren 2016."),
    Column("polyphony", _REAL, "pitches", "Mean number of pitches held, over the ticks in which one is."),
    Column("polyphony_rate", _REAL, "share 0-1", "Of all ticks, those with more than two pitches held (threshold 2)."),
    Column("empty_beat_rate", _REAL, "share 0-1", "Of the quarters, those that no note touches; drums count."),
    Column("empty_measure_rate", _REAL, "share 0-1", "Of the bars (as in repeated_bar_share), those; drums count."),
    Column(
        "groove_consistency",
        _REAL,
        "share 0-1",
        "1 - mean Hamming distance of the onset patterns of neighbouring bars, by tick; drums count. Wu and Yang 2020.",
    ),
)

GROUPS = {
    "": _NAMES,
    "length": _LENGTH,
    "pitch": _PITCH,
    "key": _KEY,
    "velocity": _VELOCITY,
    "durations": _DURATION,
    "polyphony": _POLYPHONY,
    "hands": _HANDS,
    "pedals": _PEDAL,
    "tempo and metre": _METRE,
    "grid": _GRID,
    "repetition": _REPETITION,
    "of the literature": _LITERATURE,
}
COLUMNS = {column.name: column for group in GROUPS.values() for column in group}
SCHEMA = pa.schema([(column.name, column.type) for column in COLUMNS.values()])
"""Of the table `performance_statistics`, one row per performance."""
HISTOGRAMS = pa.schema(
    [
        pa.field("performance_id", ID, nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("bin", pa.int16(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)
"""Of the table `histograms`, one row per performance, measure and bin that is not empty."""


def described(column: Column) -> str:
    """The definition with its unit, for comments in the warehouse and the documents."""
    return f"{column.text} Unit: {column.unit}." if column.unit else column.text


def as_markdown() -> str:
    """All definitions as tables, a heading each group: what docs/statistics.md shows."""
    parts = []
    for group, columns in GROUPS.items():
        if group:
            rows = [f"| `{column.name}` | {column.unit or '–'} | {column.text} |" for column in columns]
            parts.append("\n".join([f"### {group.capitalize()}", "", "| measure | unit | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)
