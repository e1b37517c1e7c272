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
import math
from collections.abc import Iterable, Mapping, Sequence
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


class Run(NamedTuple):
    """What one evaluated run gave."""

    experiment: str
    run_id: str
    sums: dict[str, np.ndarray]
    """Of each performance: bits, whole_bits, notes, seconds, float64, shape (4,)."""
    contaminated: frozenset[str]


BITS, WHOLE, NOTES, SECONDS = range(4)
_RATIO = {"bits_per_note": (BITS, NOTES), "bits_per_second": (BITS, SECONDS), "whole_bits_per_note": (WHOLE, NOTES)}


def compare_runs(lake: Lake) -> Manifest:
    """Write the tables `scores` and `paired_scores` of all evaluated runs; done once for the same evaluations.

    Args:
        lake: with evaluations, the kinships of what they were scored on where these are known, and the current splits.

    Raises:
        LakeError: nothing was evaluated yet, or there is no split.
    """
    evaluated = [manifest.blocks for manifest in lake.manifests("evaluations")]
    kin = [manifest.blocks for manifest in lake.manifests("test_kinships")]
    key = STAGE.key(inputs=[evaluated, kin, lake.require("splits").version])
    if not lake.has_block(STAGE.name, key):
        group = _groups(lake)
        runs = _runs(lake)
        rows = [row for run in runs for row in _scores(run, group)]
        pairs = [row for a, b in itertools.combinations(runs, 2) for row in _paired(a, b, group)]
        tables = {"scores": rows, "paired_scores": pairs}
        made = {name: pa.Table.from_pylist(found, SCHEMAS[name]) for name, found in tables.items()}
        lake.write_block(STAGE.name, key, made)
    return lake.publish(STAGE, [key], info={"resamples": RESAMPLES, "seed": SEED})


def ratios(numerator: np.ndarray, denominator: np.ndarray, counts: Iterable[np.ndarray]) -> np.ndarray:
    """Sums over sums of drawn groups.

    Args:
        numerator: of each group, shape (num_groups, ...).
        denominator: the same, shape (num_groups,).
        counts: how often each group was drawn, in parts of shape (some draws, num_groups).

    Returns:
        float64, shape (num_draws, ...); NaN where the denominator is 0.
    """
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for part in counts:
            below = (part @ denominator).reshape(-1, *[1] * (numerator.ndim - 1))
            found.append(np.where(below > 0, part @ numerator / below, np.nan))
    return np.concatenate(found)


def drawn_counts(num_groups: int) -> Iterable[np.ndarray]:
    """How often each group is drawn, in each of RESAMPLES draws, some draws at a time; the same every time."""
    generator = np.random.default_rng([SEED, num_groups])
    step = max(1, CELLS // max(num_groups, 1))
    for first in range(0, RESAMPLES, step):
        draws = min(step, RESAMPLES - first)
        yield generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), draws).astype(np.float64)


def _scores(run: Run, group: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    for part, names in _parts(run.sums, run.contaminated):
        sums = _by_group([run], names, group)[:, 0]
        total = sums.sum(axis=0)
        for measure, (above, below) in _RATIO.items():
            if not total[below]:
                continue
            low, high = _interval(sums[:, above], sums[:, below])
            yield {
                "experiment": run.experiment,
                "run_id": run.run_id,
                "part": part,
                "measure": measure,
                "value": total[above] / total[below],
                "low": low,
                "high": high,
                "num_performances": len(names),
                "num_groups": len(sums),
            }


def _paired(a: Run, b: Run, group: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    shared = a.sums.keys() & b.sums.keys()
    for part, names in _parts(shared, a.contaminated | b.contaminated):
        sums = _by_group([a, b], names, group)
        for measure, (above, below) in _RATIO.items():
            denominator = sums[:, 0, below]
            if not denominator.sum():
                continue
            values = sums[:, :, above].sum(axis=0) / denominator.sum()
            row = {"low": None, "high": None, "probability_a_is_better": None}
            if len(sums) > 1:
                drawn = ratios(sums[:, :, above], denominator, drawn_counts(len(sums)))
                difference = drawn[:, 0] - drawn[:, 1]
                difference = difference[np.isfinite(difference)]
                low, high = np.percentile(difference, INTERVAL)
                better = (difference < 0).mean() + 0.5 * (difference == 0).mean()
                row = {"low": low, "high": high, "probability_a_is_better": better}
            yield {
                "experiment_a": a.experiment,
                "run_a": a.run_id,
                "experiment_b": b.experiment,
                "run_b": b.run_id,
                "part": part,
                "measure": measure,
                "value_a": values[0],
                "value_b": values[1],
                "difference": values[0] - values[1],
                "num_performances": len(names),
                "num_groups": len(sums),
                **row,
            }


def _interval(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float | None, float | None]:
    """Of a score; None of a single group, which says nothing of others."""
    if len(numerator) < 2:
        return None, None
    drawn = ratios(numerator, denominator, drawn_counts(len(numerator)))
    low, high = np.percentile(drawn[np.isfinite(drawn)], INTERVAL)
    return float(low), float(high)


def _parts(names: Iterable[str], contaminated: frozenset[str]) -> Iterable[tuple[str, list[str]]]:
    everything = sorted(names)
    chosen = {
        "all": everything,
        "clean": [name for name in everything if name not in contaminated],
        "contaminated": [name for name in everything if name in contaminated],
    }
    return [(part, chosen[part]) for part in PARTS if chosen[part]]


def _by_group(runs: Sequence[Run], names: Sequence[str], group: Mapping[str, str]) -> np.ndarray:
    """Sums over groups of the same music, shape (num_groups, num_runs, 4)."""
    # What left the split since is a group of its own.
    groups = [group.get(name, name) for name in names]
    place = {name: i for i, name in enumerate(sorted(set(groups)))}
    sums = np.zeros((len(place), len(runs), 4))
    rows = np.array([[run.sums[name] for run in runs] for name in names])
    np.add.at(sums, [place[name] for name in groups], rows)
    return sums


def _groups(lake: Lake) -> dict[str, str]:
    columns = lake.read("splits", ["performance_id", "cluster_id", "split_group"]).to_pydict().values()
    return {name: joined or cluster for name, cluster, joined in zip(*columns, strict=True)}


def _runs(lake: Lake) -> list[Run]:
    whole: dict[tuple[str, str], float] = {}
    for row in lake.read("evaluation_parts").to_pylist():
        if row["attribute"] not in GIVEN:
            key = (row["run_id"] + row["experiment"], row["performance_id"])
            whole[key] = whole.get(key, 0.0) + row["nats"]
    kin = [row for row in lake.read("test_kinships").to_pylist() if row["is_contaminated"]]
    contaminated: dict[tuple[str, str], set[str]] = {}
    for row in kin:
        contaminated.setdefault((row["experiment"], row["run_id"]), set()).add(row["performance_id"])
    sums: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for row in lake.read("evaluations").to_pylist():
        name = row["performance_id"]
        told = whole.get((row["run_id"] + row["experiment"], name), 0.0) / math.log(2) + row["residual_bits"]
        values = [row["nats"] / math.log(2), told, row["num_notes"], row["duration_sec"]]
        sums.setdefault((row["experiment"], row["run_id"]), {})[name] = np.array(values, float)
    return [Run(*key, found, frozenset(contaminated.get(key, ()))) for key, found in sorted(sums.items())]
