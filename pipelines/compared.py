"""What the asset that compares datasets says beside its pictures, as small tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.showing import table


def of_datasets(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dg.MarkdownMetadataValue]:
    """The rows of `comparison_tables`, told by the names of their columns.

    Distances are Jensen-Shannon divergences, bits: 0 the same, 1 nothing in common; means over all measures.
    """
    headers = {
        "nearest_datasets": ["dataset", "nearest", "bits", "differs most in", "bits there"],
        "held_out_beside_train": ["dataset", "split", "bits from train", "differs most in", "bits there"],
        "outliers": ["dataset", "file", "measure", "value", "5 %", "95 %", "deviations"],
    }
    views = {"outliers": "outliers"}
    return {
        name: table(header, [list(row.values()) for row in rows[name]], view=views.get(name, ""))
        for name, header in headers.items()
    }
