"""What a downloaded dataset's folder says of itself: `.pianogen.json`, without clock and without path."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pianogen.catalogue import Archive, Dataset
from pianogen.errors import DownloadError

RECEIPT = ".pianogen.json"


@dataclass(frozen=True, kw_only=True)
class ReceivedArchive:
    """An archive that was unpacked, as measured, and where it came from."""

    name: str
    url: str
    kind: str
    source: str
    """The address that gave it, or the name of a local file."""
    size_bytes: int
    sha256: str
    md5: str

    def fits(self, archive: Archive) -> bool:
        """Whether it is what the catalogue names today."""
        return (self.name, self.url, self.kind) == (archive.name, archive.url, archive.kind) and all(
            expected is None or expected == found
            for expected, found in (
                (archive.size_bytes, self.size_bytes),
                (archive.sha256, self.sha256),
                (archive.md5, self.md5),
            )
        )


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What lies in a dataset's folder, and where it came from."""

    dataset: str
    licence: str
    non_commercial: bool
    archives: tuple[ReceivedArchive, ...]
    """None for a folder of the user's own."""
    num_files: int
    num_bytes: int


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt of a downloaded dataset; None where there is none."""
    try:
        fields = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        archives = tuple(ReceivedArchive(**archive) for archive in fields.pop("archives"))
        return Receipt(**fields, archives=archives)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Put the receipt into a folder that nobody else sees yet."""
    (folder / RECEIPT).write_text(json.dumps(asdict(receipt), indent=1) + "\n", encoding="utf-8")


def fits(receipt: Receipt, dataset: Dataset) -> bool:
    """Whether a folder holds what the catalogue names today."""
    return len(receipt.archives) == len(dataset.archives) and all(
        received.fits(archive) for received, archive in zip(receipt.archives, dataset.archives, strict=True)
    )


def is_ours(folder: Path) -> bool:
    """Whether a folder may be replaced: it is not there, is empty, or has a receipt."""
    return not folder.exists() or read_receipt(folder) is not None or not any(folder.iterdir())


def receipt_of_folder(dataset: Dataset) -> Receipt:
    """What a folder of the user's own holds.

    Raises:
        DownloadError: it is not there.
    """
    if not dataset.folder.is_dir():
        raise DownloadError(
            f"{dataset.folder}: the folder of {dataset.name} is not there; correct [datasets.{dataset.name}] folder"
        )
    sizes = [
        Path(parent, name).stat().st_size
        for parent, _, names in os.walk(dataset.folder)
        for name in names
        if not name.startswith(".") and Path(parent, name).is_file()
    ]
    return Receipt(
        dataset=dataset.name,
        licence=dataset.licence,
        non_commercial=dataset.non_commercial,
        archives=(),
        num_files=len(sizes),
        num_bytes=sum(sizes),
    )
