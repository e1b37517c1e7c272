"""`python -m pianogen.precompile`: compile what numba compiles, on two cores, so that no first run waits for it.

A little music goes through the stages that are compiled. What they need more is compiled when it is needed.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pianogen.augment import AugmentConfig
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.evaluation.memorization import find_copies
from pianogen.evaluation.repetition import measure_repetition
from pianogen.evaluation.structure import measure_structure
from pianogen.evaluation.window_index import Melody, WindowIndex, build_window_index
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.round_trips.measures import measure_round_trip
from pianogen.round_trips.tokenizers import BUILT_IN
from pianogen.settings import Settings
from pianogen.shards.rows import augmented_rows
from pianogen.statistics.build import build_statistics
from pianogen.tokenizers.base import LearnedTokenizer, Tokenizer, make_tokenizer
from pianogen.workers import Died, run_tasks

NUM_FILES, NUM_NOTES = 4, 200
VOCAB_SIZE = 300
"""Of subwords: so little music has few of them."""


class _Task(NamedTuple):
    work: Callable
    settings: Settings
    names: tuple[str, ...] = ()
    """Of tokenizers."""


def main() -> int:
    """Compile; 0 when all of it was."""
    half = len(BUILT_IN) // 2
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = _settings_in(root)
        for number in range(NUM_FILES):
            (root / f"{number}.mid").write_bytes(midi_bytes(_music(number)))
        tasks = [
            _Task(_dedupe, settings),
            _Task(_tokenize, settings, tuple(BUILT_IN)[:half]),
            _Task(_tokenize, settings, tuple(BUILT_IN)[half:]),
            _Task(_measure, settings),
        ]
        died = [result for _, result in run_tasks(_work, tasks, 2) if isinstance(result, Died)]
    for one in died:
        print(f"error: compiling: {one}", file=sys.stderr)
    return 1 if died else 0


def _music(number: int) -> NoteColumns:
    """Notes at random; every second piece is the one before a tone higher, so that there are pairs to be looked at."""
    rng = np.random.default_rng(number // 2)
    return NoteColumns(
        pitch=(rng.integers(40, 80, NUM_NOTES) + 2 * (number % 2)).astype(np.uint8),
        velocity=rng.integers(1, 128, NUM_NOTES).astype(np.uint8),
        onset_tick=np.cumsum(rng.integers(0, 400, NUM_NOTES)).astype(np.int32),
        duration_tick=rng.integers(1, 900, NUM_NOTES).astype(np.int32),
        ticks_per_quarter=480,
    ).sorted()


def _settings_in(root: Path) -> Settings:
    no = root / "unused"
    return Settings(root=root, lake=root / "lake", runs=no, warehouse=no, report=no, sql=no, experiments=no, workers=1)


def _work(task: _Task) -> None:
    task.work(task)


def _ingested(settings: Settings) -> Lake:
    """The lake; whoever comes second waits for the first."""
    lake = Lake(settings.lake)
    ingest_dataset(lake, Dataset(name="some", title="Some", folder=settings.root), settings)
    return lake


def _dedupe(task: _Task) -> None:
    lake = _ingested(task.settings)
    fingerprint_dataset(lake, "some", task.settings)
    find_duplicate_pairs(lake, settings=task.settings)
    find_clusters(lake, ["some"])


def _measure(task: _Task) -> None:
    lake = _ingested(task.settings)
    build_statistics(lake, "some", task.settings)
    ids = lake.read("performances", ["performance_id"])["performance_id"].to_pylist()
    index = WindowIndex(lake, build_window_index(lake, "some", ids, task.settings), ids, {})
    notes = _music(1)
    piece = Melody(notes.pitch.astype(np.int64), notes.onset_tick / 960, (notes.onset_tick + 480) / 960)
    find_copies([piece], index)
    measure_repetition(piece.pitch, piece.onset_sec, None)
    measure_structure(*piece)


def _tokenize(task: _Task) -> None:
    music = music_block([_music(number) for number in range(NUM_FILES)])
    ids = pa.array([str(number) for number in range(NUM_FILES)])
    for name in task.names:
        options = BUILT_IN[name]
        coder: Tokenizer = make_tokenizer(
            {**options, **({"vocab_size": VOCAB_SIZE} if "vocab_size" in options else {})}
        )
        if isinstance(coder, LearnedTokenizer) and not coder.is_learned:
            coder = coder.learned_from([music])
        measure_round_trip(coder, music, name, ids)
        list(augmented_rows(coder, music, AugmentConfig()))


if __name__ == "__main__":
    # Workers find their work by the module's name, which is another one here.
    from pianogen import precompile

    sys.exit(precompile.main())
