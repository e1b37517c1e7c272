"""Commands about the warehouse: asking it, publishing it, taking it along."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pianogen.cli.rows import Format, format_of, print_batches, print_rows, write_rows
from pianogen.cli.shared import Config, app, cell, progress_bar, publish
from pianogen.errors import QueryError
from pianogen.settings import Settings, load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from pianogen.warehouse import Query

MOST_SHOWN = 100
"""Rows of an answer that a terminal shows."""
TIMEOUT_SEC = 600
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

warehouse = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Publish the warehouse, or export it as one file."
)
app.add_typer(warehouse, name="warehouse")


@app.command(
    epilog='Example: pianogen sql "select dataset, count(*) from performances group by all" --format csv\n\n'
    "Example: pianogen sql longest_performances -p num_rows=5"
)
def sql(
    query: Annotated[str | None, typer.Argument(help="One query in DuckDB's SQL, or the name of one.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="The named queries, and what they take.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="The tables and views, and what they hold.")] = False,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A value for $NAME in the query; repeatable."),
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How to print the rows; that of FILE's name, or a table, without it.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the rows to a file that appears whole.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that the query may take; 0: any.")] = TIMEOUT_SEC,
    config: Config = None,
) -> None:
    """Query the warehouse, read-only. A table shows the first 100 rows, every other format all of them."""
    from pianogen.warehouse import list_queries, list_tables, stream_query

    form = format_of(to, format)
    settings = load_settings(config)
    if sum((query is not None, listed, tables)) != 1:
        raise QueryError("one of these expected: a query, the name of one, --list, --tables")
    if query is None:
        rows = list_tables(settings.warehouse) if tables else _as_rows(list_queries(settings.sql / "queries"))
        if to is None:
            print_rows(rows, form)
        else:
            write_rows(rows.schema, rows.to_batches(), form, to)
        return
    given = dict(map(_parameter, parameters or ()))
    text, values = _named_or_not(settings, query, given)
    with stream_query(settings.warehouse, text, values, timeout or None) as answer:
        if to is None:
            print_batches(answer.schema, answer.batches, form, MOST_SHOWN)
        else:
            write_rows(answer.schema, answer.batches, form, to)


def _named_or_not(settings: Settings, query: str, given: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Text and parameters of what is asked: one word is the name of a query, anything else is SQL."""
    from pianogen.warehouse import find_query, parse_value

    if NAME.fullmatch(query.strip()):
        named = find_query(settings.sql / "queries", query.strip())
        values = dict(named.values(given))
        _require_dataset(settings, named, values)
        return named.sql, values
    return query, {name: parse_value(value) for name, value in given.items()}


def _require_dataset(settings: Settings, named: "Query", values: dict[str, Any]) -> None:
    """Refuse a dataset that is not there, of which the query would say nothing."""
    from pianogen.warehouse import query_warehouse

    texts = {parameter.name: parameter.text for parameter in named.parameters}
    if "dataset" not in texts or (values["dataset"] == "all" and "all" in texts["dataset"].split()):
        return
    found = query_warehouse(settings.warehouse, "select distinct dataset from files order by dataset")
    datasets = found["dataset"].to_pylist()
    if values["dataset"] not in datasets:
        there = f"there are {', '.join(datasets)}" if datasets else "there is none yet"
        raise QueryError(
            f"{named.name}: no dataset {values['dataset']!r} in the warehouse; {there} (-p dataset=NAME names one)"
        )


def _parameter(typed: str) -> tuple[str, str]:
    name, equals, value = typed.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise QueryError(f"--param {typed}: NAME=VALUE expected")
    return name, value


def _as_rows(queries: list["Query"]) -> "pa.Table":
    import pyarrow as pa

    rows = [
        {
            "name": query.name,
            "answers": query.sentence,
            "takes": "; ".join(f"{p.name} = {_typed(p.default)}: {p.text}" for p in query.parameters),
        }
        for query in queries
    ]
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in ("name", "answers", "takes")]))


def _typed(value: Any) -> str:
    """A default as it would be typed."""
    return value if isinstance(value, str) else json.dumps(value)


@warehouse.command("publish", epilog="Example: pianogen warehouse publish")
def publish_now(config: Config = None) -> None:
    """Bring the warehouse up to date with the lake, the runs and the views; the previous one is kept."""
    settings = load_settings(config)
    done = publish(settings)
    typer.echo(
        f"{cell(str(settings.warehouse))}: {'published' if done['built'] else 'up to date'}, "
        f"{done['num_tables']} tables, {done['num_views']} views, {done['size_bytes'] / 1e6:,.1f} MB, "
        f"and {done['linked_bytes'] / 1e6:,.1f} MB of Parquet beside it"
    )


@warehouse.command(epilog="Example: pianogen warehouse export music.duckdb")
def export(
    to: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    config: Config = None,
) -> None:
    """Write the warehouse as one DuckDB file that needs no other: every table, every view, every comment."""
    from pianogen.warehouse import export_warehouse

    settings = load_settings(config)
    with progress_bar("rows copied") as progress:
        size = export_warehouse(settings.warehouse, to, force=force, progress=progress)
    typer.echo(f"{cell(str(to))}: {size / 1e6:,.1f} MB")
