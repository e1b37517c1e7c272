"""Files of votes, read with the key of their test, to the table `listening_votes`.

A listener's vote on a pair is one row, whichever file brings it and however often. A file that is not what the page
wrote, belongs to another test, or says something else than an earlier one, is refused with its name, and none is taken.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from pianogen.errors import ListeningError
from pianogen.lake import Lake, Stage
from pianogen.listening.page import KEY_FORMAT, VERSION
from pianogen.listening.pairs import SIDES
from pianogen.tables import SCHEMAS

STAGE = Stage(name="listening", modules=("pianogen.listening.votes",), tables=("listening_votes",))
VOTES_FORMAT = "pianogen listening votes"
NO_DIFFERENCE = "none"
MAX_BYTES = 2**20
"""Of a file of votes; thousands of pairs fit."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    num_files: int
    num_new: int
    num_known: int
    """Votes that were there."""


def import_votes(lake: Lake, key: Path, files: Sequence[Path]) -> Imported:
    """Put the votes of some files into the lake, partition = the test; the same ones again change nothing.

    Raises:
        ListeningError: the key or a file is not one, a file is of another test or contradicts what was imported.
    """
    found = read_key(key)
    rows = {file: read_votes(file, found) for file in files}
    lake.root.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.root / "listening.lock"):
        there = lake.read("listening_votes").to_pylist()
        votes = {(row["listener"], row["pair"]): row for row in there if row["test_id"] == found["test"]}
        num_there, num_read = len(votes), 0
        for file, read in rows.items():
            for row in read:
                num_read += 1
                known = votes.setdefault((row["listener"], row["pair"]), row)
                if known["preferred"] != row["preferred"]:
                    raise ListeningError(
                        f"{file}: pair {row['pair']} has another vote than an earlier file of the same listener, "
                        f"{row['listener']}; keep one of the two files"
                    )
        num_new = len(votes) - num_there
        if num_new:
            _write(lake, found["test"], [votes[place] for place in sorted(votes)])
    return Imported(len(rows), num_new, num_read - num_new)


def _write(lake: Lake, test: str, rows: list[Row]) -> None:
    key = STAGE.key(inputs=rows)
    if not lake.has_block(STAGE.name, key):
        lake.write_block(STAGE.name, key, {"listening_votes": pa.Table.from_pylist(rows, SCHEMAS["listening_votes"])})
    listeners = len({row["listener"] for row in rows})
    lake.publish(STAGE, [key], partition=test, info={"num_votes": len(rows), "num_listeners": listeners})


def read_key(path: Path) -> Row:
    """The key of a test.

    Raises:
        ListeningError: it is none.
    """
    found = _json(path, KEY_FORMAT)
    try:
        sets, pairs = found["sets"], found["pairs"]
        ok = isinstance(found["test"], str) and isinstance(found["question"], str) and set(sets) == {"a", "b"}
        numbers = [pair["pair"] for pair in pairs]
        sides = [{pair[letter]["set"] for letter in SIDES} for pair in pairs]
        ok &= all(isinstance(pair[letter]["sample"], str) for pair in pairs for letter in SIDES)
        ok &= all(pair["repeat_of"] is None or pair["repeat_of"] in numbers for pair in pairs)
        ok &= numbers == list(range(1, len(numbers) + 1)) and all(one == {"a", "b"} for one in sides)
    except (KeyError, TypeError):
        ok = False
    if not ok or not re.fullmatch(r"[0-9a-f]{16}", found["test"]):
        raise ListeningError(f"{path}: not a whole key; name the one that was written with the page")
    return found


def read_votes(path: Path, key: Mapping[str, Any]) -> list[Row]:
    """The votes of one file as rows of `listening_votes`.

    Raises:
        ListeningError: it is no file of votes, or one of another test.
    """
    found = _json(path, VOTES_FORMAT)
    if found.get("test") != key["test"]:
        raise ListeningError(
            f"{path}: votes on the test {_shown(found.get('test'))}, and the key is of {key['test']}; name its key"
        )
    listener, votes = found.get("listener"), found.get("votes")
    if not isinstance(listener, str) or not re.fullmatch(r"[0-9a-f]{16}", listener):
        raise ListeningError(f"{path}: the listener must be 16 hexadecimal digits, found {_shown(listener)}")
    if not isinstance(votes, list) or not votes:
        raise ListeningError(f"{path}: a list of votes expected, found {_shown(votes)}")
    pairs = {pair["pair"]: pair for pair in key["pairs"]}
    rows: dict[int, Row] = {}
    for vote in votes:
        pair, choice = (vote.get("pair"), vote.get("vote")) if isinstance(vote, dict) else (None, None)
        if type(pair) is not int or pair not in pairs or choice not in (*SIDES, NO_DIFFERENCE):
            raise ListeningError(f"{path}: a vote must name one of {len(pairs)} pairs and A, B or none: {_shown(vote)}")
        if pair in rows:
            raise ListeningError(f"{path}: two votes on pair {pair}")
        rows[pair] = _row(key, pairs[pair], listener, choice)
    return [rows[pair] for pair in sorted(rows)]


def _row(key: Mapping[str, Any], pair: Mapping[str, Any], listener: str, choice: str) -> Row:
    sample_of = {pair[letter]["set"]: pair[letter]["sample"] for letter in SIDES}
    return {
        "test_id": key["test"],
        "question": key["question"],
        "listener": listener,
        "pair": pair["pair"],
        "repeat_of": pair["repeat_of"],
        "set_a": key["sets"]["a"],
        "set_b": key["sets"]["b"],
        "sample_a": sample_of["a"],
        "sample_b": sample_of["b"],
        "is_swapped": pair["A"]["set"] == "b",
        "preferred": NO_DIFFERENCE if choice == NO_DIFFERENCE else pair[choice]["set"],
    }


def _json(path: Path, wanted: str) -> Row:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES * (1 if wanted == VOTES_FORMAT else 64) + 1)
    except OSError as error:
        raise ListeningError(f"{path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES and wanted == VOTES_FORMAT:
        raise ListeningError(f"{path}: larger than any file of votes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") != wanted:
        raise ListeningError(f"{path}: not a file of the format {wanted!r}")
    if found.get("version") != VERSION:
        raise ListeningError(f"{path}: version {_shown(found.get('version'))} of {wanted!r}; this is for {VERSION}")
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
