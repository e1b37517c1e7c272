"""Rows of the warehouse's tables that tests of the report start from; a test writes out what it changes."""

from typing import Any

import symusic

Rows = list[dict[str, Any]]
Note = tuple[int, float, float, int]
"""Pitch, onset_sec, duration_sec, velocity."""


def midi_bytes(notes: list[Note]) -> bytes:
    """A MIDI file with one piano track, at 120 quarters a minute and 1 ms a tick."""
    score = symusic.Score(500)
    score.tempos.append(symusic.Tempo(time=0, qpm=120))
    track = symusic.Track(program=0)
    for pitch, onset, duration, velocity in notes:
        track.notes.append(symusic.Note(round(onset * 1000), round(duration * 1000), pitch, velocity))
    score.tracks.append(track)
    return score.dumps_midi()


def sample(**columns: Any) -> dict[str, Any]:
    """A row of `samples`: two notes of prompt, two generated, unless said otherwise."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "sample": "prompt_0",
        "title": "A continuation",
        "prompt_performance_id": None,
        "prompt_sec": 1.0,
        "seed": 7,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 0.95,
        "num_notes": 4,
        "duration_sec": 4.0,
        "midi": midi_bytes([(60, 0.0, 0.5, 80), (64, 0.5, 0.5, 80), (67, 1.0, 1.0, 100), (72, 2.0, 2.0, 110)]),
    }
    return row | columns


def run(**columns: Any) -> dict[str, Any]:
    """A row of `runs`."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "status": "finished",
        "model": "gpt2",
        "tokenizer": "remi",
        "datasets": ["bach"],
        "context_length": 256,
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 128,
        "num_parameters": 1234567,
        "steps": 400,
        "best_step": 300,
        "validation_nll": 1.2,
        "seed": 1,
        "device": "cpu",
        "train_sec": 80.0,
        "peak_memory_mb": 900.0,
        "tokens_per_sec": 9000.0,
        "dataset_versions": [("bach", "d0d0d0d0d0d0d0d0")],
        "licences": [("bach", "CC0")],
        "non_commercial_datasets": [],
        "split_version": "5417aaaa",
        "shards_version": "54a2d000",
        "certificate": "ce27f1ca",
        "code_version": "c0de0000",
        "checkpoint": "best",
    }
    return row | columns


def evaluation(**columns: Any) -> dict[str, Any]:
    """A row of `evaluations`: 100 notes in 50 s, at 7 bits a note."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "performance_id": "f00d",
        "num_tokens": 400,
        "num_notes": 100,
        "duration_sec": 50.0,
        "nats": 700 * 0.6931471805599453,
    }
    return row | columns


def corpus(dataset: str = "bach") -> dict[str, Rows]:
    """One dataset of three files: two performances, in train and test, and a rejection."""
    ids = [f"{dataset}-{i}" for i in range(2)]
    notes = [(ids[0], 60, 0.0, 1.0), (ids[0], 64, 1.0, 3.5), (ids[1], 60, 0.5, 1800.0)]
    return {
        "files": [{"dataset": dataset, "path": f"{i}.mid"} for i in range(3)],
        "rejections": [{"dataset": dataset, "path": "2.mid", "stage": "parse", "reason": "truncated"}],
        "performances": [
            {"performance_id": ids[0], "dataset": dataset, "title": "Opus 1", "num_notes": 2, "duration_sec": 3.5},
            {"performance_id": ids[1], "dataset": dataset, "title": "Opus 2", "num_notes": 1, "duration_sec": 1800.0},
        ],
        "notes": [
            {"performance_id": p, "is_drum": False, "pitch": pitch, "velocity": 64, "onset_sec": on, "offset_sec": off}
            for p, pitch, on, off in notes
        ],
        "splits": [
            {"performance_id": ids[0], "dataset": dataset, "cluster_id": "a", "split": "train", "reason": "cluster"},
            {"performance_id": ids[1], "dataset": dataset, "cluster_id": "b", "split": "test", "reason": "cluster"},
        ],
    }
