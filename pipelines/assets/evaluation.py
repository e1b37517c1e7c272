"""Likelihood on the test split, samples and what is said of them, and the leaderboard."""

import dagster as dg

from pipelines import judged_samples
from pipelines.automation import when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import result, table
from pipelines.tables import columns, written


def build(experiments: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """What is said of one run is partitioned by experiment; scores and the leaderboard look at all of them."""

    @dg.asset(
        deps=["runs"],
        partitions_def=experiments,
        group_name="evaluation",
        kinds={"parquet"},
        pool="training",
        metadata=columns("evaluations", "evaluation_parts"),
    )
    def evaluations(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """Nats of every performance of the test split under the model."""
        import math

        from pianogen.evaluation.evaluations import evaluate_run
        from pianogen.training.experiment import load_experiment

        experiment = load_experiment(workspace.experiment_file(context.partition_key))
        manifest = evaluate_run(workspace.lake, workspace.settings.runs, experiment)
        names = ["nats", "num_tokens", "num_notes", "duration_sec"]
        rows = [workspace.lake.read_block(manifest.stage, block, "evaluations", names) for block in manifest.blocks]
        nats, tokens, notes, seconds = (sum(sum(part[name].to_pylist()) for part in rows) for name in names)
        return result(
            manifest,
            **written(workspace.lake, manifest, "evaluations"),
            bits_per_note=nats / math.log(2) / notes,
            bits_per_second=nats / math.log(2) / seconds,
            nll=nats / tokens,
        )

    @dg.asset(
        deps=["evaluations"],
        partitions_def=experiments,
        group_name="evaluation",
        kinds={"parquet"},
        pool="training",
        metadata=columns("test_kinships"),
    )
    def test_kinships(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """What the run has seen of the music of each test performance: nothing, but where it leaks."""
        from pianogen.evaluation.kinship import find_kinships
        from pianogen.training.experiment import load_experiment

        experiment = load_experiment(workspace.experiment_file(context.partition_key))
        manifest = find_kinships(workspace.lake, workspace.settings.runs, experiment)
        rows = workspace.lake.read_block(manifest.stage, manifest.blocks[0], "test_kinships").to_pylist()
        near = sorted({row["relation"] for row in rows if row["relation"]})
        return result(
            manifest,
            **written(workspace.lake, manifest, "test_kinships"),
            num_contaminated=sum(row["is_contaminated"] for row in rows),
            relations=table(
                ["nearest in train", "performances"],
                [[name, sum(row["relation"] == name for row in rows)] for name in near],
            ),
        )

    @dg.asset(
        deps=["runs"],
        partitions_def=experiments,
        group_name="evaluation",
        kinds={"parquet"},
        pool="training",
        metadata=columns("samples"),
    )
    def samples(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """Music from the model, after a prompt of the test split and from nothing, as MIDI."""
        from pianogen.generation.samples import generate_samples
        from pianogen.training.experiment import load_experiment

        experiment = load_experiment(workspace.experiment_file(context.partition_key))
        manifest = generate_samples(workspace.lake, workspace.settings.runs, experiment)
        rows = workspace.lake.read_block(manifest.stage, manifest.blocks[0], "samples")
        listed = [list(row.values()) for row in rows.select(["title", "num_notes", "duration_sec"]).to_pylist()]
        return result(
            manifest,
            **written(workspace.lake, manifest, "samples"),
            samples=table(["sample", "notes", "seconds"], listed),
        )

    @dg.asset(
        deps=["samples"],
        partitions_def=experiments,
        group_name="evaluation",
        kinds={"parquet"},
        pool="training",
        metadata=columns("sample_judgements", "sample_copies", "sample_distances"),
    )
    def sample_judgements(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """How much the samples cycle, copy from train and resemble, beside excerpts of the test split."""
        from pianogen.evaluation.judgements import judge_samples

        manifest = judge_samples(workspace.lake, context.partition_key, workspace.settings)
        judged = judged_samples.of_block(workspace.lake, manifest)
        return result(manifest, **written(workspace.lake, manifest, "sample_judgements"), **judged)

    return [evaluations, test_kinships, samples, sample_judgements]


@dg.asset(
    deps=["test_kinships"],
    group_name="evaluation",
    kinds={"parquet"},
    pool="lake",
    automation_condition=when_inputs_change(),
    metadata=columns("scores", "paired_scores"),
)
def scores(workspace: Workspace) -> dg.MaterializeResult:
    """Scores of all runs with their intervals, and runs two by two on the music that both were scored on."""
    from pianogen.evaluation.scores import compare_runs

    manifest = compare_runs(workspace.lake)
    found = workspace.lake.read_block(manifest.stage, manifest.blocks[0], "paired_scores").to_pylist()
    shown = ("experiment_a", "experiment_b", "difference", "low", "high", "probability_a_is_better", "num_performances")
    rows = [row for row in found if row["part"] == "all" and row["measure"] == "bits_per_note"]
    return result(
        manifest,
        **written(workspace.lake, manifest, "scores"),
        pairs=table(shown, [[row[name] for name in shown] for row in rows]),
        num_pairs=len(rows),
    )


@dg.asset(
    deps=["scores", "samples", "sample_judgements", "warehouse"],
    group_name="evaluation",
    kinds={"duckdb"},
    pool="lake",
    automation_condition=when_inputs_change(),
)
def leaderboard(workspace: Workspace) -> dg.MaterializeResult:
    """One row per evaluated run, ranked by bits per note, with every version it stands on."""
    from pianogen.statistics.build import update_statistics
    from pianogen.warehouse import open_warehouse, publish_warehouse

    settings = workspace.settings
    # Music that was read by other ways than the asset `statistics` is measured here, at the latest.
    update_statistics(workspace.lake, settings)
    publish_warehouse(workspace.lake, settings.runs, settings.sql, settings.warehouse)
    with open_warehouse(settings.warehouse) as connection:
        (version,) = connection.execute("select version from meta").fetchall()[0]
        shown = (
            "rank",
            "experiment",
            "model",
            "tokenizer",
            "bits_per_note",
            "low",
            "high",
            "whole_bits_per_note",
            "round_trip_f1",
            "num_contaminated",
            "num_parameters",
            "train_sec",
            "non_commercial",
            "split_version",
            "certificate",
        )
        rows = connection.sql(f"select {', '.join(shown)} from leaderboard order by rank").fetchall()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={"dagster/row_count": len(rows), "leaderboard": table(shown, rows)},
    )
