"""Arrow schema of every table in the lake, with grain and units.

Units: `_tick` file time, `_sec` seconds from the start of the file, `_qpm` quarters per minute.
An id is a lower-case hexadecimal string. Tables of one stage share its blocks (see `lake`).
"""

import pyarrow as pa

ID = pa.string()


def _schema(columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Columns without nulls, which are faster to write."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


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
    # One row per performance and shingle kept (see dedupe/fingerprint.py).
    "shingles": pa.schema(
        [
            ("performance_id", ID),
            ("shingle", pa.uint64()),
            ("lowest_pitch", pa.uint8()),  # of its first window
            ("onset_sec", pa.float32()),
            ("is_unique", pa.bool_()),  # stands once in the performance
        ]
    ),
    # One row per performance: how its shingles were sampled.
    "fingerprints": pa.schema(
        [
            ("performance_id", ID),
            ("sampling", pa.int32()),  # every shingle whose hash is a multiple of this was kept
            ("num_shingles", pa.int32()),  # distinct ones kept
            ("num_shingles_coarse", pa.int32()),  # distinct ones that the coarse rate would keep
        ]
    ),
    # One row per pair of performances that hold the same music; performance_a < performance_b.
    "duplicate_pairs": pa.schema(
        [
            ("performance_a", ID),
            ("performance_b", ID),
            ("relation", pa.string()),  # same_bytes | same_notes | edited_copy | similar
            ("score", pa.float64()),  # share of the smaller one's shingles found in the other, 0-1
            ("num_shared", pa.int32()),  # shingles; 0 where equal hashes speak alone
            ("num_anchors", pa.int32()),  # of them, those that agree on the transposition
            ("semitones", pa.int32()),  # b is a, transposed up by this
            ("tempo_ratio", pa.float64()),  # seconds of b per second of a; null: unknown
        ]
    ),
    # One row per performance.
    "clusters": pa.schema(
        [
            ("performance_id", ID),
            ("cluster_id", ID),
            ("is_representative", pa.bool_()),
            ("cluster_size", pa.int32()),
        ]
    ),
    # One row per performance.
    "splits": pa.schema(
        [
            ("performance_id", ID),
            ("dataset", pa.string()),
            ("cluster_id", ID),
            ("split", pa.string()),  # train | validation | test
            ("reason", pa.string()),  # cluster | dataset
        ]
    ),
    # One row per duplicate pair whose members stand in different splits; empty when the split is clean.
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
            ("semitones", pa.int32()),
            ("tempo_ratio", pa.float64()),
            ("performance_a", ID),
            ("performance_b", ID),
            ("cluster_id", ID),
        ]
    ),
    # One row per performance; written by warehouse/views/performance_statistics.sql.
    # Its columns are the view's, so they stand there alone.
    # One row per evaluated run and test performance.
    "evaluations": pa.schema(
        [
            ("experiment", pa.string()),
            ("run_id", ID),
            ("performance_id", ID),
            ("num_tokens", pa.int32()),
            ("num_notes", pa.int32()),
            ("duration_sec", pa.float64()),
            ("nats", pa.float64()),
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
            ("num_notes", pa.int32()),
            ("duration_sec", pa.float64()),
            ("midi", pa.binary()),
        ]
    ),
}


BULK_TABLES = ("notes", "controls")
"""The tables that hold nearly all rows: written for speed first, room second."""


def empty(table: str) -> pa.Table:
    """A table of no rows with the schema of `table`."""
    return SCHEMAS[table].empty_table()
