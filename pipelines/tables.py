"""What the assets say of the tables they write: columns, rows, bytes, and where the files lie."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from pianogen.lake import ALL, Lake, Manifest
from pianogen.measured import COLUMNS, described
from pianogen.tables import SCHEMAS
from pipelines.lineage import measured_from


def columns(first: str, *others: str) -> dict[str, dg.TableSchemaMetadataValue]:
    """Schemas of an asset's tables, for its definition: the first under the key by which Dagster lists columns."""
    schemas = {"dagster/column_schema": first, **{f"columns_of_{name}": name for name in others}}
    return {key: dg.MetadataValue.table_schema(table_schema(SCHEMAS[name], name)) for key, name in schemas.items()}


def table_schema(schema: pa.Schema, table: str = "") -> dg.TableSchema:
    """An Arrow schema in Dagster's words, with the definitions of what is measured."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                field.name,
                str(field.type),
                description=_described(field.name) if table == "performance_statistics" else None,
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )


def _described(column: str) -> str:
    return f"{described(COLUMNS[column])} From performances: {', '.join(measured_from(column))}."


def schemas(lake: Lake, manifest: Manifest, first: str) -> dict[str, dg.TableSchemaMetadataValue]:
    """Schemas of tables that are defined in SQL, as they were written; under the keys of `columns`."""
    names = [first, *(name for name in manifest.tables if name != first)]
    return {
        "dagster/column_schema" if name == first else f"columns_of_{name}": dg.MetadataValue.table_schema(
            table_schema(_written_schema(lake, manifest, name))
        )
        for name in names
    }


def column_names(lake: Lake, manifest: Manifest, table: str) -> list[str]:
    """Columns of a table as it was written."""
    return _written_schema(lake, manifest, table).names


def written(lake: Lake, manifest: Manifest, table: str) -> dict[str, Any]:
    """What a materialization says of its first table: rows of all and of its partition, bytes, and where they lie.

    Args:
        lake: where it lies.
        manifest: of what was written, a partition or all.
        table: the asset's first.
    """
    manifests = lake.manifests(manifest.stage)
    num_rows = {found.partition: sum(map(_num_rows, _paths(lake, found, [table]))) for found in manifests}
    paths = [path for found in manifests for path in _paths(lake, found, found.tables)]
    is_one = len(manifests) == 1 and len(manifest.blocks) == 1
    folder = lake.block_path(manifest.stage, manifest.blocks[0] if is_one else "")
    return {
        "dagster/row_count": sum(num_rows.values()),
        **({} if manifest.partition == ALL else {"dagster/partition_row_count": num_rows[manifest.partition]}),
        "dagster/size_bytes": sum(path.stat().st_size for path in paths if path.is_file()),
        "dagster/uri": folder.absolute().as_uri(),
    }


def _paths(lake: Lake, manifest: Manifest, tables: Iterable[str]) -> list[Path]:
    return [lake.block_path(manifest.stage, key) / f"{table}.parquet" for key in manifest.blocks for table in tables]


def _written_schema(lake: Lake, manifest: Manifest, table: str) -> pa.Schema:
    import pyarrow.parquet as pq

    return pq.read_schema(lake.block_path(manifest.stage, manifest.blocks[0]) / f"{table}.parquet")


def _num_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows
