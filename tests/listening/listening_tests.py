"""Sets of samples, tests and files of votes that tests of listening start from."""

import json
from pathlib import Path
from typing import Any

from corpora import improvise, write_midi

from pianogen.lake import Lake
from pianogen.listening.page import ListeningConfig, make_test
from pianogen.listening.sets import read_set


def write_sets(folder: Path, num: int = 4, num_notes: int = 12) -> tuple[str, str]:
    """Two folders of short pieces, `human` and `model`; no two are alike, and their names neither."""
    for set_name, seed in (("human", 0), ("model", 100)):
        for i in range(num):
            write_midi(folder / set_name / f"{set_name}_{i}.mid", improvise(seed + i, num_notes))
    return str(folder / "human"), str(folder / "model")


def write_page(folder: Path, **settings: Any) -> tuple[Path, dict[str, Any], Path]:
    """A page over `write_sets`, its key, and the path of that."""
    a, b = write_sets(folder)
    lake = Lake(folder / "lake")
    page, key = make_test(read_set(a, lake), read_set(b, lake), ListeningConfig(**settings))
    (folder / "test.html").write_text(page)
    (folder / "test.key.json").write_text(json.dumps(key))
    return folder / "test.html", key, folder / "test.key.json"


def votes_of(key: dict[str, Any], prefers: str, listener: str = "0" * 16) -> dict[str, Any]:
    """What a listener's file holds who prefers one of the sets, `a` or `b`, or hears no difference (`none`)."""
    return {
        "format": "pianogen listening votes",
        "version": 1,
        "test": key["test"],
        "listener": listener,
        "votes": [
            {
                "pair": pair["pair"],
                "vote": next((side for side in ("A", "B") if pair[side]["set"] == prefers), "none"),
            }
            for pair in key["pairs"]
        ],
    }


def write_votes(path: Path, votes: Any) -> Path:
    path.write_text(json.dumps(votes))
    return path
