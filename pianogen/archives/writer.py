"""Members checked and written one by one, within limits; the part that zip and tar share."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pianogen.archives.names import BadNameError, Tree, safe_parts
from pianogen.errors import ArchiveError

READ_BYTES = 1 << 20
"""Of a member at once."""

Progress = Callable[[int, int | None], None]
"""Told the bytes written, and the bytes of all where the archive says so."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may become. The full Lakh set has 178,561 members and some 6 GB."""

    max_members: int = 500_000
    max_total_bytes: int = 64 << 30
    max_member_bytes: int = 16 << 30
    max_ratio: float = 100.0
    """Bytes out for a byte in, of the whole archive; MIDI files reach 10, text 20."""
    ratio_from_bytes: int = 64 << 20
    """Less than this may come out at any ratio."""
    refuse_case_collisions: bool = True
    """Also where the file system keeps `A.mid` and `a.mid` apart."""


class Writer:
    """Checks and writes members one after the other."""

    def __init__(
        self, archive: Path, folder: Path, limits: Limits, reserved: tuple[str, ...], progress: Progress
    ) -> None:
        self.archive, self.folder, self.limits = archive, folder, limits
        self.progress = progress
        self.num_members, self.num_files, self.num_bytes = 0, 0, 0
        self.total_bytes: int | None = None
        self._reserved = reserved
        self._tree = Tree(fold_case=limits.refuse_case_collisions)
        self._folders: set[tuple[str, ...]] = {()}

    def refuse(self, member: str | None, what: str, todo: str = "unpack it by hand if you trust it") -> ArchiveError:
        """The error that names archive, member and fault."""
        of_member = f"member {shown(member)}: " if member is not None else ""
        return ArchiveError(f"{self.archive}: {of_member}{what}; nothing was unpacked, {todo}")

    def damaged(self, what: str, member: str | None = None) -> ArchiveError:
        """The error for an archive that is not whole."""
        return self.refuse(member, what, "fetch it again")

    def place(self, name: str, *, is_folder: bool) -> tuple[str, ...]:
        """The parts of a member's path, once it may be written."""
        self.num_members += 1
        if self.num_members > self.limits.max_members:
            raise self.refuse(None, f"more than {self.limits.max_members:,} members")
        try:
            parts = safe_parts(name)
            if not parts and not is_folder:
                raise BadNameError("it has no name")
            if parts and parts[0] in self._reserved:
                raise BadNameError("its name is one that pianogen uses itself")
            self._tree.add(parts, is_folder=is_folder)
        except BadNameError as error:
            raise self.refuse(name, str(error)) from None
        return parts

    def make_folder(self, parts: tuple[str, ...]) -> None:
        """Make a folder and those above it."""
        if parts not in self._folders:
            self.make_folder(parts[:-1])
            self.folder.joinpath(*parts).mkdir(exist_ok=True)
            self._folders.add(parts)

    def write(self, name: str, pieces: Iterator[bytes]) -> int:
        """Write one file; returns its bytes."""
        parts = self.place(name, is_folder=False)
        self.make_folder(parts[:-1])
        path, size, limits = self.folder.joinpath(*parts), 0, self.limits
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileExistsError:
            raise self.refuse(name, "its place is taken, by an earlier archive or a name of other case") from None
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123
            for piece in pieces:
                size += len(piece)
                self.num_bytes += len(piece)
                if size > limits.max_member_bytes:
                    raise self.refuse(name, f"more than {limits.max_member_bytes:,} bytes come out of it")
                if self.num_bytes > limits.max_total_bytes:
                    raise self.refuse(name, f"more than {limits.max_total_bytes:,} bytes come out of the archive")
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
        self.num_files += 1
        self.progress(self.num_bytes, self.total_bytes)
        return size

    def check_ratio(self, num_out: int, num_in: int, member: str | None) -> None:
        """Refuse what grows too much."""
        if num_out > self.limits.ratio_from_bytes and num_out > self.limits.max_ratio * max(num_in, 1):
            raise self.refuse(
                member, f"{num_out:,} bytes come out of {num_in:,}, more than {self.limits.max_ratio:g} times"
            )


def shown(name: str) -> str:
    """A member's name, as messages hold it."""
    return ascii(name) if len(name) <= 120 else f"{name[:120]!a}…"


class Bounded:
    """A file whose single reads are bounded: what an archive's header says must not decide how much memory is taken.

    Args:
        file: to read.
        max_read: most bytes at once.
        refuse: the error for a header that asks for more.
        forward: refuse to go back as well, which in a packed stream means from the start again.
    """

    def __init__(
        self, file: IO[bytes], max_read: int, refuse: Callable[[str], ArchiveError], *, forward: bool = False
    ) -> None:
        self._file, self._max_read, self._refuse, self._forward = file, max_read, refuse, forward
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Some bytes; `last` keeps them."""
        if size > self._max_read:
            raise self._refuse(f"a header asks for {size:,} bytes at once")
        # Without a size, zipfile reads the last 64 KB.
        self.last = self._file.read(min(self._max_read, READ_BYTES) if size < 0 else size)
        return self.last

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a position."""
        if self._forward and (whence != 0 or position < self._file.tell()):
            raise self._refuse("a header points back")
        return self._file.seek(position, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """It can be moved, as tarfile asks."""
        return True
