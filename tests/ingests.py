"""Ingests of a folder in processes of their own: `python ingests.py FOLDER LAKE WORKERS`."""

import os
import subprocess
import sys
from pathlib import Path

from builders import midi_bytes, press

from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings

READY = "ready"


def folder_dataset(folder: Path) -> Dataset:
    return Dataset(name="mine", title="Mine", folder=folder)


def ingest_settings(workers: int) -> Settings:
    here = Path("unused")
    places = dict.fromkeys(("root", "lake", "runs", "warehouse", "report", "sql", "experiments"), here)
    return Settings(**places, workers=workers)


def start_ingest(folder: Path, lake: Path, workers: int = 1, first_on_path: Path | None = None) -> subprocess.Popen:
    """The ingest as the leader of a process group; it prints READY before it begins."""
    environment = dict(os.environ)
    if first_on_path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(first_on_path), environment.get("PYTHONPATH")]))
    command = [sys.executable, __file__, str(folder), str(lake), str(workers)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def write(folder: Path, *names: str, pitch: int = 60) -> None:
    """Files of one note each, every one other music."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi_bytes(press(pitch, 100 + i)))


def counts(info: dict) -> tuple[int, int, int]:
    return info["num_files"], info["num_performances"], info["num_rejections"]


def reasons(lake: Lake) -> dict[str, str]:
    rejections = lake.read("rejections")
    return dict(zip(rejections["path"].to_pylist(), rejections["reason"].to_pylist(), strict=True))


def files_below(root: Path) -> dict[str, bytes]:
    """Every file of a lake by its name."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


if __name__ == "__main__":
    print(READY, flush=True)
    ingest_dataset(Lake(Path(sys.argv[2])), folder_dataset(Path(sys.argv[1])), ingest_settings(int(sys.argv[3])))
