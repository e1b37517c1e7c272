"""What the asset shows of round trips, drawn from the lake before anything is published."""

import contextlib
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pianogen.lake import Lake
from pianogen.report import round_trip_plots
from pianogen.report.round_trip_queries import PRICE, UNKNOWN
from pianogen.views import apply_views

Row = dict[str, Any]
VIEW = "tokenizer_round_trips"


def round_trip_pictures(lake: Lake, sql: Path) -> tuple[dict[str, Figure], list[Row], list[Row]]:
    """Pictures by name, and the rows of the queries `PRICE` and `UNKNOWN`.

    Args:
        lake: has round trips.
        sql: folder with `views/`.
    """
    with contextlib.closing(lake.connect(["round_trips", "performances", "splits"])) as connection:
        apply_views(connection, sql / "views", [VIEW])
        f1, prices, unknown = (
            connection.sql(query).to_arrow_table().to_pylist()
            for query in (f"select tokenizer, dataset, f1 from {VIEW} where split = 'all'", PRICE, UNKNOWN)
        )
    return {"f1": round_trip_plots.f1_matrix(f1), "price": round_trip_plots.price(prices)}, prices, unknown
