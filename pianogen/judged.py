"""What is said of generated music: the columns of `sample_judgements`, `sample_copies` and `sample_distances`.

Formulas stand in the modules that compute them: `evaluation.repetition`, `evaluation.memorization`,
`evaluation.structure`, `evaluation.distances`, and `pianogen.measured` for what is measured of the corpus as well.
A null says that there was too little music to ask, or that nobody asked.
"""

import pyarrow as pa

from pianogen.measured import COLUMNS as MEASURES
from pianogen.measured import ID, Column

_INT, _REAL, _TEXT = pa.int32(), pa.float64(), pa.string()

MEASURED = (
    "notes_per_sec", "polyphony", "polyphony_rate", "pitch_class_entropy", "scale_consistency", "groove_consistency",
    "repeated_note_share", "repeated_figure_share", "repeated_bar_share",
)  # fmt: skip
"""Measures of the corpus that samples are measured by, through the same code."""

_WHOSE = (
    Column("experiment", _TEXT, "", "Whose samples these are."),
    Column("run_id", ID, "", "That drew them."),
    Column("source", _TEXT, "", "sample, or test: held-out music with as many notes as the median sample."),
    Column("name", _TEXT, "", "Of the sample; of an excerpt of the test split its performance_id."),
)
_WHAT = (
    Column("title", _TEXT, "", "Of the sample, or of the performance."),
    Column("performance_id", ID, "", "Of the prompt, or of the excerpt; null: from nothing."),
    Column("start_sec", _REAL, "seconds", "First note that is judged, in its file; null: there is none."),
    Column("duration_sec", _REAL, "seconds", "Of what is judged, first onset to last note-off."),
    Column("num_notes", _INT, "notes", "That are judged: of a sample those that the model drew."),
    Column("rejection", _TEXT, "", "Why an ingest would not take it, of ingest.REASONS; it has no numbers then."),
)


def _cycle(times: int, often: str) -> tuple[Column, ...]:
    name = f"cycle{times}"
    return (
        Column(f"{name}_share", _REAL, "share 0-1", f"Notes of the longest cycle of {often} rounds or more; 0: none."),
        Column(f"{name}_period_notes", _INT, "notes", "Its period; null: none."),
        Column(f"{name}_period_sec", _REAL, "seconds", "Its period; null: none."),
        Column(f"{name}_times", _REAL, "times", "How often it goes round; null: none."),
    )


_REPETITION = (
    *_cycle(2, "two"),
    *_cycle(3, "three"),
    *(
        Column(f"repeated_{n}", _REAL, "share 0-1", f"Runs of {n} steps from note to note that stand elsewhere too.")
        for n in (4, 8, 16)
    ),
    *(
        Column(f"repeated_tokens_{n}", _REAL, "share 0-1", f"Runs of {n} tokens that stand elsewhere too.")
        for n in (4, 8, 16)
    ),
    *(Column(f"distinct_{n}", _REAL, "share 0-1", f"Different runs of {n} steps, of all.") for n in (1, 2, 4)),
    Column("compression_ratio", _REAL, "", "Compressed size of its notes by their size; small: it repeats itself."),
)
_COPIES = (
    Column("copied_share", _REAL, "share 0-1", "Notes that lie in passages of the training music."),
    Column("longest_copy_notes", _INT, "notes", "Notes of the longest such passage."),
    Column("longest_copy_sec", _REAL, "seconds", "Its time."),
    Column("num_copies", _INT, "passages", "Such passages; sample_copies lists them."),
    Column("copied_from", ID, "", "The training performance of the longest one; null: none."),
    Column("copied_from_dataset", _TEXT, "", "Its dataset."),
    Column("copied_from_title", _TEXT, "", "Its composer and title, or its file."),
)
_STRUCTURE = (
    Column("structure_short", _REAL, "0-1", "Fitness of the best repeated segment of 3 to 8 seconds."),
    Column("structure_mid", _REAL, "0-1", "The same of 8 to 15 seconds."),
    Column("structure_long", _REAL, "0-1", "The same from 15 seconds on."),
)

GROUPS = {
    "repetition": _REPETITION,
    "copies": _COPIES,
    "structure": _STRUCTURE,
    "as of the corpus": tuple(MEASURES[name] for name in MEASURED),
}
_PASSAGES = (
    *_WHOSE,
    Column("start_sec", _REAL, "seconds", "First onset of the passage, in the file that is judged."),
    Column("end_sec", _REAL, "seconds", "Its last note-off, in the file that is judged."),
    Column("num_notes", _INT, "notes", "That are copied."),
    Column("share", _REAL, "share 0-1", "Of the notes of the passage, those that are copied."),
    Column("performance_id", ID, "", "The training performance that has it."),
    Column("dataset", _TEXT, "", "Of that."),
    Column("title", _TEXT, "", "Of that: composer and title, or its file."),
    Column("copied_start_sec", _REAL, "seconds", "First onset there."),
    Column("copied_end_sec", _REAL, "seconds", "Last onset there."),
    Column("semitones", _INT, "semitones", "The passage is that, transposed up by this."),
    Column("tempo_ratio", _REAL, "", "Seconds of the passage per second there."),
)
_DISTANCES = (
    *_WHOSE[:2],
    Column("measure", _TEXT, "", "A column of sample_judgements, or a feature of evaluation.features."),
    Column("num_samples", _INT, "samples", "That the measure is known of."),
    Column("num_reference", _INT, "excerpts", "Of the test split, that the measure is known of."),
    Column("mean", _REAL, "", "Of the samples; null where the measure is a histogram."),
    Column("std", _REAL, "", "Of the samples, as a population."),
    Column("reference_mean", _REAL, "", "Of the excerpts."),
    Column("reference_std", _REAL, "", "Of the excerpts, as a population."),
    Column("overlapping_area", _REAL, "0-1", "Of the distances within the samples and those to the reference."),
    Column("kl_divergence", _REAL, "nats", "Of the same, both densities read at the same places."),
    Column("kl_mgeval", _REAL, "nats", "The same as mgeval computes it, each density on an axis of its own."),
    Column("reference_overlapping_area", _REAL, "0-1", "Of the distances within the reference and to the samples."),
    Column("reference_kl_divergence", _REAL, "nats", "Of the same."),
)

TABLES = {
    "sample_judgements": (*_WHOSE, *_WHAT, *(column for group in GROUPS.values() for column in group)),
    "sample_copies": _PASSAGES,
    "sample_distances": _DISTANCES,
}
SCHEMAS = {name: pa.schema([(column.name, column.type) for column in columns]) for name, columns in TABLES.items()}


def as_markdown() -> str:
    """All definitions as tables, a heading each: what docs/judging.md shows."""
    parts = []
    for title, columns in {**GROUPS, "sample_copies": _PASSAGES[4:], "sample_distances": _DISTANCES[2:]}.items():
        rows = [f"| `{column.name}` | {column.unit or '–'} | {column.text} |" for column in columns]
        heading = f"`{title}`" if title in TABLES else title.capitalize()
        parts.append("\n".join([f"### {heading}", "", "| column | unit | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)
