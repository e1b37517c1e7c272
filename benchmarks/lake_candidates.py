"""The three candidates for the lake's tables that `lake_formats.py` measures, behind one interface."""

# What it compares with is installed by the extra `bench` alone.
# pyright: reportMissingImports=false
# ruff: noqa: D102  (the methods are documented once, on Format)

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlparse

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pianogen.lake import Lake, Stage, content_blocks

# No modules: an edit of pianogen during a long run must not change the keys under the processes that are killed.
STAGE = Stage(name="ingest", modules=(), packages=("pyarrow",), tables=("notes",))


@dataclass(frozen=True)
class Corpus:
    """Rows of `notes`, ascending by performance id, and where each performance starts."""

    ids: list[str]
    starts: np.ndarray
    """First row of each performance, and the number of rows at the end, shape (num_performances + 1,)."""
    notes: pa.Table

    def rows(self, ids: Iterable[str]) -> pa.Table:
        """Notes of some performances, in the order of `ids`."""
        at = {performance_id: i for i, performance_id in enumerate(self.ids)}
        spans = [(self.starts[at[i]], self.starts[at[i] + 1]) for i in ids]
        return pa.concat_tables([self.notes.slice(a, b - a) for a, b in spans]).combine_chunks()

    def without(self, performance_id: str) -> "Corpus":
        """The corpus before one performance was added."""
        ids = [i for i in self.ids if i != performance_id]
        return corpus_from_table(self.rows(ids))


def corpus_from_table(notes: pa.Table) -> Corpus:
    """A corpus of rows that stand performance by performance, ascending by id."""
    encode = pc.run_end_encode  # pyright: ignore[reportAttributeAccessIssue]
    runs = encode(notes["performance_id"].combine_chunks())
    return Corpus(runs.values.to_pylist(), np.concatenate(([0], runs.run_ends.to_numpy())), notes)


class Format(ABC):
    """One way to keep a table under a root folder."""

    name: str
    module: str
    """What it is imported as."""
    packages: tuple[str, ...] = ()
    """Distributions that it adds to pyarrow and duckdb."""
    duckdb_route: str

    @abstractmethod
    def write(self, root: Path, corpus: Corpus) -> None:
        """Bring the table at `root` to hold `corpus`, from whatever part of it is there."""

    @abstractmethod
    def write_at_once(self, root: Path, name: str, table: pa.Table) -> None:
        """Write all rows of the lake's table `name` as one commit or block."""

    @abstractmethod
    def view(self, root: Path, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the table visible as `notes` in DuckDB, without a downloaded extension."""

    @abstractmethod
    def arrow(self, root: Path, name: str = "notes") -> pa.Table:
        """The whole table."""

    @abstractmethod
    def live_files(self, root: Path) -> set[Path]:
        """Files that the current version, or the format's own history, still names."""

    @abstractmethod
    def earlier_rows(self, root: Path) -> int | None:
        """Rows of the version before the current one; None where the format keeps no versions."""


class ParquetFormat(Format):
    """`pianogen.lake`."""

    name = "Parquet blocks"
    module = "pyarrow"
    duckdb_route = "read_parquet"

    def write(self, root: Path, corpus: Corpus) -> None:
        lake = Lake(root)
        keys = []
        for ids in content_blocks(corpus.ids):
            key = STAGE.key(ids)
            if not lake.has_block(STAGE.name, key):
                lake.write_block(STAGE.name, key, {"notes": corpus.rows(ids)})
            keys.append(key)
        lake.publish(STAGE, keys)

    def write_at_once(self, root: Path, name: str, table: pa.Table) -> None:
        stage = replace(STAGE, tables=(name,))
        Lake(root).write_block(stage.name, stage.key("all"), {name: table})
        Lake(root).publish(stage, [stage.key("all")])

    def view(self, root: Path, connection: duckdb.DuckDBPyConnection) -> None:
        paths = [str(path) for path in Lake(root).paths("notes")]
        connection.read_parquet(paths).create_view("notes")

    def arrow(self, root: Path, name: str = "notes") -> pa.Table:
        return Lake(root).read(name)

    def live_files(self, root: Path) -> set[Path]:
        return {*Lake(root).paths("notes"), *(root / "manifests").rglob("*.json")}

    def earlier_rows(self, root: Path) -> int | None:
        return None


class DeltaFormat(Format):
    """Delta Lake through delta-rs."""

    name = "Delta Lake"
    module = "deltalake"
    packages = ("deltalake", "arro3-core", "deprecated", "wrapt")
    duckdb_route = "read_parquet, paths from deltalake"

    def write(self, root: Path, corpus: Corpus) -> None:
        import deltalake

        held = set()
        if deltalake.DeltaTable.is_deltatable(str(root)):
            connection = duckdb.connect()
            self.view(root, connection)
            held = {row[0] for row in connection.execute("select distinct performance_id from notes").fetchall()}
        for ids in content_blocks(corpus.ids):
            if missing := [i for i in ids if i not in held]:
                deltalake.write_deltalake(str(root), corpus.rows(missing), mode="append")

    def write_at_once(self, root: Path, name: str, table: pa.Table) -> None:
        import deltalake

        deltalake.write_deltalake(str(root), table)

    def view(self, root: Path, connection: duckdb.DuckDBPyConnection) -> None:
        import deltalake

        # Right while the table has no deletion vectors; DuckDB's own Delta reader is a downloaded extension.
        connection.read_parquet(deltalake.DeltaTable(str(root)).file_uris()).create_view("notes")

    def arrow(self, root: Path, name: str = "notes") -> pa.Table:
        import deltalake

        return deltalake.DeltaTable(str(root)).to_pyarrow_table()

    def live_files(self, root: Path) -> set[Path]:
        import deltalake

        uris = deltalake.DeltaTable(str(root)).file_uris()
        log = {p for p in (root / "_delta_log").iterdir() if p.stem.isdigit() or p.name == "_last_checkpoint"}
        return {Path(unquote(urlparse(uri).path)) for uri in uris} | log

    def earlier_rows(self, root: Path) -> int | None:
        import deltalake

        now = deltalake.DeltaTable(str(root)).version()
        return deltalake.DeltaTable(str(root), version=now - 1).count()


class LanceFormat(Format):
    """Lance."""

    name = "Lance"
    module = "lance"
    packages = ("pylance", "lance-namespace", "lance-namespace-urllib3-client")
    duckdb_route = "Arrow scan of the pylance dataset"

    def write(self, root: Path, corpus: Corpus) -> None:
        import lance

        held, mode = set(), "create"
        if any(root.glob("_versions/*.manifest")):
            mode = "append"
            column = lance.dataset(str(root)).to_table(columns=["performance_id"])["performance_id"]
            held = set(column.unique().to_pylist())
        for ids in content_blocks(corpus.ids):
            if missing := [i for i in ids if i not in held]:
                lance.write_dataset(corpus.rows(missing), str(root), mode=mode)
                mode = "append"

    def write_at_once(self, root: Path, name: str, table: pa.Table) -> None:
        import lance

        lance.write_dataset(table, str(root))

    def view(self, root: Path, connection: duckdb.DuckDBPyConnection) -> None:
        import lance

        connection.register("notes", lance.dataset(str(root)))

    def arrow(self, root: Path, name: str = "notes") -> pa.Table:
        import lance

        return lance.dataset(str(root)).to_table()

    def live_files(self, root: Path) -> set[Path]:
        import lance

        fragments = lance.dataset(str(root)).get_fragments()
        data = {root / "data" / file.path for fragment in fragments for file in fragment.data_files()}
        return data | {p for folder in ("_versions", "_transactions") for p in (root / folder).iterdir()}

    def earlier_rows(self, root: Path) -> int | None:
        import lance

        now = lance.dataset(str(root)).version
        return lance.dataset(str(root), version=now - 1).count_rows()


FORMATS: dict[str, Format] = {"parquet": ParquetFormat(), "delta": DeltaFormat(), "lance": LanceFormat()}
