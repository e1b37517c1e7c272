"""What tokenizers lose: music encoded, decoded, and laid on its source."""

import dagster as dg

from pipelines import lineage
from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import full_page_of_tokenizers, log_progress, pictures, table
from pipelines.tables import columns, written


@dg.asset(
    deps=["performances", "splits"],
    group_name="tokens",
    kinds={"parquet"},
    pool="lake",
    automation_condition=when_inputs_change(),
    freshness_policy=WEEKLY,
    metadata=columns("round_trips"),
)
def round_trips(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """What comes back of every performance from every tokenizer; docs/tokenizers/round-trip.md defines the figures."""
    from pianogen.lake import digest
    from pianogen.report.round_trip_pictures import round_trip_pictures
    from pianogen.round_trips.build import measure_round_trips

    lake, settings = workspace.lake, workspace.settings
    progress = log_progress(context, "blocks encoded and decoded")
    manifests = measure_round_trips(lake, settings, progress=progress)
    drawn, prices, unknown = round_trip_pictures(lake, settings.sql)
    shown = {} if not manifests else {**written(lake, manifests[0], "round_trips")}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest([manifest.version for manifest in manifests])),
        metadata={
            **{name: value for name, value in shown.items() if name != "dagster/partition_row_count"},
            "dagster/column_lineage": lineage.of_round_trips(),
            "num_tokenizers": len(manifests),
            "vocabularies": table(
                ["tokenizer", "ids"], [(manifest.partition, manifest.info["num_ids"]) for manifest in manifests]
            ),
            "what_comes_back": table(
                ["tokenizer", "F1", "tokens per note"],
                [(row["tokenizer"], row["f1"], row["tokens_per_note"]) for row in prices],
            ),
            "unknown_on_test": table(
                ["tokenizer", "dataset", "%"],
                [(row["tokenizer"], row["dataset"], row["unknown_percent"]) for row in unknown],
            ),
            "pictures": pictures(drawn),
            "full_page": full_page_of_tokenizers(settings),
        },
    )
