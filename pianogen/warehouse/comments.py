"""What each table and column of the warehouse is: grain and units, shown by every client that opens it."""

from pianogen import judged
from pianogen.measured import COLUMNS, described

COMMENTS = {
    "files": "One row per file seen.",
    "rejections": "One row per file that is not a performance, with the stage and the reason.",
    "removed_files": "One row per file, by its bytes, that an earlier ingest saw and the current one does not.",
    "sources": "One row per file seen: title, composer, published split, licence, as its dataset says.",
    "links": "One row per link between files that their datasets name. Units: seconds.",
    "performances": "One row per accepted file. Units: ticks, seconds, quarters.",
    "notes": "One row per key press, sorted by onset, pitch and track. Units: ticks, seconds, MIDI numbers.",
    "controls": "One row per control change. Units: ticks, seconds, MIDI numbers.",
    "pedal_presses": "One row per press of a pedal. Units: seconds.",
    "tempos": "One row per tempo change. Units: ticks, seconds, quarters per minute.",
    "time_signatures": "One row per time signature. Units: ticks, seconds.",
    "key_signatures": "One row per key signature; sharps are negative for flats. Units: ticks, seconds.",
    "parts": "One row per performance, track and channel that has notes. Units: notes.",
    "message_counts": "One row per performance of a MIDI file and kind of message in it. Units: messages.",
    "content_hashes": "One row per performance: its exact identities.",
    "shingles": "One row per performance and shingle kept. Units: seconds, MIDI numbers.",
    "fingerprints": "One row per performance: how its shingles were sampled.",
    "compared_performances": (
        "One row per performance that the last comparison saw, ascending; first_looks counts rows of it."
    ),
    "first_looks": (
        "One row per pair of compared_performances that shares shingles, with what was found. Units: seconds."
    ),
    "second_looks": "One row per pair that was compared note by note, by the digests of their notes. Units: notes.",
    "duplicate_pairs": "One row per pair of performances that hold the same music. Units: share 0-1, semitones.",
    "clusters": "One row per performance: the cluster of the same music that it belongs to.",
    "splits": "One row per performance: train, validation, test or none (left out), and what decided it.",
    "split_moves": "One row per performance that stands elsewhere than it would by itself, and per move since earlier.",
    "contamination": "One row per pair across splits that the policy wants in one; empty when the split is clean.",
    "shard_contamination": (
        "One row per pair of sequences of shards that hold the same music in two splits; empty when clean."
    ),
    "performance_statistics": "One row per performance: what is measured of it. Units: in the comments of its columns.",
    "histograms": "One row per performance, measure and bin that is not empty. Units: in histogram_bins.",
    "histogram_bins": "One row per measure of histograms and bin: its edges, their unit, and what is counted.",
    "statistics_history": "One row per dataset, measured version of it, and measure of performance_statistics.",
    "round_trips": (
        "One row per tokenizer and performance: what decode(encode(x)) gives back. Units: notes, tokens; sums over "
        "matched notes of seconds and of MIDI velocities."
    ),
    "evaluations": "One row per evaluated run and test performance. Units: nats, bits, seconds.",
    "evaluation_parts": "One row per evaluated run, test performance and attribute that tokens tell. Units: nats.",
    "listening_votes": "One row per listener and pair that was voted on in a listening test.",
    "test_kinships": "One row per evaluated run and test performance: the nearest music that the run was trained on.",
    "scores": "One row per evaluated run, part of the test split and measure, with a 95 % interval. Units: bits.",
    "paired_scores": "One row per pair of evaluated runs, part of what both were scored on, and measure. Units: bits.",
    "samples": "One row per generated performance, with its MIDI file. Units: seconds.",
    "sample_judgements": (
        "One row per generated performance, without its prompt, and per excerpt of the test split, the base line. "
        "Units: of each column."
    ),
    "sample_copies": "One row per passage of a judged piece that stands in the training music. Units: seconds, notes.",
    "sample_distances": (
        "One row per judged run and measure: how its samples stand to held-out music. Units: of the measure; area 0-1, "
        "nats."
    ),
    "runs": "One row per finished training run. Units: nats per token, seconds, megabytes.",
    "metrics": (
        "One row per logged step and split of a run, and per sample drawn while it trained; runs that still train have "
        "those of the last publish, and those of now in `pianogen sql`. Units: nats per token, bits, seconds, MiB."
    ),
    "reference_results": (
        "One row per result that others report, with its source; none compares with ours. Units: seconds, megabytes, "
        "nats per what nll_per says."
    ),
    "manifests": "One row per stage and partition of the lake that this file was built from.",
    "shards": "One row per shard of each experiment: where it lies, what it holds, and what it was made of.",
    "linked_files": "One row per Parquet file beside this one and bulk table that reads it. Units: rows, bytes.",
    "meta": (
        "One row: the version of everything this file was built from, the folder where it was published, and where the "
        "runs lie, relative to that."
    ),
}
"""Grain and units of each table; a view says its own in the header of its file."""

_MEASURES = {name: described(column) for name, column in COLUMNS.items()}
_COUNTED = "all performances, no_copies, or once for each cluster of the same music; see distributions."
_CURVE = {
    "learning_rate": "Of the last update.",
    "gradient_norm": "Of the last update, before it was clipped.",
    "elapsed_sec": "Training so far, over all resumes, validations and checkpoints included. Unit: seconds.",
    "remaining_sec": "To the last step, judged by the time of all parts so far. Unit: seconds.",
    "memory_mb": "The most that the process has held so far. Unit: MiB.",
    "gpu_memory_mb": "The most that was allocated on the GPU so far. Unit: MiB.",
}
COLUMN_COMMENTS: dict[str, dict[str, str]] = {
    "metrics": {
        "split": "train, validation, or sample: drawn with the weights of the step.",
        "nll": "Of train: mean over the tokens since the row before. Unit: nats per token.",
        "bits_per_note": "Of the validation's part of the validation split. Unit: bits per note of the source.",
        "tokens_per_sec": "Of train: while it updated; of validation: while it validated.",
        "loader_share": "Of the time of updates, what was spent waiting for examples, 0-1.",
        **_CURVE,
        "sample": "prompted: goes on from a validation performance; unprompted: from nothing.",
        "num_notes": "Of the sample, its prompt included. Unit: notes.",
        "duration_sec": "Of the sample, its prompt included. Unit: seconds of music.",
        "file": "The sample's MIDI file, in the run's folder.",
        "error": "Why there is no file.",
    },
    "training_curves": {
        "validation_bits_per_note": "Of the validation's part of the validation split. Unit: bits per note.",
        "best_validation_nll": "The lowest so far. Unit: nats per token.",
        **_CURVE,
    },
    "trainings": {
        "is_finished": "Whether it was when this was published; what still trains, or was left off, is not.",
        "newest_sample": "The MIDI file drawn last, in the folder <runs>/<experiment>/<run_id>.",
        **_CURVE,
    },
    "performance_statistics": _MEASURES,
    "described_performances": _MEASURES,
    "shards": {
        "shard": "Its number in the experiment.",
        "num_notes": "Notes of the performances, those of every copy. Unit: notes.",
        "num_identical": "Copies left out, since their tokens are those of another one. Unit: sequences.",
        "num_bytes": "Size of the file. Unit: bytes.",
        "path": "Relative to the folder of this database.",
    },
    "reference_results": {
        "reference": "Its name; study-01 to study-16 are the rows of the study's table, in its order.",
        "is_checked": "Read in its source; false: quoted from memory.",
        "model": "As in this project where it has one like it, else in the source's words.",
        "split": "That the loss was measured on.",
        "million_parameters": "As reported. Unit: million.",
        "memory_mb": "Unit: megabytes.",
        "perplexity": "As reported; exp(nll) of a token.",
        "nll": "Unit: nats per what nll_per says.",
        "experiment": "The experiment file of this project that is this row.",
    },
    **{table: {column.name: described(column) for column in columns} for table, columns in judged.TABLES.items()},
    "histograms": {
        "measure": "One of histogram_bins.measure.",
        "bin": "Numbered from 0; its edges are in histogram_bins.",
        "weight": "Notes, steps or seconds, as histogram_bins.counts says.",
    },
    "distributions": {
        "counted": f"Which performances count: {_COUNTED}",
        "low": "Lower edge of the bin. Unit: in the column unit.",
        "high": "Upper edge of the bin; where a bin is a single value, that value.",
        "weight": "Notes, steps or seconds, as the column counts says.",
        "share": "Of the weight of the same dataset, split and counted, 0-1.",
    },
    "measure_summaries": {
        "measure": "A column of performance_statistics, where its definition stands.",
        "counted": f"Which performances count: {_COUNTED}",
        "std": "Standard deviation of the population. Unit: of the measure.",
    },
    "distances": {
        "jensen_shannon_bits": "Divergence, 0 (the same) to 1 (no value in common).",
        "wasserstein": "Mean distance to be moved, in wasserstein_unit; null where bins lie in a circle.",
    },
}
"""Of tables and views, what their columns are."""
