"""The bytes of a file that is being fetched, what is known of them, and whether they are right.

<target>.part         the bytes so far
<target>.part.json    the address they came from, and what it said of their version (ETag, Last-Modified)
"""

import contextlib
import hashlib
import json
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pianogen.aside import write_whole
from pianogen.catalogue import Archive

CHUNK_BYTES = 1 << 18
MAGIC = {"zip": (b"PK",), "tar.gz": (b"\x1f\x8b",)}

Progress = Callable[[int, int | None], None]
"""Told the bytes done, and the bytes of all where they are known."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What was measured of a verified file."""

    size_bytes: int
    sha256: str
    md5: str


def shown(address: str) -> str:
    """An address as messages and receipts hold it: without user and password, and with nothing unprintable."""
    address = re.sub(r"(?<=://)[^/?#]*@", "", address)
    return "".join(c if c.isprintable() and c != " " else urllib.parse.quote(c, errors="replace") for c in address)


def measure(path: Path, progress: Progress | None = None) -> Fetched:
    """Size and checksums of a file on disk."""
    total, done = path.stat().st_size, 0
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            sha256.update(data)
            md5.update(data)
            done += len(data)
            if progress:
                progress(done, total)
    return Fetched(size_bytes=done, sha256=sha256.hexdigest(), md5=md5.hexdigest())


def first_bytes_of(path: Path) -> bytes:
    """What tells a file's kind."""
    with path.open("rb") as file:
        return file.read(16)


def mismatch(archive: Archive, found: Fetched, first_bytes: bytes) -> str | None:
    """How a file differs from what its archive should be, in words; None where it does not."""
    if archive.size_bytes is not None and found.size_bytes != archive.size_bytes:
        return f"wrong bytes: {found.size_bytes:,} of them, {archive.size_bytes:,} expected"
    for name, value, expected in (("sha256", found.sha256, archive.sha256), ("md5", found.md5, archive.md5)):
        if expected is not None and value != expected.lower():
            return f"wrong bytes: {name} {value}, {expected} expected"
    if (magic := MAGIC.get(archive.kind)) and not first_bytes.startswith(magic):
        return f"wrong bytes: not a {archive.kind} file, it begins with {first_bytes[:12]!r}"
    return None


class Part:
    """The bytes so far, their hashes, and where they came from."""

    def __init__(self, target: Path, archive: Archive, address: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.notes_path = target.with_name(f"{target.name}.part.json")
        self.mixed = False
        """Bytes of more than one answer."""
        self.num_changes = 0
        """How often the source had another version than the bytes here."""
        self._restart_hashes()
        notes = self._read_notes()
        same = notes.get("address") == shown(address)
        self.etag: str | None = notes.get("etag") if same else None
        self.last_modified: str | None = notes.get("last_modified") if same else None
        has_checksum = bool(archive.sha256 or archive.md5)
        try:
            found = self.path.stat().st_size
        except FileNotFoundError:
            found = 0
        if found and (self.validator or has_checksum) and found <= (archive.size_bytes or found):
            with self.path.open("rb") as file:
                while data := file.read(CHUNK_BYTES):
                    self._count(data)
        else:
            self.discard()

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: a strong ETag, or else the time of the last change."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def _read_notes(self) -> dict[str, str]:
        try:
            notes = json.loads(self.notes_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return notes if isinstance(notes, dict) else {}

    def _restart_hashes(self) -> None:
        self.size = 0
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def _count(self, data: bytes) -> None:
        self.size += len(data)
        self.sha256.update(data)
        self.md5.update(data)

    def discard(self) -> None:
        """Begin from nothing."""
        # The bytes first: notes without bytes say nothing wrong, bytes under other notes would.
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)
        self._restart_hashes()
        self.mixed, self.etag, self.last_modified = False, None, None

    def begin(self, address: str, headers: Mapping[str, str]) -> None:
        """Begin from nothing with an answer that holds the whole file."""
        before = self.validator
        self.discard()
        self.etag, self.last_modified = headers.get("ETag"), headers.get("Last-Modified")
        if before is not None and self.validator != before:
            self.num_changes += 1
        notes = {"address": shown(address), "etag": self.etag, "last_modified": self.last_modified}
        write_whole(self.notes_path, json.dumps(notes).encode())

    @contextlib.contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """A function that takes the bytes that follow."""
        with self.path.open("ab", buffering=0) as file:

            def append(data: bytes) -> None:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
                self._count(data)

            yield append

    def problem(self, archive: Archive) -> str | None:
        """What is wrong with the bytes as a whole."""
        try:
            return mismatch(archive, self._measured(), first_bytes_of(self.path))
        except FileNotFoundError:
            return "an empty answer"

    def _measured(self) -> Fetched:
        return Fetched(size_bytes=self.size, sha256=self.sha256.hexdigest(), md5=self.md5.hexdigest())

    def finish(self, target: Path) -> Fetched:
        """Let the file appear."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.notes_path.unlink(missing_ok=True)
        return self._measured()
