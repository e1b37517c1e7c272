"""Which names of archive members may become files, and which of them get in each other's way."""

import re
import unicodedata
from dataclasses import dataclass, field

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
"""Names that some systems give to devices, whatever follows the first dot."""


class BadNameError(Exception):
    """A name that must not become a file; the text says why."""


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file that a member's name stands for.

    Args:
        name: as the archive has it, with forward slashes; undecodable bytes as surrogate escapes.

    Returns:
        Parts of the path; none for the archive's own root (`./`).

    Raises:
        BadNameError: the name climbs, is absolute, or is no portable name.
    """
    if "\0" in name:
        raise BadNameError("its name holds a zero byte")
    if "\\" in name:
        raise BadNameError("its name holds a backslash, which some systems take as a folder's end")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise BadNameError("its name is absolute")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise BadNameError("its name climbs out of the folder with '..'")
    for part in parts:
        if any(unicodedata.category(c) == "Cc" for c in part):
            raise BadNameError("its name holds a control character")
        if part.split(".")[0].rstrip().casefold() in DEVICES:
            raise BadNameError(f"its name holds {part!r}, which some systems take as a device")
        if _num_bytes(part) > MAX_NAME_BYTES:
            raise BadNameError(f"a part of its name has {_num_bytes(part)} bytes, at most {MAX_NAME_BYTES} fit")
    if _num_bytes("/".join(parts)) > MAX_PATH_BYTES:
        raise BadNameError(f"its name has more than {MAX_PATH_BYTES} bytes")
    return parts


@dataclass
class Tree:
    """The files and folders that names make, to notice two that want one place.

    Args:
        fold_case: names that differ by case or Unicode form alone want one place as well.
    """

    fold_case: bool
    _seen: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = field(default_factory=dict)

    def add(self, parts: tuple[str, ...], *, is_folder: bool) -> None:
        """Take a member in; a folder may come again.

        Raises:
            BadNameError: its place is taken.
        """
        for end in range(1, len(parts)):
            self._add(parts[:end], is_folder=True)
        if parts:
            self._add(parts, is_folder=is_folder)

    def _add(self, parts: tuple[str, ...], *, is_folder: bool) -> None:
        key = tuple(unicodedata.normalize("NFC", part).casefold() for part in parts) if self.fold_case else parts
        known, known_is_folder = self._seen.setdefault(key, (parts, is_folder))
        if known is parts:
            return
        if known != parts:
            raise BadNameError(f"its name is that of {'/'.join(known)!r} but for case or Unicode form")
        if is_folder != known_is_folder:
            raise BadNameError(f"{'/'.join(parts)!r} is a file and a folder")
        if not is_folder:
            raise BadNameError("its name comes twice")


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
