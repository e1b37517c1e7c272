"""What is in one file, or why it is rejected, as plain values."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from pianogen.catalogue import printable
from pianogen.errors import RejectedFileError
from pianogen.midi.parse import words_of_mido
from pianogen.midi.parsed import ParsedFile
from pianogen.parallel import run_alone
from pianogen.reading import MAX_FILE_BYTES, cause_of, parse_bytes, reason_of
from pianogen.workers import Died


def inspect_file(path: Path) -> dict[str, Any]:
    """Facts of one file; JSON values only.

    The file is parsed in a process of its own: one that ends the parser is told as rejected.

    Returns:
        Always `path`, `status` (accepted or rejected), `reason` and `detail` (null when accepted) and
        `warnings`; `num_notes`, `duration_sec` and the rest are null when rejected. Of broken MIDI files
        the detail says what mido makes of them, too.
    """
    facts: dict[str, Any] = {"path": printable(path), "status": "rejected", "reason": None, "detail": None}
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        outcome = "unreadable", error.strerror or str(error)
    else:
        outcome = run_alone(_parse, (data, path.name))
    if isinstance(outcome, Died):
        outcome = reason_of(cause_of(outcome))
    if not isinstance(outcome, dict):
        reason, detail = outcome
        return {**facts, "reason": reason, "detail": detail, "warnings": [], **dict.fromkeys(_FACTS)}
    return {**facts, "status": "accepted", **outcome}


_FACTS = (
    "format",
    "title",
    "composer",
    "num_notes",
    "num_drum_notes",
    "num_tracks",
    "parts",
    "duration_sec",
    "duration_quarters",
    "ticks_per_quarter",
    "pitch_range",
    "velocity_range",
    "programs",
    "tempo_qpm",
    "time_signatures",
    "key_signatures",
    "num_controls",
    "num_presses",
    "message_counts",
    "size_bytes",
    "file_id",
)


def _parse(file: tuple[bytes, str]) -> dict[str, Any] | tuple[str, str]:
    data, name = file
    try:
        parsed = parse_bytes(data, name)
    except RejectedFileError as error:
        if error.reason in ("truncated", "invalid_bytes"):
            return error.reason, f"{error.detail} (mido: {words_of_mido(data)})"
        return error.reason, error.detail
    facts = _facts(parsed, data)
    assert set(facts) - {"warnings"} == set(_FACTS)
    return facts


def _facts(parsed: ParsedFile, data: bytes) -> dict[str, Any]:
    notes = parsed.notes
    pitched = ~notes["is_drum"].to_numpy(zero_copy_only=False)
    pitch, velocity = (notes[name].to_numpy()[pitched] for name in ("pitch", "velocity"))
    tempo_qpm = parsed.tables["tempos"]["tempo_qpm"].to_numpy()
    return {
        "warnings": list(parsed.warnings),
        "format": parsed.format,
        "title": parsed.title,
        "composer": parsed.composer,
        "num_notes": parsed.num_notes,
        "num_drum_notes": parsed.num_drum_notes,
        "num_tracks": parsed.num_tracks,
        "parts": parsed.tables["parts"].to_pylist(),
        "duration_sec": round(parsed.duration_sec, 3),
        "duration_quarters": round(parsed.duration_quarters, 3),
        "ticks_per_quarter": parsed.ticks_per_quarter,
        "pitch_range": [int(pitch.min()), int(pitch.max())],
        "velocity_range": [int(velocity.min()), int(velocity.max())],
        "programs": [int(p) for p in np.unique(notes["program"].to_numpy()[pitched])],
        "tempo_qpm": {
            "num": len(tempo_qpm),
            "min": round(float(tempo_qpm.min()), 2),
            "max": round(float(tempo_qpm.max()), 2),
        },
        "time_signatures": _listed(parsed, "time_signatures", "{numerator}/{denominator}"),
        "key_signatures": _listed(parsed, "key_signatures", "{sharps:+d} {mode}"),
        "num_controls": parsed.tables["controls"].num_rows,
        "num_presses": {
            row["values"]: row["counts"] for row in parsed.tables["pedal_presses"]["pedal"].value_counts().to_pylist()
        },
        "message_counts": {row["kind"]: row["num_messages"] for row in parsed.tables["message_counts"].to_pylist()},
        "size_bytes": len(data),
        "file_id": hashlib.sha256(data).hexdigest(),
    }


def _listed(parsed: ParsedFile, table: str, form: str) -> list[str]:
    """Distinct values in order of appearance."""
    return list(dict.fromkeys(form.format(**row) for row in parsed.tables[table].to_pylist()))
