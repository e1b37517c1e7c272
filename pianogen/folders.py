"""Folders of files as they lie on disk: names that any text can hold, a walk that ends, hashes of bytes.

Files and folders whose name begins with a dot are passed over. Links are followed inside the folder, each
folder once and by its real name where it has one; a link that leaves the folder is told, not followed,
unless the caller wants it.
"""

import errno
import fnmatch
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pianogen.errors import SettingsError

_CHUNK_BYTES = 2**20

# Controls, marks that turn the direction of writing, separators of lines: what steers a terminal or a page.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Found(NamedTuple):
    """One entry of a folder."""

    path: str
    name: str
    """Path relative to the folder that was walked, as `printable` gives it."""
    problem: str
    """Why it cannot be read; empty where nothing is known against it."""
    is_folder: bool
    """A folder that was not walked."""


class Digests(NamedTuple):
    """What the bytes of a file come to."""

    sha256: str
    md5: str | None
    size_bytes: int
    stamp: tuple[int, int, int] | None
    """Of the file while it was read, by `stamp_of`; None where a change could go unseen."""


def printable(path: Path | str) -> str:
    r"""A path as text that any table and terminal can hold; two paths never come out the same.

    Bytes that are not UTF-8 and controls come out as `\xff`, other steering characters as `\u202e`, and a
    backslash as two.
    """
    text = path if isinstance(path, str) else path.as_posix()
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    text = _bytes_of(text).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    # A byte 0x9b that is no UTF-8 is \x9b already; the character of that number is \u009b.
    return _STEERING.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 0x80 else f"\\u{ord(m[0]):04x}", text)


def storable(text: str) -> str:
    r"""Text that UTF-8 can hold: bytes that were not UTF-8, and halves of characters, come out as `\xff`, `\ud800`."""
    return _bytes_of(text).decode("utf-8", "backslashreplace")


def _bytes_of(text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")  # half of a surrogate pair, as JSON may hold


def name_matcher(pattern: str) -> Callable[[str], object]:
    """A test of names: true for one that fits a shell pattern (several with spaces between); case does not count."""
    parts = pattern.split()
    if "*" in parts:
        return lambda name: True
    return re.compile("|".join(map(fnmatch.translate, parts)), re.IGNORECASE).match


def walk(folder: Path, *, follow_links: bool = False) -> Iterator[Found]:
    """Every file below a folder, and what could not be walked, in no particular order; none where it is missing.

    Args:
        folder: where to begin; may be a link itself.
        follow_links: follow links to places outside the folder too.

    Raises:
        SettingsError: the folder is there and cannot be opened.
    """
    inside = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 - bytes of names stay as they are
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, str]] = [(os.fspath(folder), "")]
    linked: list[tuple[str, str]] = []
    while waiting or linked:
        # Linked folders come last, so that a folder is known by its real name.
        parent, prefix = waiting.pop() if waiting else linked.pop(0)
        try:
            status = os.stat(parent)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(parent) as scan:
                entries = sorted((e for e in scan if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            if prefix:
                gone = isinstance(error, FileNotFoundError)
                problem = "gone since its folder was listed" if gone else "a folder that cannot be opened"
                yield Found(parent, prefix[:-1], problem, True)
            elif not isinstance(error, FileNotFoundError):
                # Taken as empty, it would take every performance of the dataset away.
                raise SettingsError(
                    f"{folder}: the folder of a dataset cannot be opened: {error.strerror}; "
                    "give it back, or name another one in pianogen.toml"
                ) from None
            continue
        below = []
        for entry in entries:
            name = prefix + printable(entry.name)
            problem, is_folder, is_link = _look_at_entry(entry, inside, follow_links)
            if problem or not is_folder:
                yield Found(entry.path, name, problem, is_folder)
            else:
                (linked if is_link else below).append((entry.path, name + "/"))
        waiting += reversed(below)


def _look_at_entry(entry: os.DirEntry, inside: str, follow_links: bool) -> tuple[str, bool, bool]:
    """What speaks against the entry, whether it is a folder, whether it is a link."""
    try:
        if entry.is_symlink():
            if not os.path.exists(entry.path):  # noqa: PTH110 - a Path for each file costs more than the look
                return "a link to nowhere", False, True
            real = os.path.realpath(entry.path)
            if not follow_links and not os.path.join(real, "").startswith(inside):  # noqa: PTH118
                return "a link that leaves the dataset's folder", entry.is_dir(), True
        if entry.is_dir():
            return "", True, entry.is_symlink()
        # Asked before opening: a named pipe would wait for its writer, and a device may act.
        return "" if entry.is_file() else "not a regular file", False, False
    except OSError as error:
        return error.strerror or str(error), False, False


def stamp_of(descriptor: int) -> tuple[int, int, int]:
    """Size, time of change (ns) and number of an open file: one of them differs after any write to it."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_ctime_ns, status.st_ino


_STAMP_LASTS_NS = 2 * 10**9
"""Two changes nearer than a clock's step have one time; no file system's step is longer."""


def _lasting_stamp(descriptor: int, before: os.stat_result) -> tuple[int, int, int] | None:
    stamp = stamp_of(descriptor)
    same = stamp == (before.st_size, before.st_ctime_ns, before.st_ino)
    return stamp if same and time.time_ns() - stamp[1] > _STAMP_LASTS_NS else None


def hash_file(path: str, *, with_md5: bool = False) -> Digests:
    """Hashes of a regular file's bytes.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False) if with_md5 else None, 0
        while chunk := os.read(descriptor, min(max(status.st_size + 1 - size, 4096), _CHUNK_BYTES)):
            sha256.update(chunk)
            if md5:
                md5.update(chunk)
            size += len(chunk)
        return Digests(sha256.hexdigest(), md5.hexdigest() if md5 else None, size, _lasting_stamp(descriptor, status))
    finally:
        os.close(descriptor)
