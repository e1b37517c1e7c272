"""A dataset of the catalogue to files in its folder, from the nearest source that has it.

    your folder, or your archive  ->  mirrors of pianogen.toml  ->  the official address

    <raw>/.archives/<dataset>/    archives while they are fetched (`fetch.py`); removed once unpacked
    <raw>/<dataset>/              the files, unpacked (`archives/`), and the receipt `.pianogen.json`

The folder appears whole, with its receipt; asking again does nothing while receipt and catalogue agree. A process
killed at any moment leaves what the next one goes on from or removes. Two at once: the second waits, and finds the
files there. Two receipts of the same source are the same.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from pianogen.archives.extraction import extract_into
from pianogen.archives.names import BadNameError, safe_parts
from pianogen.archives.writer import Limits
from pianogen.aside import keeps_case, new_folder
from pianogen.catalogue import Archive, Dataset
from pianogen.download_plan import UNPACKED_RATIO, free_bytes, needed_bytes, sources_of, state_of, store_of
from pianogen.errors import ArchiveError, DownloadError
from pianogen.fetch import FetchConfig, Say, SourceError, fetch
from pianogen.partial import Fetched, Progress, first_bytes_of, measure, mismatch, shown
from pianogen.receipts import (
    RECEIPT,
    Receipt,
    ReceivedArchive,
    fits,
    is_ours,
    read_receipt,
    receipt_of_folder,
    write_receipt,
)
from pianogen.settings import Settings


def obtain(
    dataset: Dataset,
    settings: Settings,
    *,
    archive: Path | None = None,
    force: bool = False,
    keep_archive: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
    config: FetchConfig | None = None,
) -> Receipt:
    """See to it that a dataset's files are in its folder.

    Args:
        dataset: of the catalogue.
        settings: where datasets lie, and the mirrors.
        archive: a local copy of the archive, or a folder that holds all of them under their names.
        force: fetch and unpack what is here already again.
        keep_archive: leave the fetched archives where they are.
        progress: bytes done and of all, of the archive that is fetched or unpacked.
        say: what is done, and what goes wrong on the way.
        config: timeouts and pauses of the network.

    Returns:
        What is in the folder now.

    Raises:
        DownloadError: no source gives it, the disk has no room, or the folder holds files of someone else.
        ArchiveError: what was fetched must not be unpacked.
    """
    say = say or (lambda _: None)
    for entry in dataset.archives:
        _require_plain_name(dataset, entry)
    state = state_of(dataset, settings, force)
    if state == "yours":
        if archive is not None or force:
            raise DownloadError(
                f"{dataset.name}: its folder {dataset.folder} is your own and is not written to; take the folder out "
                f"of [datasets.{dataset.name}] to download, or unpack the archive there yourself"
            )
        return receipt_of_folder(dataset)
    # Before anything is written: the disk may be one that others share, to read only.
    if state == "here" and (here := read_receipt(dataset.folder)):
        return here
    try:
        settings.raw.mkdir(parents=True, exist_ok=True)
        with _only_one(dataset, settings, say):
            # Another process may have fetched it while this one waited.
            if (here := read_receipt(dataset.folder)) and not force and fits(here, dataset):
                return here
            return _obtain(dataset, settings, archive, force, keep_archive, progress, say, config)
    except OSError as error:
        raise DownloadError(f"{error.filename or settings.raw}: {error.strerror or error}; {_point(dataset)}") from None


def _obtain(
    dataset: Dataset,
    settings: Settings,
    local: Path | None,
    force: bool,
    keep_archive: bool,
    progress: Progress | None,
    say: Say,
    config: FetchConfig | None,
) -> Receipt:
    """As `obtain`, when there is something to do and no other process does it."""
    store = store_of(dataset, settings)
    if not dataset.archives:
        raise DownloadError(
            f"{dataset.name}: no address is known that gives it; see {dataset.homepage or 'its publisher'}, then point "
            f'to your copy: [datasets.{dataset.name}] folder = "/path/to/it" in pianogen.toml'
        )
    if not is_ours(dataset.folder):
        raise DownloadError(
            f"{dataset.folder}: it holds files without a receipt ({RECEIPT}), so they are yours and stay; move them "
            f'away, or name another folder by [datasets.{dataset.name}] folder = "/path/to/it"'
        )
    if force:
        shutil.rmtree(store, ignore_errors=True)
    needed = needed_bytes(dataset, store if local is None else None)
    if needed > free_bytes(settings.raw):
        raise DownloadError(_no_room(dataset, settings, needed))
    store.mkdir(parents=True, exist_ok=True)
    try:
        return _unpack_all(dataset, settings, store, local, keep_archive, progress, say, config)
    finally:
        for empty in (store, store.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _unpack_all(
    dataset: Dataset,
    settings: Settings,
    store: Path,
    local: Path | None,
    keep_archive: bool,
    progress: Progress | None,
    say: Say,
    config: FetchConfig | None,
) -> Receipt:
    """Every archive, fetched and unpacked into the dataset's folder, which appears whole."""
    received, num_files, num_bytes = [], 0, 0
    limits = Limits(refuse_case_collisions=not keeps_case(settings.raw))
    with new_folder(dataset.folder) as folder:
        for entry in dataset.archives:
            if local is not None:
                path, found, source = _local_archive(dataset, entry, local, progress)
            else:
                path, found, source = _fetch_archive(dataset, entry, settings, store, config, progress, say)
            received.append(
                ReceivedArchive(name=entry.name, url=entry.url, kind=entry.kind, source=source, **asdict(found))
            )
            if entry.kind == "file":
                shutil.copyfile(path, folder / entry.name)
                num_files, num_bytes = num_files + 1, num_bytes + found.size_bytes
                continue
            if UNPACKED_RATIO * found.size_bytes > free_bytes(settings.raw):
                raise DownloadError(_no_room(dataset, settings, UNPACKED_RATIO * found.size_bytes))
            say(f"{entry.name}: unpacking")
            try:
                out = extract_into(path, entry.kind, folder, limits, reserved=(RECEIPT,), progress=progress)
            except ArchiveError:
                if local is None:
                    path.unlink(missing_ok=True)
                raise
            num_files, num_bytes = num_files + out.num_files, num_bytes + out.num_bytes
        receipt = Receipt(
            dataset=dataset.name,
            licence=dataset.licence,
            non_commercial=dataset.non_commercial,
            archives=tuple(received),
            num_files=num_files,
            num_bytes=num_bytes,
        )
        write_receipt(folder, receipt)
    if not keep_archive:
        shutil.rmtree(store, ignore_errors=True)
    return receipt


def _fetch_archive(
    dataset: Dataset,
    entry: Archive,
    settings: Settings,
    store: Path,
    config: FetchConfig | None,
    progress: Progress | None,
    say: Say,
) -> tuple[Path, Fetched, str]:
    """The archive from the first source that gives it: its path, what was measured, and the source."""
    path = store / entry.name
    if path.is_file():
        found = measure(path, progress)
        if mismatch(entry, found, first_bytes_of(path)) is None:
            return path, found, entry.name
        path.unlink()
    failures: list[tuple[str, SourceError]] = []
    for source in sources_of(entry, settings):
        say(f"{entry.name}: from {shown(source)}")
        try:
            return path, fetch(source, path, entry, config, progress=progress, say=say), shown(source)
        except SourceError as error:
            say(f"{shown(source)}: {error}")
            failures.append((shown(source), error))
    if settings.download.offline:
        head = f"{entry.name} of {dataset.name} is not here, and [download] offline = true keeps the network out"
    elif all(error.unreachable for _, error in failures):
        head = f"no network: {entry.name} of {dataset.name} could not be fetched, none of its sources can be reached"
    else:
        head = f"{entry.name} of {dataset.name} could not be fetched from any source"
    lines = [head, *(f"  {source}: {error}" for source, error in failures), _point(dataset)]
    raise DownloadError("\n".join(lines))


def _local_archive(
    dataset: Dataset, entry: Archive, local: Path, progress: Progress | None
) -> tuple[Path, Fetched, str]:
    if not local.is_dir() and len(dataset.archives) > 1:
        names = ", ".join(archive.name for archive in dataset.archives)
        raise DownloadError(f"{local}: {dataset.name} has several archives; name a folder that holds {names}")
    path = local / entry.name if local.is_dir() else local
    try:
        found = measure(path, progress)
        problem = mismatch(entry, found, first_bytes_of(path))
    except OSError as error:
        raise DownloadError(f"{path}: cannot be read: {error.strerror}; name {entry.name} or its folder") from None
    if problem is not None:
        raise DownloadError(f"{path}: it is not {entry.name} of {dataset.name}: {problem}; fetch it from {entry.url}")
    return path, found, path.name


def _no_room(dataset: Dataset, settings: Settings, needed: int) -> str:
    return (
        f"{settings.raw}: {dataset.name} needs {needed / 1e9:,.2f} GB of disk to fetch and unpack, "
        f"{free_bytes(settings.raw) / 1e9:,.2f} GB are free; free some, or set `raw` in pianogen.toml to a larger disk"
    )


def _point(dataset: Dataset) -> str:
    """How to do without the network."""
    name = dataset.name
    return (
        f'If you have a copy: [datasets.{name}] folder = "/path/to/it" in pianogen.toml reads the unpacked files where '
        f"they are, and `pianogen download {name} --archive /path/to/archive` unpacks an archive."
    )


@contextlib.contextmanager
def _only_one(dataset: Dataset, settings: Settings, say: Say) -> Iterator[None]:
    """Hold the dataset's lock, which the system lets go when the process dies."""
    lock = FileLock(settings.raw / f".{dataset.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{dataset.name}: another process is fetching it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require_plain_name(dataset: Dataset, archive: Archive) -> None:
    """A name out of the catalogue becomes a path."""
    try:
        plain = len(safe_parts(archive.name)) == 1 and archive.name != RECEIPT
    except BadNameError:
        plain = False
    if not plain:
        raise DownloadError(f"{dataset.name}: an archive's name must be that of a file, found {archive.name!r}")
