"""Folders and files made aside and renamed: what a reader sees is whole or not there.

A folder grows under a name of its own, beside its target, that begins with a dot and says which host and process
fill it. A killed process leaves that folder and nothing else; the next one to make the same target removes it.
"""

import contextlib
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the body ends without an error.

    A `target` that is there is replaced. It steps aside first: a process killed between the two renames leaves no
    target, never half of one.

    Raises:
        OSError: the disk does not allow it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    folder = _name_beside(target)
    folder.mkdir()
    try:
        yield folder
        old = _name_beside(target)
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            folder.rename(target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A path to write to; what is written there becomes `target` when the body ends without an error.

    Raises:
        OSError: the disk does not allow it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    aside = _name_beside(target)
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside and rename it over the old one."""
    aside = _name_beside(path)
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def remove_abandoned(target: Path) -> None:
    """Remove what processes of this host that no longer run have left beside `target`."""
    prefix = f".{target.name}."
    for path in target.parent.iterdir():
        if not path.name.startswith(prefix):
            continue
        if is_abandoned(path.name.removeprefix(prefix)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def keeps_case(folder: Path) -> bool:
    """Whether the file system of `folder` keeps names apart that differ by case alone."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".case-") as probe:
        Path(probe, "a").touch()
        return not Path(probe, "A").exists()


def _name_beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{new_name()}")


def new_name() -> str:
    """A name that no other process gives, and that tells its giver: host, process, and a number for this once."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"


def is_abandoned(name: str) -> bool:
    """Whether a name of `new_name` was given by a process of this host that no longer runs; others cannot be asked."""
    host, _, owner = name.rpartition("-")[0].rpartition("-")
    return host == socket.gethostname() and owner.isdigit() and not _is_running(int(owner))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Ended, and not yet asked for by its parent: where nobody asks, its number stays taken.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
