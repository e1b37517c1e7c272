"""Extraction into a folder of its own."""

from dataclasses import dataclass
from pathlib import Path

from pianogen.archives.tars import untar
from pianogen.archives.writer import Limits, Progress, Writer
from pianogen.archives.zips import unzip
from pianogen.aside import new_folder
from pianogen.errors import ArchiveError


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What came out."""

    num_files: int
    num_bytes: int


def extract(
    archive: Path, kind: str, target: Path, limits: Limits | None = None, *, progress: Progress | None = None
) -> Extracted:
    """Unpack `archive` into the folder `target`, which appears whole and replaces what was there.

    Args:
        archive: the file.
        kind: `zip` or `tar.gz`.
        target: folder to make.
        limits: what may come out; the defaults without it.
        progress: bytes written, and of all where the archive says so.

    Raises:
        ArchiveError: the archive is damaged, or holds what must not be unpacked. Nothing is left of it.
    """
    with new_folder(target) as folder:
        return extract_into(archive, kind, folder, limits, progress=progress)


def extract_into(
    archive: Path,
    kind: str,
    folder: Path,
    limits: Limits | None = None,
    *,
    reserved: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Extracted:
    """Unpack `archive` into a folder that nobody else sees yet; the caller removes it after an error.

    Args:
        archive: the file.
        kind: `zip` or `tar.gz`.
        folder: exists; members must not meet a file that is there.
        limits: what may come out.
        reserved: names at the top that no member may have.
        progress: bytes written, and of all where the archive says so.

    Raises:
        ArchiveError: as `extract`.
    """
    limits = limits or Limits()
    writer = Writer(archive, folder, limits, reserved, progress or (lambda done, total: None))
    try:
        with archive.open("rb") as file:
            if kind == "zip":
                unzip(archive, file, writer)
            elif kind == "tar.gz":
                untar(file, writer)
            else:
                raise writer.refuse(None, f"kind {kind!r} is not read", "zip and tar.gz are")
    except OSError as error:
        where = error.filename or archive
        raise ArchiveError(f"{where}: {error.strerror or error}; nothing of {archive.name} was kept") from None
    return Extracted(num_files=writer.num_files, num_bytes=writer.num_bytes)
