"""Named queries: `<folder>/<name>.sql`, each one query with a header that says what it answers and takes.

    -- Which performances are the longest?
    -- $dataset: name of the dataset, or all; default 'all'
    -- $num_rows: how many to list; default 20
    select … where $dataset = 'all' or dataset = $dataset … limit $num_rows

The first sentence stands in lists. Each `$name` of the query has one line; its default is a number, a text in single
quotes, true, false or null.
"""

import contextlib
import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pianogen.errors import QueryError

Scalar = str | int | float | bool | None

_PARAMETER = re.compile(r"--\s*\$(?P<name>[a-z][a-z0-9_]*): (?P<text>.+?); default (?P<default>'.*'|[^\s'\"]+)")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a query takes, and what it takes it for where nothing is said."""

    name: str
    text: str
    default: Scalar


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query that has a name."""

    name: str
    sentence: str
    """What it answers."""
    parameters: tuple[Parameter, ...]
    sql: str

    def values(self, given: Mapping[str, str]) -> dict[str, Scalar]:
        """A value for every parameter: the one given, or its default.

        Args:
            given: values as they were typed: JSON scalars, or plain text.

        Raises:
            QueryError: a parameter is not known, or takes a number and was given none.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        if unknown := sorted(set(given) - set(known)):
            raise QueryError(f"{self.name}: unknown parameter {unknown[0]!r}; it takes {', '.join(known) or 'none'}")
        return {name: _like(p, given[name]) if name in given else p.default for name, p in known.items()}


def _like(parameter: Parameter, typed: str) -> Scalar:
    """What was typed, as a value of the default's kind."""
    value, default = parse_value(typed), parameter.default
    if isinstance(default, str) and not isinstance(value, str | None):
        return typed  # a name that looks like a number
    if isinstance(default, bool) and not isinstance(value, bool):
        raise QueryError(f"{parameter.name} must be true or false, found {typed!r}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, int | float) and not isinstance(default, bool) and not is_number:
        raise QueryError(f"{parameter.name} must be a number, found {typed!r}")
    return value


def parse_value(typed: str) -> Scalar:
    """A JSON scalar as its value; anything else as text."""
    try:
        return _scalar(json.loads(typed, parse_constant=_refuse))
    except ValueError:
        return typed


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def list_queries(folder: Path) -> list[Query]:
    """The named queries of a folder, by name.

    Raises:
        QueryError: a file is not one query, or its header does not say what it must.
    """
    return [_read(path) for path in sorted(Path(folder).glob("*.sql"))]


def find_query(folder: Path, name: str) -> Query:
    """The query of that name.

    Raises:
        QueryError: there is none, or its file is not as it must be.
    """
    path = Path(folder) / f"{name}.sql"
    if not path.is_file():
        near = difflib.get_close_matches(name, [path.stem for path in Path(folder).glob("*.sql")])
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise QueryError(
            f"no query is named {name!r}; {meant}`pianogen sql --list` lists them, and the rows of a table are "
            f'`pianogen sql "from {name}"`'
        )
    return _read(path)


def _read(path: Path) -> Query:
    text = path.read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line)
    about = [line.removeprefix("--").strip() for line in lines if not line.removeprefix("--").strip().startswith("$")]
    sentence = re.match(r".+?[.?](?=\s|$)", " ".join(about).strip())
    if sentence is None:
        raise QueryError(f"{path}: must begin with a comment that says what it answers, in a sentence")
    query = Query(
        name=path.stem,
        sentence=sentence[0],
        parameters=tuple(_parameter(path, line) for line in lines if line.removeprefix("--").strip().startswith("$")),
        sql=text,
    )
    _require_parameters(path, query)
    return query


def _parameter(path: Path, line: str) -> Parameter:
    if found := _PARAMETER.fullmatch(line.strip()):
        with contextlib.suppress(ValueError):
            return Parameter(name=found["name"], text=found["text"], default=_default(found["default"]))
    raise QueryError(
        f"{path}: `-- $name: what it is; default VALUE` expected, VALUE a number, 'text', true, false or null; "
        f"found {line!r}"
    )


def _default(written: str) -> Scalar:
    if not written.startswith("'"):
        return _scalar(json.loads(written, parse_constant=_refuse))
    text = written[1:-1].replace("''", "\0")
    if "'" in text:
        raise ValueError("a quote in a text is written twice")
    return text.replace("\0", "'")


def _scalar(value: Any) -> Scalar:
    if isinstance(value, list | dict):
        raise ValueError("a single value expected")
    return value


def _require_parameters(path: Path, query: Query) -> None:
    try:
        statements = duckdb.extract_statements(query.sql)
    except duckdb.Error as error:
        raise QueryError(f"{path}: {error}") from None
    if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
        raise QueryError(f"{path}: one `select` expected")
    used, said = statements[0].named_parameters, [parameter.name for parameter in query.parameters]
    if sorted(used) != sorted(said):
        raise QueryError(f"{path}: uses the parameters {sorted(used)}, and its header tells of {sorted(said)}")
