"""Zip files: what the directory says of each member must be what its own header says."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from pianogen.archives.writer import READ_BYTES, Bounded, Writer, shown

DIRECTORY_BYTES = 256
"""Room for a member in the directory, on average."""

_LOCAL = struct.Struct("<4s5H3L2H")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


# What the standard library raises on bytes that are no zip, or that ask for what it does not know.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def unzip(archive: Path, file: IO[bytes], writer: Writer) -> None:
    """Write the members of a zip.

    Raises:
        ArchiveError: it is damaged, or holds what must not be unpacked.
    """
    limits = writer.limits
    bounded = Bounded(file, max(DIRECTORY_BYTES * limits.max_members, 1 << 16), lambda what: writer.refuse(None, what))
    try:
        opened = zipfile.ZipFile(bounded)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except _DAMAGE as error:
        raise writer.damaged(f"not a whole zip ({error}): cut off, or another kind of file") from None
    with opened:
        members = opened.infolist()
        if len(members) > limits.max_members:
            raise writer.refuse(None, f"{len(members):,} members, more than {limits.max_members:,}")
        writer.total_bytes = sum(member.file_size for member in members)
        if writer.total_bytes > limits.max_total_bytes:
            raise writer.refuse(None, f"{writer.total_bytes:,} bytes, more than {limits.max_total_bytes:,}")
        writer.check_ratio(writer.total_bytes, archive.stat().st_size, None)
        _check_headers(file, members, opened.start_dir, writer)
        for member in members:
            name = _zip_name(member)
            if member.is_dir():
                if member.file_size:
                    raise writer.refuse(name, "a folder that holds bytes")
                writer.make_folder(writer.place(name, is_folder=True))
                continue
            try:
                with opened.open(member) as stream:
                    size = writer.write(name, iter(lambda stream=stream: stream.read(READ_BYTES), b""))
            except _DAMAGE as error:
                raise writer.damaged(str(error) or "it ends early", name) from None
            if size != member.file_size:
                raise writer.damaged(f"{size:,} bytes come out, the directory says {member.file_size:,}", name)


def _check_headers(file: IO[bytes], members: list[zipfile.ZipInfo], start_dir: int, writer: Writer) -> None:
    """What the directory and the local headers say of each member, before any is written."""
    end, before = 0, ""
    for member in sorted(members, key=lambda member: member.header_offset):
        name = _zip_name(member)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a symbolic link" if kind == stat.S_IFLNK else "a device, fifo or socket"
            raise writer.refuse(name, f"{what}; only files and folders are unpacked")
        if member.flag_bits & 1:
            raise writer.refuse(name, "encrypted", "ask its source for one without a password")
        if member.compress_type not in _METHODS:
            raise writer.refuse(name, f"packed by method {member.compress_type}; only stored and deflated are read")
        if member.header_offset < end:
            raise writer.refuse(name, f"it shares bytes with {shown(before)}")
        file.seek(member.header_offset)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise writer.damaged("no header stands where the directory says", name)
        _, _, flags, _, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(header)
        # With flag 8 the sizes follow the bytes; all ones stand for a larger field elsewhere.
        said = {(crc, member.CRC)} if not flags & 8 else set()
        said |= {
            (here, there)
            for here, there in ((packed, member.compress_size), (size, member.file_size))
            if not flags & 8 and here != 0xFFFFFFFF
        }
        if any(here != there for here, there in said):
            raise writer.refuse(name, "its own header and the directory disagree on its size or checksum")
        if file.read(name_bytes) != _raw_name(member):
            raise writer.refuse(name, "its own header and the directory disagree on its name")
        end = member.header_offset + _LOCAL.size + name_bytes + extra_bytes + member.compress_size
        if end > start_dir:
            raise writer.damaged("its bytes reach into the directory", name)
        before = name


def _raw_name(member: zipfile.ZipInfo) -> bytes:
    return member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437")


def _zip_name(member: zipfile.ZipInfo) -> str:
    """A member's name: UTF-8 where it says so or is so, else code page 437, as the format has it."""
    try:
        return _raw_name(member).decode("utf-8")
    except UnicodeDecodeError:
        return member.orig_filename
