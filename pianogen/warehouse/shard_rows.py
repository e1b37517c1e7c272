"""Shards in the warehouse: a table of them, and their sequences as rows, read from the Arrow files where they lie.

DuckDB reads no Arrow file by itself, so the relation `sequences` exists in queries that go through this package. It
maps the files, so that what a query does not ask for is not read. Tokens that are ids stand in `token_ids`, vectors in
`vectors`.
"""

import os
import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pianogen.errors import QueryError, ShardError
from pianogen.lake import Lake

SHARDS = pa.schema(
    [
        ("experiment", pa.string()),
        ("shard", pa.int32()),
        ("split", pa.string()),
        ("dataset", pa.string()),
        ("tokenizer", pa.string()),
        ("num_ids", pa.int32()),
        ("num_sequences", pa.int64()),
        ("num_tokens", pa.int64()),
        ("num_notes", pa.int64()),  # of every copy
        ("num_performances", pa.int64()),
        ("num_identical", pa.int64()),  # copies left out, since their tokens are those of another one
        ("num_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("path", pa.string()),
        ("tokenizer_version", pa.string()),
        ("split_version", pa.string()),
        ("shards_version", pa.string()),
        ("certificate", pa.string()),
    ]
)
"""One row per shard of every experiment; paths are relative to the warehouse's folder."""

SEQUENCES_COMMENT = (
    "One row per sequence of the shards, with what varies it from its performance. Read from the Arrow files, by "
    "`pianogen sql` and `query_warehouse` alone. Units: semitones, ratios, MIDI velocity, milliseconds, tokens."
)
_NO_SEQUENCES = """
    select
        null::varchar as experiment, null::varchar as split, null::varchar as dataset, null::integer as shard,
        null::varchar as performance_id, null::tinyint as semitones, null::double as stretch,
        null::double as velocity_scale, null::tinyint as velocity_shift, null::double as jitter_ms,
        null::varchar as pedal, null::integer as num_notes, null::integer as num_tokens, null::uinteger[] as token_ids,
        null::float[][] as vectors
    where false
"""
_NAMES_SEQUENCES = re.compile(r"\bsequences\b", re.IGNORECASE)


def read_shards(lake: Lake, folder: Path) -> pa.Table:
    """The current shards of every experiment.

    Args:
        lake: where they lie.
        folder: that paths are relative to.
    """
    # Here and not above: what is compiled for shards takes a second to load, and most queries do not ask for it.
    from pianogen.shards.files import FILE_NAME, STAGE

    rows = []
    for manifest in lake.manifests(STAGE.name):
        info = manifest.info
        same = {
            "experiment": manifest.partition,
            "tokenizer": info["tokenizer"]["name"],
            "num_ids": info["tokenizer"]["num_ids"],
            "tokenizer_version": info["tokenizer"]["version"],
            "split_version": info["split_version"],
            "shards_version": manifest.version,
            "certificate": info["certificate"],
        }
        for shard in info["shards"]:
            path = lake.block_path(STAGE.name, shard["block"]) / FILE_NAME
            rows.append({**same, **shard, "path": os.path.relpath(path, folder)})
    return pa.Table.from_pylist([{name: row.get(name) for name in SHARDS.names} for row in rows], schema=SHARDS)


def names_sequences(sql: str) -> bool:
    """Whether a query may ask for the relation."""
    return bool(_NAMES_SEQUENCES.search(sql))


def create_sequences(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make the relation `sequences` for this connection.

    Args:
        connection: to a warehouse.
        folder: that its paths are relative to.

    Raises:
        QueryError: a shard is gone, or cannot be read.
    """
    from pianogen.shards.files import read_shard

    try:
        named = "select experiment, split, dataset, shard, path from shards order by experiment, shard"
        found = connection.execute(named).fetchall()
    except duckdb.CatalogException:
        return  # somebody else's database, or one that was published before there were shards
    by_experiment: dict[str, list[pa.Table]] = {}
    for *known, path in found:
        try:
            table = read_shard((folder / path).resolve())
        except ShardError as error:
            raise QueryError(f"{error}; then publish the warehouse again (`pianogen warehouse publish`)") from None
        for name, value in zip(("experiment", "split", "dataset", "shard"), known, strict=True):
            column = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int8), pa.array([value]))
            table = table.append_column(name, column)
        by_experiment.setdefault(known[0], []).append(table)
    selects = []
    for number, tables in enumerate(by_experiment.values()):
        name = f"_sequences_{number}"
        connection.register(name, pa.concat_tables(tables, promote_options="permissive"))
        is_ids = not pa.types.is_fixed_size_list(tables[0].schema.field("token_ids").type.value_type)
        tokens = "token_ids::uinteger[]" if is_ids else "null::uinteger[]"
        vectors = "null::float[][]" if is_ids else "token_ids::float[][]"
        selects.append(f"""
            select
                experiment::varchar as experiment, split::varchar as split, dataset::varchar as dataset,
                shard::integer as shard, performance_id, semitones, stretch, velocity_scale, velocity_shift, jitter_ms,
                pedal, num_notes, len(token_ids)::integer as num_tokens, {tokens} as token_ids, {vectors} as vectors
            from {name}
        """)
    connection.execute(f"create temporary view sequences as {' union all '.join(selects) or _NO_SEQUENCES}")
