"""Arrow schema of every table in the lake, with grain and units.

Units: `_tick` file time, `_sec` seconds from the start of the file, `_qpm` quarters per minute.
An id is a lower-case hexadecimal string. Tables of one stage share its blocks (see `lake`).
"""

import pyarrow as pa

from pianogen import judged, measured

ID = pa.string()


def _schema(columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Columns without nulls, which are faster to write."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


_FIGURES = [  # dedupe.alignment.FIGURES
    ("num_shared", pa.float64()),
    ("num_anchors", pa.float64()),
    ("num_windows", pa.float64()),
    ("semitones", pa.float64()),
    ("is_mirrored", pa.float64()),
    ("tempo_ratio", pa.float64()),
    ("residual_sec", pa.float64()),
    ("own_residual_sec", pa.float64()),
    ("coverage_a", pa.float64()),
    ("coverage_b", pa.float64()),
    ("num_top_lines", pa.float64()),
]

SCHEMAS: dict[str, pa.Schema] = {
    # One row per file seen. `path` is relative to the dataset's folder; bytes that are not UTF-8 are escaped.
    "files": pa.schema(
        [
            ("dataset", pa.string()),
            ("path", pa.string()),
            ("file_id", ID),  # SHA-256 of the bytes; null when the file could not be read
            ("size_bytes", pa.int64()),
            ("performance_id", ID),  # null when rejected
        ]
    ),
    # One row per file that is not a performance.
    "rejections": pa.schema(
        [
            ("dataset", pa.string()),
            ("path", pa.string()),
            ("file_id", ID),
            ("stage", pa.string()),
            ("reason", pa.string()),  # one of ingest.REASONS
            ("detail", pa.string()),
        ]
    ),
    # One row per file, by its bytes, that an earlier ingest saw under a path and the current one does not.
    "removed_files": pa.schema(
        [
            ("dataset", pa.string()),
            ("path", pa.string()),
            ("file_id", ID),
            ("performance_id", ID),  # that went with it; null when it had been rejected
            ("cause", pa.string()),  # removed | changed: other bytes lie under the path now
        ]
    ),
    # One row per file seen: what its dataset's own metadata, or its name, say of it (see metadata/).
    "sources": pa.schema(
        [
            ("dataset", pa.string()),
            ("path", pa.string()),
            ("archive_path", pa.string()),  # path without the leading folder that an archive may have
            ("title", pa.string()),
            ("composer", pa.string()),
            ("work", pa.string()),  # the composition as the dataset names it; null where it names none
            ("performer", pa.string()),
            ("year", pa.int16()),  # of the performance
            ("published_split", pa.string()),  # train | validation | test; null: none published
            ("kind", pa.string()),  # performance | score; null: not known
            ("version", pa.string()),  # of several of one song, e.g. v2 in POP909, .2 in Lakh's clean subset
            ("licence", pa.string()),
            ("non_commercial", pa.bool_()),
        ]
    ),
    # One row per link that metadata name: path RELATION linked_path. The linked file need not be here.
    "links": pa.schema(
        [
            ("dataset", pa.string()),
            ("path", pa.string()),
            ("linked_dataset", pa.string()),
            ("linked_path", pa.string()),  # a sources.archive_path
            ("relation", pa.string()),  # copy_of | excerpt_of | score_of | version_of
            ("start_sec", pa.float64()),  # of an excerpt, in the linked file; null: from its beginning
            ("end_sec", pa.float64()),  # null: to its end
        ]
    ),
    # One row per accepted file.
    "performances": pa.schema(
        [
            ("performance_id", ID),
            ("dataset", pa.string()),
            ("file_id", ID),
            ("format", pa.string()),  # midi | musicxml
            ("title", pa.string()),
            ("composer", pa.string()),
            ("ticks_per_quarter", pa.int32()),
            ("num_tracks", pa.int32()),
            ("num_notes", pa.int32()),  # without drums
            ("num_drum_notes", pa.int32()),
            ("duration_sec", pa.float64()),  # last note-off
            ("duration_quarters", pa.float64()),
            ("warnings", pa.list_(pa.string())),
        ]
    ),
    # One row per key press, sorted by onset, then pitch, then track.
    "notes": _schema(
        [
            ("performance_id", ID),
            ("track", pa.int16()),  # in a score: the voice, from the top
            ("program", pa.uint8()),
            ("is_drum", pa.bool_()),
            ("pitch", pa.uint8()),
            ("velocity", pa.uint8()),
            ("onset_tick", pa.int32()),
            ("duration_tick", pa.int32()),
            ("onset_sec", pa.float64()),
            ("offset_sec", pa.float64()),
            ("held_sec", pa.float32()),  # how long the sustain pedal holds it after its note-off
        ]
    ),
    # One row per control change.
    "controls": _schema(
        [
            ("performance_id", ID),
            ("track", pa.int16()),
            ("channel", pa.uint8()),  # 0-15
            ("tick", pa.int32()),
            ("time_sec", pa.float64()),
            ("number", pa.uint8()),
            ("value", pa.uint8()),
        ]
    ),
    # One row per press of a pedal: sustain (64), sostenuto (66), soft (67).
    "pedal_presses": _schema(
        [
            ("performance_id", ID),
            ("track", pa.int16()),
            ("channel", pa.uint8()),
            ("pedal", pa.string()),
            ("press_sec", pa.float64()),
            ("lift_sec", pa.float64()),
        ]
    ),
    # One row per tempo change; the first stands at tick 0.
    "tempos": _schema(
        [
            ("performance_id", ID),
            ("tick", pa.int32()),
            ("time_sec", pa.float64()),
            ("tempo_qpm", pa.float64()),
        ]
    ),
    # One row per time signature.
    "time_signatures": _schema(
        [
            ("performance_id", ID),
            ("tick", pa.int32()),
            ("time_sec", pa.float64()),
            ("numerator", pa.int16()),
            ("denominator", pa.int16()),
        ]
    ),
    # One row per key signature.
    "key_signatures": _schema(
        [
            ("performance_id", ID),
            ("tick", pa.int32()),
            ("time_sec", pa.float64()),
            ("sharps", pa.int8()),  # negative: flats
            ("mode", pa.string()),  # major | minor
        ]
    ),
    # One row per track and channel that has notes.
    "parts": pa.schema(
        [
            ("performance_id", ID),
            ("track", pa.int16()),
            ("channel", pa.uint8()),
            ("name", pa.string()),  # of the track, as the file says; null: nameless
            ("program", pa.uint8()),  # of its first note
            ("is_drum", pa.bool_()),
            ("num_notes", pa.int32()),
        ]
    ),
    # One row per performance and kind of MIDI message that its file holds; none for scores.
    "message_counts": _schema(
        [
            ("performance_id", ID),
            ("kind", pa.string()),  # of midi.codes.Kind, in lower case
            ("num_messages", pa.int32()),
        ]
    ),
    # One row per performance: its exact identities (see dedupe/content_hash.py).
    "content_hashes": pa.schema(
        [
            ("performance_id", ID),
            ("content_hash", ID),
            ("content_hash_any_velocity", ID),
            ("content_hash_any_key", ID),
            ("content_hash_any_tempo", ID),
            ("lowest_pitch", pa.uint8()),
            ("span_sec", pa.float64()),  # first to last onset
        ]
    ),
    # One row per performance and place of a shingle kept, ascending by shingle (see dedupe/shingle.py).
    "shingles": _schema(
        [
            ("performance_id", ID),
            ("shingle", pa.uint64()),
            ("kind", pa.uint8()),  # 0 window of notes, 1 top line, 2 chroma
            ("onset_sec", pa.float32()),  # of its first note
            ("pitch", pa.uint8()),  # that a transposition moves with it
            ("is_mirrored", pa.bool_()),  # which of two mirror images stands there
        ]
    ),
    # One row per performance: how its shingles were sampled.
    "fingerprints": _schema(
        [
            ("performance_id", ID),
            ("notes_digest", pa.uint64()),  # of pitches, onsets and offsets
            ("sampling", pa.int32()),  # every shingle whose hash is a multiple of this was kept
            ("num_places", pa.int32()),  # rows in shingles
            ("num_shingles", pa.int32()),  # distinct ones
            ("num_shingles_coarse", pa.int32()),  # distinct ones that the coarse sampling would keep
            ("num_chroma", pa.int32()),  # of num_shingles, those of pitch classes
            ("num_chroma_coarse", pa.int32()),
        ]
    ),
    # What the last comparison saw, kept so that more music costs what is new. The performances compared, ascending:
    "compared_performances": _schema([("performance_id", ID), ("notes_digest", pa.uint64())]),
    # One row per pair of them that shares shingles and is worth a closer look,
    "first_looks": _schema(
        [
            ("a", pa.uint32()),  # rows of compared_performances
            ("b", pa.uint32()),
            ("num_met", pa.uint32()),  # shingles that brought them together: windows and lines,
            ("num_met_chroma", pa.uint32()),  # and chroma
            *_FIGURES,
        ]
    ),
    # and one row per pair that was compared note by note.
    "second_looks": _schema(
        [
            ("pair", pa.uint64()),  # made of both digests
            ("num_smaller", pa.int64()),
            ("num_smaller_top", pa.int64()),
            ("matched", pa.float64()),
            ("matched_class", pa.float64()),
            *_FIGURES,
        ]
    ),
    # One row per pair of performances that hold the same music; performance_a < performance_b.
    "duplicate_pairs": pa.schema(
        [
            ("performance_a", ID),
            ("performance_b", ID),
            ("relation", pa.string()),  # of dedupe.relations.RELATIONS
            ("score", pa.float64()),  # share of the smaller one's shingles that lie on the chain of anchors, 0-1
            ("coverage", pa.float64()),  # the greater one of the next two
            ("coverage_a", pa.float64()),  # share of a's time that the chain covers, 0-1
            ("coverage_b", pa.float64()),
            ("residual_sec", pa.float64()),  # median distance of an anchor from its line; null: not known
            ("num_shared", pa.int32()),  # shingles; 0 where equal hashes speak alone
            ("num_anchors", pa.int32()),  # of the chain
            ("semitones", pa.int32()),  # b is a, transposed up by this; of mirror images: sum of a pitch and its image
            ("is_mirrored", pa.bool_()),  # b is a's mirror image on the keyboard
            ("tempo_ratio", pa.float64()),  # seconds of b per second of a; null: unknown
        ]
    ),
    # One row per performance: the others that hold the same music (see dedupe/clusters.py).
    "clusters": pa.schema(
        [
            ("performance_id", ID),
            ("cluster_id", ID),  # its member of the smallest id in the earliest dataset
            ("is_representative", pa.bool_()),
            ("cluster_size", pa.int32()),
            ("completeness", pa.float64()),  # mean share of the other members that it covers, 0-1; 1 when alone
            ("absorbed_by", pa.string()),  # relation by which an earlier one makes it superfluous; null: none does
            ("nearest_id", ID),  # the member it shares most with, by the next four; null when alone
            ("nearest_relation", pa.string()),
            ("nearest_score", pa.float64()),
            ("nearest_coverage", pa.float64()),  # share of its own time, 0-1
        ]
    ),
    # One row per performance (see splits.py).
    "splits": pa.schema(
        [
            ("performance_id", ID),
            ("dataset", pa.string()),
            ("cluster_id", ID),
            ("split_group", ID),  # all that stands on one side, named like a cluster; null: its dataset is pinned
            ("drawn_by", ID),  # name whose hash decided the group's split; null: no draw did
            ("split", pa.string()),  # train | validation | test | none: left out
            ("reason", pa.string()),  # of splits.REASONS
        ]
    ),
    # One row per performance that stands elsewhere than it would by itself, and per move since an earlier version.
    "split_moves": pa.schema(
        [
            ("performance_id", ID),
            ("dataset", pa.string()),
            ("compared_with", pa.string()),  # what said from_split: published | drawn | earlier
            ("from_split", pa.string()),
            ("to_split", pa.string()),
            ("reason", pa.string()),  # of splits.REASONS; of an earlier version also joined | parted | policy
            ("because_of", ID),  # the performance that it follows or gives way to; null: none
            ("relation", pa.string()),  # of the two; null: they are no pair, others stand between
        ]
    ),
    # One row per pair in two splits that the policy wants in one; empty when the split is clean.
    "contamination": pa.schema(
        [
            ("split_a", pa.string()),
            ("dataset_a", pa.string()),
            ("path_a", pa.string()),
            ("split_b", pa.string()),
            ("dataset_b", pa.string()),
            ("path_b", pa.string()),
            ("relation", pa.string()),
            ("score", pa.float64()),
            ("coverage", pa.float64()),  # this and the rest: as in duplicate_pairs
            ("residual_sec", pa.float64()),
            ("num_anchors", pa.int32()),
            ("semitones", pa.int32()),
            ("is_mirrored", pa.bool_()),
            ("tempo_ratio", pa.float64()),
            ("performance_a", ID),
            ("performance_b", ID),
            ("cluster_id", ID),  # of a
        ]
    ),
    # One row per pair of sequences of finished shards that hold the same music in two splits; empty when clean.
    "shard_contamination": pa.schema(
        [
            ("split_a", pa.string()),
            ("split_b", pa.string()),
            ("performance_a", ID),
            ("performance_b", ID),
            ("relation", pa.string()),
            ("score", pa.float64()),
            ("coverage", pa.float64()),
            ("residual_sec", pa.float64()),
            ("num_anchors", pa.int32()),
            ("semitones", pa.int32()),
            ("is_mirrored", pa.bool_()),
            ("tempo_ratio", pa.float64()),
        ]
    ),
    # One row per performance: what is measured of it (see measured.py).
    "performance_statistics": measured.SCHEMA,
    # One row per performance, measure and bin that is not empty (see statistics/bins.py).
    "histograms": measured.HISTOGRAMS,
    # One row per measure of `histograms` and bin.
    "histogram_bins": pa.schema(
        [
            ("measure", pa.string()),
            ("bin", pa.int16()),
            ("low", pa.float64()),  # edges; of a bin that is a single value both are that value
            ("high", pa.float64()),
            ("unit", pa.string()),  # of the edges
            ("counts", pa.string()),  # what is counted: notes | steps | seconds
            ("is_ratio", pa.bool_()),  # bins of equal ratio
            ("is_circular", pa.bool_()),  # the last bin lies beside the first
            ("num_bins", pa.int16()),
            ("about", pa.string()),
        ]
    ),
    # One row per dataset, version of it that was measured, and measure of performance_statistics.
    "statistics_history": pa.schema(
        [
            ("dataset", pa.string()),
            ("version", pa.int32()),  # 1 is the earliest that is kept; the greatest is the current one
            ("dataset_version", pa.string()),
            ("statistics_version", ID),
            ("definitions", ID),  # of the code that measured; versions of different ones are not compared
            ("measure", pa.string()),
            ("num_performances", pa.int32()),  # that the measure is known of
            ("mean", pa.float64()),
            ("std", pa.float64()),  # of the population
            ("p05", pa.float64()),
            ("p50", pa.float64()),
            ("p95", pa.float64()),
        ]
    ),
    # One row per tokenizer and performance: what comes back of its notes (see round_trips/matching.py).
    "round_trips": pa.schema(
        [
            ("tokenizer", pa.string()),  # as the settings name it
            ("tokenizer_version", pa.string()),
            ("performance_id", ID),
            ("num_notes", pa.int32()),  # of the source, without drums
            ("num_decoded", pa.int32()),
            ("num_matched", pa.int32()),  # decoded notes that are notes of the source, each for one
            ("num_same_pitch", pa.int32()),  # the same with pitches alone
            ("num_unencodable", pa.int32()),  # notes of the source beyond the scheme's pitches; they count in num_notes
            ("num_tokens", pa.int64()),  # without BOS and EOS
            ("num_unknown", pa.int64()),  # of them, those that stand for what the vocabulary does not have
            ("residual_bits", pa.float64()),  # what the tokens leave unsaid of notes and sustain pedal
            # Sums over matched notes; null: the tokens say nothing of it.
            ("onset_error_sec", pa.float64()),
            ("onset_shift_sec", pa.float64()),  # with its sign; positive: decoded notes come late
            ("duration_error_sec", pa.float64()),
            ("velocity_error", pa.float64()),
        ]
    ),
    # One row per evaluated run and test performance.
    "evaluations": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("performance_id", ID),
            ("num_tokens", pa.int32()),  # EOS among them, BOS not
            ("num_notes", pa.int32()),  # of the source, without drums
            ("duration_sec", pa.float64()),
            ("nats", pa.float64()),  # of all tokens
            ("num_decoded", pa.int32()),  # notes that the tokens decode to
            ("num_matched", pa.int32()),  # as in round_trips
            ("residual_bits", pa.float64()),  # what the tokens leave unsaid of notes and sustain pedal
            ("carries", pa.string()),  # attributes that the tokenizer says something of, with spaces between
        ]
    ),
    # One row per evaluated run, test performance and attribute that takes something.
    "evaluation_parts": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("performance_id", ID),
            ("attribute", pa.string()),  # of tokenizers.attribution.TOLD
            ("nats", pa.float64()),
        ]
    ),
    # One row per listener and pair that was voted on in a listening test (see listening/).
    "listening_votes": pa.schema(
        [
            ("test_id", ID),
            ("question", pa.string()),
            ("listener", ID),  # random, one for each browser that opened the page
            ("pair", pa.int32()),  # its number in the test, from 1
            ("repeat_of", pa.int32()),  # number of the pair that it is again, with the sides changed; null: it is none
            ("set_a", pa.string()),
            ("set_b", pa.string()),
            ("sample_a", pa.string()),
            ("sample_b", pa.string()),
            ("is_swapped", pa.bool_()),  # the sample of set_b was shown as A
            ("preferred", pa.string()),  # a | b: a sample of that set; none: no difference
        ]
    ),
    # One row per evaluated run and test performance: the nearest that was trained on (see evaluation/kinship.py).
    "test_kinships": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("performance_id", ID),
            ("relation", pa.string()),  # itself, or as in duplicate_pairs; null: to none that it was trained on
            ("is_contaminated", pa.bool_()),  # whether the split's policy wants both on one side
            ("score", pa.float64()),  # of the pair
            ("coverage", pa.float64()),  # share of the test performance's own time
            ("train_performance_id", ID),
        ]
    ),
    # One row per evaluated run, part of the test split and measure (see evaluation/scores.py).
    "scores": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("part", pa.string()),  # all | clean | contaminated
            ("measure", pa.string()),  # bits_per_note | bits_per_second | whole_bits_per_note
            ("value", pa.float64()),
            ("low", pa.float64()),  # of the 95 % interval; null where there is one group
            ("high", pa.float64()),
            ("num_performances", pa.int32()),
            ("num_groups", pa.int32()),  # of the same music, which the interval draws
        ]
    ),
    # One row per pair of evaluated runs, part of the test performances of both, and measure.
    "paired_scores": pa.schema(
        [
            ("experiment_a", pa.string()),
            ("run_a", ID),
            ("experiment_b", pa.string()),
            ("run_b", ID),
            ("part", pa.string()),
            ("measure", pa.string()),
            ("value_a", pa.float64()),
            ("value_b", pa.float64()),
            ("difference", pa.float64()),  # value_a - value_b: negative where a is better
            ("low", pa.float64()),  # of the difference, as in scores
            ("high", pa.float64()),
            ("probability_a_is_better", pa.float64()),
            ("num_performances", pa.int32()),
            ("num_groups", pa.int32()),
        ]
    ),
    # One row per generated performance.
    "samples": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("sample", pa.string()),
            ("title", pa.string()),
            ("prompt_performance_id", ID),  # null: from nothing
            ("prompt_sec", pa.float64()),  # where the prompt ends
            ("seed", pa.int64()),
            ("temperature", pa.float64()),
            ("top_k", pa.int32()),
            ("top_p", pa.float64()),
            ("decoding", pa.string()),  # all of how tokens were drawn, in JSON
            ("num_notes", pa.int32()),
            ("duration_sec", pa.float64()),
            ("midi", pa.binary()),
        ]
    ),
    # One row per generated performance, without its prompt, and per excerpt of the test split, its base line.
    "sample_judgements": judged.SCHEMAS["sample_judgements"],
    # One row per passage of a judged piece that stands in the training music.
    "sample_copies": judged.SCHEMAS["sample_copies"],
    # One row per judged run and measure: how its samples stand to held-out music.
    "sample_distances": judged.SCHEMAS["sample_distances"],
}


BULK_TABLES = ("notes", "controls")
"""The tables that hold nearly all rows: written for speed first, room second."""


def empty(table: str) -> pa.Table:
    """A table of no rows with the schema of `table`."""
    return SCHEMAS[table].empty_table()
