"""Which licences music stands under, as its ingest recorded them: what is derived from it carries them on."""

from collections.abc import Collection
from typing import Any

from pianogen.lake import Lake


def recorded_licences(lake: Lake, datasets: Collection[str] | None = None) -> dict[str, Any]:
    """The licences of ingested datasets.

    Args:
        lake: whose manifests of stage `ingest` say them.
        datasets: names; all of them without it.

    Returns:
        `licences`, by dataset, and `non_commercial_datasets`, those of them whose licence forbids commercial use.
    """
    infos = {m.partition: m.info for m in lake.manifests("ingest") if datasets is None or m.partition in datasets}
    return {
        "licences": {name: info.get("licence", "not stated") for name, info in sorted(infos.items())},
        "non_commercial_datasets": sorted(name for name, info in infos.items() if info.get("non_commercial")),
    }
