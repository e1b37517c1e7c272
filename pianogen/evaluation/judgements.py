"""The stage that judges what a run plays: how much it cycles, copies and resembles, beside held-out music.

`sample_judgements` has a row for each sample of an experiment, and one for an excerpt of each test performance, the
base line; `sample_copies` each copied passage; `sample_distances` how the samples as a set stand to the test split.
All of a sample but its prompt is judged. Train is what the experiment's shards hold of it; what a fine-tune's parents
were trained on is not looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen import parallel
from pianogen.errors import LakeError
from pianogen.evaluation.distances import set_distances
from pianogen.evaluation.excerpts import (
    HELD_OUT,
    SAMPLE,
    Excerpt,
    drawn_part,
    held_out_excerpts,
    measured_tables,
    median_notes,
    tokens_of,
    whole_file,
)
from pianogen.evaluation.memorization import Copy, CopyConfig, copied_shares, find_copies, longest_copy
from pianogen.evaluation.repetition import measure_repetition
from pianogen.evaluation.structure import measure_structure
from pianogen.evaluation.window_index import STAGE as WINDOWS
from pianogen.evaluation.window_index import Melody, WindowIndex, build_window_index
from pianogen.judged import MEASURED
from pianogen.lake import Lake, Manifest, Stage
from pianogen.reading import parse_file
from pianogen.settings import Settings
from pianogen.shards import ShardSet
from pianogen.statistics.build import STAGE as STATISTICS
from pianogen.statistics.measures import measure
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import Tokenizer

STAGE = Stage(
    name="judgements",
    modules=(
        *(
            f"pianogen.evaluation.{name}"
            for name in (
                "distances",
                "excerpts",
                "features",
                "judgements",
                "memorization",
                "repetition",
                "structure",
            )
        ),
        "pianogen.judged",
        "pianogen.dedupe.alignment",
        "pianogen.dedupe.matched_notes",
        *STATISTICS.modules,
    ),
    packages=("numba", "numpy", "pyarrow"),
    tables=("sample_judgements", "sample_copies", "sample_distances"),
)


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """How samples are judged."""

    copies: CopyConfig = field(default_factory=CopyConfig)
    max_held_out: int = 200
    """Test performances of the base line at most: those of the lowest ids, which are hashes."""


@dataclass(frozen=True, eq=False)
class Judged:
    """An excerpt, its row of `sample_judgements`, and its rows of `sample_copies`; both without experiment and run."""

    excerpt: Excerpt
    row: dict[str, Any]
    copies: list[dict[str, Any]]


def judge_samples(
    lake: Lake,
    experiment: str,
    settings: Settings,
    config: JudgeConfig = JudgeConfig(),
    progress: parallel.Progress | None = None,
) -> Manifest:
    """Judge the current samples of an experiment; done once for each set of samples, shards and settings.

    Args:
        lake: where shards and samples lie and the rows go, partition = the experiment.
        experiment: its name.
        settings: number of workers and backend, for the index of the training music.
        config: how.
        progress: told the number of blocks of training music indexed, and of those to be indexed.

    Raises:
        LakeError: there are no samples yet, or they were drawn from other shards than there are now.
    """
    drawn, shards = lake.require("samples", experiment), ShardSet(lake, experiment)
    if drawn.info.get("shards_version") != shards.version:
        raise LakeError(
            f"the samples of {experiment!r} were drawn by a model of other shards; train and draw again "
            f"(`pianogen train {experiment}`, `pianogen evaluate {experiment}`)"
        )
    train = TrainingMusic(lake, shards, settings, progress)
    inputs = [drawn.version, shards.version, train.version]
    key = STAGE.key(inputs=inputs, settings=[experiment, asdict(config)])
    if not lake.has_block(STAGE.name, key):
        samples = [drawn_part(row) for row in _sample_rows(lake, drawn)]
        held_out = sorted(set(shards.sequences("test").performance_ids))[: config.max_held_out]
        excerpts = [*samples, *held_out_excerpts(lake, held_out, median_notes(samples))]
        judged = judge_excerpts(excerpts, train, shards.tokenizer, config)
        lake.write_block(STAGE.name, key, _tables(judged, experiment, drawn.info["run_id"]))
    info = {"experiment": experiment, "run_id": drawn.info["run_id"], "shards_version": shards.version}
    return lake.publish(STAGE, [key], partition=experiment, info=info)


def judge_files(
    lake: Lake,
    experiment: str | None,
    paths: Sequence[Path],
    settings: Settings,
    config: JudgeConfig = JudgeConfig(),
    progress: parallel.Progress | None = None,
) -> list[Judged]:
    """Judge files as samples are judged; nothing of it is kept but the index of the training music.

    Args:
        lake: holds the experiment's shards.
        experiment: against whose training music; None: copies and tokens are not asked for.
        paths: MIDI or MusicXML files.
        settings: number of workers and backend.
        config: how.
        progress: as of `judge_samples`.

    Raises:
        RejectedFileError: a file is not music.
        LakeError: the experiment has no shards yet.
    """
    excerpts = [whole_file(parse_file(path), path.name) for path in paths]
    if experiment is None:
        return judge_excerpts(excerpts, None, None, config)
    shards = ShardSet(lake, experiment)
    return judge_excerpts(excerpts, TrainingMusic(lake, shards, settings, progress), shards.tokenizer, config)


class TrainingMusic:
    """What an experiment was trained on: its index, and what its performances are called.

    Args:
        lake: holds the notes, and the index when this is done.
        shards: of the experiment.
        settings: number of workers and backend.
        progress: as of `judge_samples`.
    """

    def __init__(
        self, lake: Lake, shards: ShardSet, settings: Settings, progress: parallel.Progress | None = None
    ) -> None:
        ids = set(shards.sequences("train").performance_ids)
        self._lake = lake
        manifest = build_window_index(lake, shards.manifest.partition, ids, settings, progress)
        clusters = lake.read("splits", ["performance_id", "cluster_id"]).to_pydict()
        work_of = dict(zip(clusters["performance_id"], clusters["cluster_id"], strict=True))
        self.index = WindowIndex(lake, manifest, ids, work_of)
        splits = lake.manifest("splits")
        self.version = [manifest.version, splits.version if splits else None, WINDOWS.key(inputs=[])]

    def names(self, performance_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Dataset of performances, and composer and title as it says, or the file's path."""
        wanted = pa.table({"performance_id": pa.array(sorted(set(performance_ids)), pa.string())})
        if not wanted.num_rows:
            return {}
        with self._lake.connect(["files", "sources", "performances"]) as connection:
            connection.register("wanted", wanted)
            rows = connection.sql(_NAMES).fetchall()
        return {performance_id: (dataset, title) for performance_id, dataset, title in rows}


_NAMES = """
select
    performance_id,
    any_value(performances.dataset),
    min(concat_ws(
        ': ',
        coalesce(nullif(sources.composer, ''), nullif(performances.composer, '')),
        coalesce(nullif(sources.title, ''), nullif(performances.title, ''), files.path, performance_id)
    ))
from performances
inner join wanted using (performance_id)
left join files using (performance_id)
left join sources on sources.dataset = files.dataset and sources.path = files.path
group by performance_id
"""


def judge_excerpts(
    excerpts: Sequence[Excerpt], train: TrainingMusic | None, tokenizer: Tokenizer | None, config: JudgeConfig
) -> list[Judged]:
    """Each excerpt with its numbers.

    Args:
        excerpts: what is judged.
        train: that copies are looked for in; without it nothing is said of them.
        tokenizer: whose tokens are asked for repeats; None: none is.
        config: how.
    """
    copies: list[list[Copy]] = [[] for _ in excerpts]
    names: Mapping[str, tuple[str, str]] = {}
    if train is not None:
        pieces = [Melody(e.notes.pitch, e.notes.onset_sec, e.notes.offset_sec) for e in excerpts]
        copies = find_copies(pieces, train.index, config.copies)
        names = train.names(train.index.ids[copy.owner] for found in copies for copy in found)
    measured = measure(measured_tables(excerpts))["performance_statistics"].to_pylist()
    of_corpus = {int(row["performance_id"]): {name: row[name] for name in MEASURED} for row in measured}
    judged = []
    for k, (excerpt, found) in enumerate(zip(excerpts, copies, strict=True)):
        row: dict[str, Any] = {
            "source": excerpt.source,
            "name": excerpt.name,
            "title": excerpt.title,
            "performance_id": excerpt.performance_id,
            "start_sec": excerpt.start_sec,
            "duration_sec": excerpt.duration_sec,
            "num_notes": len(excerpt.notes.pitch),
            "rejection": excerpt.rejection,
        }
        rows = []
        if excerpt.rejection is None:
            notes = excerpt.notes
            row |= measure_repetition(notes.pitch, notes.onset_sec, tokens_of(excerpt, tokenizer))
            row |= measure_structure(notes.pitch, notes.onset_sec, notes.offset_sec)
            row |= of_corpus.get(k, {})
            if train is not None:
                row |= copied_shares(found, len(notes.pitch))
                rows = [_copy_row(excerpt, copy, train, names) for copy in found]
                if longest := longest_copy(found):
                    source = train.index.ids[longest.owner]
                    dataset, title = names[source]
                    row |= {"copied_from": source, "copied_from_dataset": dataset, "copied_from_title": title}
        judged.append(Judged(excerpt, row, rows))
    return judged


def _copy_row(
    excerpt: Excerpt, copy: Copy, train: TrainingMusic, names: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    source = train.index.ids[copy.owner]
    dataset, title = names[source]
    return {
        "source": excerpt.source,
        "name": excerpt.name,
        "start_sec": copy.start_sec,
        "end_sec": copy.end_sec,
        "num_notes": copy.num_notes,
        "share": copy.share,
        "performance_id": source,
        "dataset": dataset,
        "title": title,
        "copied_start_sec": copy.source_start_sec,
        "copied_end_sec": copy.source_end_sec,
        "semitones": copy.semitones,
        "tempo_ratio": copy.tempo_ratio,
    }


def _sample_rows(lake: Lake, drawn: Manifest) -> list[dict[str, Any]]:
    return [row for key in drawn.blocks for row in lake.read_block(drawn.stage, key, "samples").to_pylist()]


def _tables(judged: Sequence[Judged], experiment: str, run_id: str) -> dict[str, pa.Table]:
    whose = {"experiment": experiment, "run_id": run_id}
    distances = set_distances(
        [one.excerpt for one in judged if one.excerpt.source == SAMPLE and one.excerpt.rejection is None],
        [one.excerpt for one in judged if one.excerpt.source == HELD_OUT],
        [one.row for one in judged if one.excerpt.source == SAMPLE and one.excerpt.rejection is None],
        [one.row for one in judged if one.excerpt.source == HELD_OUT],
    )
    rows = {
        "sample_judgements": [one.row for one in judged],
        "sample_copies": [row for one in judged for row in one.copies],
        "sample_distances": distances,
    }
    return {
        name: pa.Table.from_pylist([{**whose, **row} for row in found], schema=SCHEMAS[name])
        for name, found in rows.items()
    }
