"""What the asset of judgements and its checks show of samples that loop and copy, whatever their titles hold."""

import dagster as dg
import pytest
from judged_lakes import judged_lake
from projects import PROJECT

from pipelines import checks
from pipelines.assets.evaluation import build
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[dict, dict]:
    """Metadata of the asset by name, and evaluations of its checks by name."""
    root = tmp_path_factory.mktemp("judged")
    judged_lake(root)
    config = root / "pianogen.toml"
    config.write_text(f'lake = "lake"\nstarter = false\nworkers = 1\nsql = "{PROJECT / "warehouse"}"\n')
    assets = build(dg.StaticPartitionsDefinition(["tiny"]))
    of_judgements = [c for c in checks.sql_checks(PROJECT / "warehouse" / "checks") if _is_of_judgements(c)]
    assert len(of_judgements) == 5
    outcome = dg.materialize(
        [*assets, *of_judgements],
        selection=dg.AssetSelection.assets("sample_judgements"),
        resources={"workspace": Workspace(config_path=str(config))},
        partition_key="tiny",
    )
    assert outcome.success
    (event,) = outcome.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    return metadata, {found.check_name: found for found in outcome.get_asset_check_evaluations()}


def _is_of_judgements(check: dg.AssetChecksDefinition) -> bool:
    return {key.asset_key.to_user_string() for key in check.check_keys} == {"sample_judgements"}


def test_samples_stand_beneath_the_base_line_and_copied_passages_name_their_source(shown):
    metadata, _ = shown
    assert (metadata["num_samples"].value, metadata["num_held_out"].value) == (6, 4)
    lines = metadata["samples"].value.splitlines()
    assert lines[2].startswith("| held out, mean | 200.000 | 0.000")
    assert [line.split("|")[1].strip() for line in lines[4:]] == [
        "looping", "copying", "new", "prompted", "silent", "crowded",
    ]  # fmt: skip
    (passage,) = metadata["copied_passages"].value.splitlines()[2:]
    assert f"Piece {3:032x}" in passage
    assert "overlapping area" in metadata["distances"].value
    assert metadata["dagster/partition_row_count"].value == 10


def test_what_is_copied_and_what_loops_are_warnings_that_name_the_sample_and_its_source(shown):
    _, found = shown
    assert {name for name, check in found.items() if not check.passed} == {
        "samples_are_not_copied_from_train",
        "samples_do_not_go_round_in_circles",
    }
    copied = found["samples_are_not_copied_from_train"]
    assert copied.severity == dg.AssetCheckSeverity.WARN
    assert "sample copying" in copied.description
    assert f"title Piece {3:032x}" in copied.description
    assert "sample looping" in found["samples_do_not_go_round_in_circles"].description
