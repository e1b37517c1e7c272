"""What a download would do: from which addresses, with how much disk, and whether there is anything to do."""

import shutil
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from pianogen.catalogue import Archive, Dataset
from pianogen.partial import shown
from pianogen.receipts import fits, is_ours, read_receipt
from pianogen.settings import Settings

UNPACKED_RATIO = 4
"""Room kept for what comes out of an archive's byte: Lakh, the largest, takes 3.4."""


@dataclass(frozen=True, kw_only=True)
class PlannedArchive:
    """An archive still to fetch."""

    name: str
    size_bytes: int | None
    done_bytes: int
    """Here already, from a download that was cut."""
    sources: tuple[str, ...]
    """Addresses in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `obtain` would do."""

    dataset: str
    licence: str
    non_commercial: bool
    folder: Path
    state: str
    """`yours` (a folder of the user's), `here` (downloaded), or `missing`."""
    archives: tuple[PlannedArchive, ...]
    needed_bytes: int
    """Of the disk, archives and unpacked files together, as far as sizes are known."""
    free_bytes: int

    @property
    def lines(self) -> list[str]:
        """The plan in words."""
        terms = f"{self.licence} (no commercial use)" if self.non_commercial else self.licence
        lines = [f"{self.dataset}: licence {terms}"]
        if self.state != "missing":
            where = "read where it is" if self.state == "yours" else "downloaded before"
            return [*lines, f"nothing to download: {self.folder} ({where})"]
        if not self.archives:
            return [*lines, f"no address is known that gives it: it is read from a folder of yours, or {self.folder}"]
        for archive in self.archives:
            size = f"{archive.size_bytes / 1e6:,.1f} MB" if archive.size_bytes is not None else "size not known"
            done = f", {archive.done_bytes / 1e6:,.1f} MB of it here" if archive.done_bytes else ""
            lines.append(f"{archive.name}: {size}{done}")
            lines += [f"  {i}. {source}" for i, source in enumerate(archive.sources, 1)]
        lines.append(f"into {self.folder}")
        unknown = " and what is not known" if any(archive.size_bytes is None for archive in self.archives) else ""
        needed, free = self.needed_bytes / 1e6, self.free_bytes / 1e6
        return [*lines, f"disk: {needed:,.1f} MB{unknown} needed, {free:,.1f} MB free"]


def plan(dataset: Dataset, settings: Settings, *, force: bool = False) -> Plan:
    """What `obtain` would do, without doing it or asking the network."""
    state = state_of(dataset, settings, force)
    store = store_of(dataset, settings)
    archives = tuple(
        PlannedArchive(
            name=archive.name,
            size_bytes=archive.size_bytes,
            done_bytes=done_bytes(store / archive.name) if not force else 0,
            sources=tuple(shown(source) for source in sources_of(archive, settings)),
        )
        for archive in dataset.archives
        if state == "missing"
    )
    return Plan(
        dataset=dataset.name,
        licence=dataset.licence,
        non_commercial=dataset.non_commercial,
        folder=dataset.folder,
        state=state,
        archives=archives,
        needed_bytes=needed_bytes(dataset, store) if state == "missing" else 0,
        free_bytes=free_bytes(settings.raw),
    )


def sources_of(archive: Archive, settings: Settings) -> list[str]:
    """Addresses of an archive, in the order in which they are tried."""
    name = urllib.parse.quote(archive.name)
    addresses = [f"{mirror.rstrip('/')}/{name}" for mirror in settings.download.mirrors] + [archive.url]
    return [a for a in addresses if a.startswith("file:") or not settings.download.offline]


def state_of(dataset: Dataset, settings: Settings, force: bool) -> str:
    """`yours`, `here` or `missing`, as in `Plan.state`."""
    if dataset.folder != settings.raw / dataset.name:
        return "yours"
    if not dataset.archives and not is_ours(dataset.folder):
        return "yours"  # put there by hand, since nothing could be fetched
    receipt = read_receipt(dataset.folder)
    return "here" if receipt and fits(receipt, dataset) and not force else "missing"


def store_of(dataset: Dataset, settings: Settings) -> Path:
    """Where a dataset's archives lie while they are fetched."""
    return settings.raw / ".archives" / dataset.name


def done_bytes(path: Path) -> int:
    """Bytes of an archive that are here, whole or in part."""
    for found in (path, path.with_name(f"{path.name}.part")):
        if found.is_file():
            return found.stat().st_size
    return 0


def needed_bytes(dataset: Dataset, store: Path | None) -> int:
    """For archives that are still to fetch into `store`, and for what comes out of them."""
    needed = 0
    for archive in dataset.archives:
        size = archive.size_bytes or 0
        needed += size if archive.kind == "file" else UNPACKED_RATIO * size
        if store is not None:
            needed += max(0, size - done_bytes(store / archive.name))
    return needed


def free_bytes(folder: Path) -> int:
    """Free on the disk that holds, or will hold, a folder."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
