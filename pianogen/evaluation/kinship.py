"""The stage that says of each test performance what a run has seen of its music: evidence of a leak, piece by piece.

A test performance is *contaminated* where the run was trained on it, or on one that is related to it in a way that the
split's policy wants on one side. Without a leak none is; what the policy lets stand apart is told all the same.
"""

from pathlib import Path

import pyarrow as pa

from pianogen.dedupe.groups import TIERS, splitting_relations
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.splits import policy_of
from pianogen.tables import SCHEMAS
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.runs import require_run, run_folder
from pianogen.training.seen import read_seen

STAGE = Stage(
    name="test_kinships",
    modules=("pianogen.evaluation.kinship", "pianogen.dedupe.groups"),
    packages=("duckdb",),
    tables=("test_kinships",),
)
ITSELF = "itself"
"""Relation of a test performance that was trained on."""


def find_kinships(lake: Lake, runs: Path, experiment: ExperimentConfig) -> Manifest:
    """Write the table `test_kinships` of the experiment's evaluated run, partition = the experiment's name.

    Args:
        lake: with its evaluations, and the current pairs and splits.
        runs: folder of all runs.
        experiment: its current settings say which run.

    Raises:
        LakeError: it was not evaluated yet, or nobody wrote down what the run was trained on.
        TrainingError: the run is not finished.
    """
    folder = run_folder(lake, runs, experiment)
    run = require_run(folder)
    evaluated = lake.require("evaluations", experiment.name)
    if evaluated.info["run_id"] != run["run_id"]:
        raise LakeError(f"{experiment.name}: the evaluation is of another run; evaluate it again")
    seen = read_seen(folder, run.get("trained_on"))
    if seen is None:
        raise LakeError(f"{folder}: what it was trained on is not written down, or was changed since; train it again")
    policy = policy_of(lake.require("splits"))
    key = STAGE.key(
        inputs=[run["run_id"], run["trained_on"], evaluated.version, lake.require("duplicate_pairs").version],
        settings=[experiment.name, sorted(splitting_relations(policy))],
    )
    if not lake.has_block(STAGE.name, key):
        tested = [
            row["performance_id"]
            for block in evaluated.blocks
            for row in lake.read_block("evaluations", block, "evaluations", ["performance_id"]).to_pylist()
        ]
        rows = _kinships(lake, sorted(tested), sorted(seen), sorted(splitting_relations(policy)))
        about = {"experiment": experiment.name, "run_id": run["run_id"]}
        table = pa.Table.from_pylist([{**about, **row} for row in rows], SCHEMAS["test_kinships"])
        lake.write_block(STAGE.name, key, {"test_kinships": table})
    return lake.publish(STAGE, [key], partition=experiment.name, info={"run_id": run["run_id"]})


def _kinships(lake: Lake, tested: list[str], seen: list[str], splitting: list[str]) -> list[dict]:
    with lake.connect(["duplicate_pairs"]) as connection:
        connection.register("tested", pa.table({"performance_id": pa.array(tested, pa.string())}))
        connection.register("seen", pa.table({"performance_id": pa.array(seen, pa.string())}))
        params = {"tiers": [ITSELF, *TIERS], "splitting": [ITSELF, *splitting]}
        return connection.sql(_NEAREST, params=params).to_arrow_table().to_pylist()


_NEAREST = """
with kin as (
    select performance_id, performance_id as kin_id, 'itself' as relation, 1.0 as score, 1.0 as coverage
    from tested
    inner join seen using (performance_id)
    union all
    select performance_a, performance_b, relation, score, coverage_a
    from duplicate_pairs
    inner join tested on tested.performance_id = performance_a
    inner join seen on seen.performance_id = performance_b
    union all
    select performance_b, performance_a, relation, score, coverage_b
    from duplicate_pairs
    inner join tested on tested.performance_id = performance_b
    inner join seen on seen.performance_id = performance_a
),

nearest as (
    select *
    from kin
    qualify row_number() over (
        partition by performance_id order by list_position($tiers, relation), score desc, kin_id
    ) = 1
)

select
    tested.performance_id,
    nearest.relation,
    coalesce(list_contains($splitting, nearest.relation), false) as is_contaminated,
    nearest.score,
    nearest.coverage,
    nearest.kin_id as train_performance_id
from tested
left join nearest using (performance_id)
order by tested.performance_id
"""
