"""tar.gz files, read once from front to back."""

import gzip
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from pianogen.archives.writer import READ_BYTES, Bounded, Writer

MAX_READ_BYTES = 2 * READ_BYTES
BLOCK = 512
"""Bytes of a header, and what members are padded to."""
KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.FIFOTYPE: "a fifo",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
}


# What the standard library raises on bytes that are no tar.gz; header upon header ends its recursion.
_DAMAGE = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    struct.error,
    ValueError,
    OverflowError,
    RecursionError,
)


def untar(file: IO[bytes], writer: Writer) -> None:
    """Write the members of a tar.gz.

    Raises:
        ArchiveError: it is damaged, or holds what must not be unpacked.
    """

    def check(member: str | None) -> None:
        writer.check_ratio(stream.tell(), file.tell(), member)

    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            bounded = Bounded(
                stream,  # pyright: ignore[reportArgumentType]
                MAX_READ_BYTES,
                lambda what: writer.refuse(None, what),
                forward=True,
            )
            # UTF-8, and what is not comes out as the bytes it is.
            with tarfile.open(  # pyright: ignore[reportCallIssue]
                fileobj=bounded,  # pyright: ignore[reportArgumentType]
                mode="r:",
                encoding="utf-8",
                errors="surrogateescape",
            ) as opened:
                while (member := opened.next()) is not None:
                    check(member.name)
                    _untar_member(opened, member, writer, check)
                    opened.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
            if bounded.last != bytes(BLOCK):
                raise writer.damaged("it ends without the mark of its end: cut off, or damaged in the middle")
            # The checksum stands at the very end.
            while stream.read(READ_BYTES):
                check(None)
                if stream.tell() > writer.limits.max_total_bytes:
                    raise writer.refuse(None, f"more than {writer.limits.max_total_bytes:,} bytes come out of it")
    except _DAMAGE as error:
        raise writer.damaged(f"not a whole tar.gz ({error})") from None


def _untar_member(
    opened: tarfile.TarFile, member: tarfile.TarInfo, writer: Writer, check: Callable[[str | None], None]
) -> None:
    name = member.name
    if member.isdir():
        writer.make_folder(writer.place(name, is_folder=True))
        return
    if not member.isreg() or member.issparse():
        what = "a sparse file" if member.issparse() else KINDS.get(member.type, f"of type {member.type!r}")
        raise writer.refuse(name, f"{what}; only files and folders are unpacked")
    if member.size > writer.limits.max_member_bytes:
        raise writer.refuse(name, f"{member.size:,} bytes, more than {writer.limits.max_member_bytes:,}")
    source = opened.extractfile(member)
    assert source is not None  # it is for links and devices alone

    def pieces() -> Iterator[bytes]:
        while piece := source.read(READ_BYTES):
            check(name)
            yield piece

    if writer.write(name, pieces()) != member.size:
        raise writer.damaged("it ends early", name)
