"""The stage that compares: scores with their intervals, and runs two by two on the music that both were scored on.

    bits_per_note        nats of all tokens / ln 2 / notes of the source
    bits_per_second      the same / seconds of music
    whole_bits_per_note  nats of what tokens say of notes and sustain pedal / ln 2, and what they leave unsaid
                         (`round_trips.residual`), over notes: the bits of one and the same piece whatever the tokenizer

Sums run over all performances before the division. Intervals are those of a bootstrap over groups of the same music
(Efron 1979; percentiles): `RESAMPLES` times as many groups are drawn with replacement, and of the scores that come
out the middle 95 % are the interval. Two runs are drawn together, so that what makes music hard for both falls out, and
the share of draws in which one has fewer bits is how likely it is to be better; draws with equal bits count by half. It
says nothing of what another training of the same experiment would give.

Parts: `all` performances, those that are `contaminated` (`evaluation.kinship`; of two runs, for either), `clean` ones.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pianogen.lake import Lake, Manifest, Stage
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="scores",
    modules=("pianogen.evaluation.scores",),
    packages=("duckdb", "numpy"),
    tables=("scores", "paired_scores"),
)
MEASURES = ("bits_per_note", "bits_per_second", "whole_bits_per_note")
PARTS = ("all", "clean", "contaminated")
RESAMPLES = 10_000
SEED = 1
INTERVAL = (2.5, 97.5)
"""Percentiles."""
GIVEN = ("tempo", "metre", "program")
"""Attributes that are not of the piece that `whole_bits_per_note` writes."""
CELLS = 2**24
"""Counts of drawn groups held at once."""


_RATIO = {"bits_per_note": ("bits", "notes"), "bits_per_second": ("bits", "seconds"),
          "whole_bits_per_note": ("whole", "notes")}  # fmt: skip
_SUMMED = ("bits", "whole", "notes", "seconds")


class Run(NamedTuple):
    """What one evaluated run gave, a row for each performance; shape (num_performances,) each."""

    experiment: str
    run_id: str
    performance_ids: np.ndarray
    """Ascending."""
    groups: np.ndarray
    """Names of the music that each is of."""
    is_contaminated: np.ndarray
    sums: np.ndarray
    """Bits, bits of the whole piece, notes and seconds, float64, shape (num_performances, 4)."""


def compare_runs(lake: Lake) -> Manifest:
    """Write the tables `scores` and `paired_scores` of all evaluated runs; done once for the same evaluations.

    Args:
        lake: with evaluations, the kinships of what they were scored on where these are known, and the current splits.

    Raises:
        LakeError: there is no split.
    """
    evaluated = [manifest.blocks for manifest in lake.manifests("evaluations")]
    kin = [manifest.blocks for manifest in lake.manifests("test_kinships")]
    key = STAGE.key(inputs=[evaluated, kin, lake.require("splits").version])
    if not lake.has_block(STAGE.name, key):
        made = score_runs(_runs(lake))
        tables = {name: pa.Table.from_pylist(rows, SCHEMAS[name]) for name, rows in made.items()}
        lake.write_block(STAGE.name, key, tables)
    return lake.publish(STAGE, [key], info={"resamples": RESAMPLES, "seed": SEED})


def score_runs(runs: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """Rows of `scores` and of `paired_scores`."""
    drawings = _Drawings()
    return {
        "scores": [row for run in runs for row in _scores(run, drawings)],
        "paired_scores": [row for a, b in itertools.combinations(runs, 2) for row in _paired(a, b, drawings)],
    }


def drawn_counts(num_groups: int) -> Iterable[np.ndarray]:
    """How often each group is drawn, shape (some draws, num_groups); RESAMPLES draws in all, the same every time."""
    generator = np.random.default_rng([SEED, num_groups])
    step = max(1, CELLS // max(num_groups, 1))
    for first in range(0, RESAMPLES, step):
        draws = min(step, RESAMPLES - first)
        yield generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), draws).astype(np.float64)


class _Drawings:
    """Sums of what was drawn, kept for each run and part of it: of a pair of runs nothing is drawn again."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, bytes], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, run: Run, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums over groups (num_groups, 4), and over those of each draw (RESAMPLES, 4), of some performances."""
        key = (run.experiment, run.run_id, b" ".join(run.performance_ids[rows].astype(bytes)))
        if key not in self._kept:
            _, group = np.unique(run.groups[rows], return_inverse=True)
            sums = np.stack([np.bincount(group, weights=column) for column in run.sums[rows].T], axis=-1)
            self._kept[key] = sums, np.concatenate([counts @ sums for counts in drawn_counts(len(sums))])
        return self._kept[key]


def _scores(run: Run, drawings: _Drawings) -> Iterable[dict[str, Any]]:
    for part, rows in _parts(run.is_contaminated):
        sums, drawn = drawings.of(run, rows)
        for measure in _RATIO:
            value = _ratio(sums.sum(axis=0), measure)
            if np.isnan(value):
                continue
            low, high = _interval(_ratio(drawn, measure), len(sums))
            yield {
                "experiment": run.experiment,
                "run_id": run.run_id,
                "part": part,
                "measure": measure,
                "value": float(value),
                "low": low,
                "high": high,
                "num_performances": len(rows),
                "num_groups": len(sums),
            }


def _paired(a: Run, b: Run, drawings: _Drawings) -> Iterable[dict[str, Any]]:
    _, of_a, of_b = np.intersect1d(a.performance_ids, b.performance_ids, assume_unique=True, return_indices=True)
    for part, shared in _parts(a.is_contaminated[of_a] | b.is_contaminated[of_b]):
        (sums_a, drawn_a), (sums_b, drawn_b) = drawings.of(a, of_a[shared]), drawings.of(b, of_b[shared])
        for measure in _RATIO:
            value_a, value_b = (_ratio(sums.sum(axis=0), measure) for sums in (sums_a, sums_b))
            if np.isnan(value_a):
                continue
            difference = _ratio(drawn_a, measure) - _ratio(drawn_b, measure)
            difference = difference[np.isfinite(difference)]
            low, high = _interval(difference, len(sums_a))
            better = (difference < 0).mean() + 0.5 * (difference == 0).mean()
            yield {
                "experiment_a": a.experiment,
                "run_a": a.run_id,
                "experiment_b": b.experiment,
                "run_b": b.run_id,
                "part": part,
                "measure": measure,
                "value_a": float(value_a),
                "value_b": float(value_b),
                "difference": float(value_a - value_b),
                "low": low,
                "high": high,
                "probability_a_is_better": None if low is None else float(better),
                "num_performances": len(shared),
                "num_groups": len(sums_a),
            }


def _ratio(sums: np.ndarray, measure: str) -> np.ndarray:
    """A score of sums (..., 4); NaN where it would be divided by nothing."""
    above, below = (sums[..., _SUMMED.index(name)] for name in _RATIO[measure])
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _interval(drawn: np.ndarray, num_groups: int) -> tuple[float | None, float | None]:
    """The middle 95 %; None of a single group, which says nothing of others."""
    drawn = drawn[np.isfinite(drawn)]
    if num_groups < 2 or not len(drawn):
        return None, None
    low, high = np.percentile(drawn, INTERVAL)
    return float(low), float(high)


def _parts(is_contaminated: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    """Parts that there are, and which rows each has."""
    chosen = {"all": np.ones(len(is_contaminated), bool), "clean": ~is_contaminated, "contaminated": is_contaminated}
    return [(part, np.flatnonzero(chosen[part])) for part in PARTS if chosen[part].any()]


def _runs(lake: Lake) -> list[Run]:
    with lake.connect(["evaluations", "evaluation_parts", "test_kinships", "splits"]) as connection:
        found = connection.sql(_SUMS, params={"given": list(GIVEN)}).to_arrow_table()
    columns = {name: found[name].to_numpy(zero_copy_only=False) for name in found.column_names}
    owner = np.char.add(columns["experiment"].astype(str), columns["run_id"].astype(str))
    edges = [0, *(np.flatnonzero(owner[1:] != owner[:-1]) + 1), len(owner)] if len(owner) else [0]
    sums = np.stack([columns[name].astype(np.float64) for name in _SUMMED], axis=-1)
    return [
        Run(
            columns["experiment"][first],
            columns["run_id"][first],
            columns["performance_id"][first:end].astype(str),
            columns["music"][first:end].astype(str),
            columns["is_contaminated"][first:end].astype(bool),
            sums[first:end],
        )
        for first, end in itertools.pairwise(edges)
    ]


_SUMS = """
with told as (
    select experiment, run_id, performance_id, sum(nats) as nats
    from evaluation_parts
    where not list_contains($given, attribute)
    group by all
)

select
    evaluations.experiment,
    evaluations.run_id,
    evaluations.performance_id,
    -- What left the split since is a group of its own.
    coalesce(splits.split_group, splits.cluster_id, evaluations.performance_id) as music,
    coalesce(test_kinships.is_contaminated, false)                              as is_contaminated,
    evaluations.nats / ln(2)                                                    as bits,
    coalesce(told.nats, 0) / ln(2) + evaluations.residual_bits                  as whole,
    evaluations.num_notes                                                       as notes,
    evaluations.duration_sec                                                    as seconds
from evaluations
left join told using (experiment, run_id, performance_id)
left join test_kinships using (experiment, run_id, performance_id)
left join splits using (performance_id)
order by 1, 2, 3
"""
