"""The whole graph from a shell: `python -m pipelines.run`, which is what `make run` calls.

Each job runs in this process on the same Dagster instance that `make ui` shows, one run per partition.
What has not changed is found by its key in the lake and not done again.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from pipelines.automation import curate, experiment, publish, reingest

Echo = Callable[[str], None]
TIMED = "{:<46} {:>7.1f} s  {}"


def run_everything(instance: dg.DagsterInstance, config: Path, echo: Echo = print) -> bool:
    """Every dataset at hand, the corpus, the experiments of the folder itself, the report; stops at the first failure.

    Args:
        instance: keeps the runs.
        config: the settings file.
        echo: told a line after each run.

    Returns:
        Whether all of them succeeded.
    """
    from pianogen.catalogue import load_catalogue
    from pianogen.settings import load_settings
    from pianogen.training.experiment import list_experiments
    from pipelines.definitions import build_definitions

    definitions, settings = build_definitions(config), load_settings(config)
    steps = [
        # Of the datasets that are known, those at hand: nothing is downloaded unless asked for.
        *((reingest.name, dataset.name) for dataset in load_catalogue(settings)),
        (curate.name, None),
        # Of the experiments those in the folder itself: what lies below it waits to be asked for.
        *((experiment.name, name) for name in list_experiments(settings.experiments)),
        (publish.name, None),
    ]
    # A check looks at all datasets: what it finds is said once, not after the run of each.
    warned: set[str] = set()
    return all(_run(definitions, instance, job, partition, echo, warned) for job, partition in steps)


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    partition: str | None,
    echo: Echo,
    warned: set[str],
) -> bool:
    start = time.monotonic()
    outcome = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        run_config={"loggers": {"brief": {}}},
    )
    title = f"{job} {partition}" if partition else job
    echo(TIMED.format(title, time.monotonic() - start, _summary(outcome) if outcome.success else "FAILED"))
    for line in _failed_checks(outcome, dg.AssetCheckSeverity.WARN):
        if line not in warned:
            echo(f"  warning: {line}")
        warned.add(line)
    if not outcome.success:
        for line in _reasons(outcome):
            echo(f"  {line}")
    return outcome.success


def _summary(outcome: dg.ExecuteInProcessResult) -> str:
    """Rows of each asset, and whether its data is what it was."""
    parts = []
    for event in outcome.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        counts = materialization.metadata
        rows = counts.get("dagster/partition_row_count", counts.get("dagster/row_count"))
        count = f" {rows.value:,}" if rows is not None else ""
        parts.append(f"{materialization.asset_key.to_user_string()}{count}")
    return ", ".join(parts)


def _failed_checks(outcome: dg.ExecuteInProcessResult, severity: dg.AssetCheckSeverity) -> list[str]:
    failed = [e for e in outcome.get_asset_check_evaluations() if not e.passed and e.severity == severity]
    return [f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description}" for check in failed]


def _reasons(outcome: dg.ExecuteInProcessResult) -> list[str]:
    """Why a run failed, in the words of what failed: failed checks first, then errors."""
    lines = _failed_checks(outcome, dg.AssetCheckSeverity.ERROR)
    if lines:
        return [part for line in lines for part in line.splitlines()]
    for event in outcome.filter_events(lambda e: e.is_step_failure):
        error = event.step_failure_data.error
        cause = error.cause or error if error else None
        if cause:
            lines += f"{event.step_key}: {cause.message.strip()}".splitlines()
    return lines or ["no step says why; the run's page in `make ui` has the log"]


def main() -> int:
    """Run everything and say where to look; 0 when all succeeded."""
    from pipelines.definitions import CONFIG, PROJECT

    parser = argparse.ArgumentParser(description="Run the whole graph: files to report.")
    parser.add_argument("--config", type=Path, default=CONFIG, help="settings file (default: pianogen.toml)")
    config = parser.parse_args().config.resolve()
    # dagster.yaml names its own folders relative to the folder that it lies in.
    os.chdir(os.environ.setdefault("DAGSTER_HOME", str(PROJECT)))
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    start = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        succeeded = run_everything(instance, config, lambda line: print(line, flush=True))
    print()
    if not succeeded:
        print("Not finished: the lines above say why. Nothing that was done is done again; mend it and run again.")
        return 1
    _say_where_to_look(config, time.monotonic() - start)
    return 0


def _say_where_to_look(config: Path, seconds: float) -> None:
    from pianogen.settings import load_settings
    from pianogen.warehouse import query_warehouse

    settings = load_settings(config)
    counted = query_warehouse(
        settings.warehouse,
        "select sum(num_files) as files, sum(num_performances) as performances, sum(num_rejections) as rejections, "
        "(select count(*) from samples) as samples from ingest_accounting",
    ).to_pylist()[0]
    best = query_warehouse(
        settings.warehouse,
        "select experiment, bits_per_note, num_test_performances from leaderboard order by rank limit 1",
    ).to_pylist()
    print(f"Finished in {seconds:.0f} s.")
    print(
        f"Made:      {counted['performances']} performances and {counted['rejections']} rejections "
        f"from {counted['files']} files, {counted['samples']} samples"
    )
    for row in best:
        print(
            f"Best:      {row['experiment']}: {row['bits_per_note']:.3f} bits per note "
            f"on {row['num_test_performances']} test performances"
        )
    print(f"Report:    {settings.report / 'index.html'}   (open it in a browser; the samples play)")
    print(f'Warehouse: {settings.warehouse}   (pianogen sql "select * from leaderboard")')
    print("Dagster:   make ui, then http://127.0.0.1:3000")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: the last lines stay the last. DuckDB's binding lists its own types as leaked when the
    # interpreter takes itself down after an in-process run; everything of ours is written and closed by now.
    os._exit(code)
