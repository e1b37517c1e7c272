"""Readers that die, take too long or too much, and workers that are killed: no other file is lost."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders import midi_bytes, press
from ingests import counts, files_below, folder_dataset, ingest_settings, reasons, start_ingest, write

from pianogen import ingest
from pianogen.catalogue import list_files
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.reading import parse_block

HERE = Path(__file__).resolve().parent

pytestmark = pytest.mark.slow


def counts_alive(folder: Path, lake: Lake) -> tuple[int, int, int]:
    """Of an ingest whose readers live."""
    settings = replace(ingest_settings(1), backend="threading")
    return counts(ingest_dataset(Lake(lake.root.parent / "other"), folder_dataset(folder), settings).info)


SCORE = b"""<score-partwise version="4.0">
<part-list><score-part id="P"><part-name/></score-part></part-list>
<part id="P"><measure number="1">
<attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration></note>
</measure></part>
</score-partwise>"""


def rejections_of_a_reader_that_dies(folder: Path, lake: Lake, workers: int) -> dict[str, str]:
    process = start_ingest(folder, lake.root, workers, first_on_path=HERE / "parser_that_dies")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return reasons(lake)


@pytest.mark.parametrize("workers, num_files", [(1, 3), (2, 400)])
def test_a_midi_file_that_ends_its_reader_is_rejected_and_costs_no_other_file(folder, lake, workers, num_files):
    write(folder, *(f"{i}.mid" for i in range(num_files)))
    (folder / "deadly.mid").write_bytes(midi_bytes(b"\x00\xff\x01\x14this ends the parser" + press(50)))
    assert rejections_of_a_reader_that_dies(folder, lake, workers) == {"deadly.mid": "parser_died"}
    assert lake.read("rejections")["detail"].to_pylist() == ["the process was ended by SIGKILL while it was parsed"]
    assert counts(lake.require("ingest", "mine").info) == (num_files + 1, num_files, 1)
    # To a parser that lives the same files are music, so the death was real.
    assert counts_alive(folder, lake) == (num_files + 1, num_files + 1, 0)


def test_scores_that_end_their_reader_or_want_too_much_are_rejected_each_with_its_reason(folder, lake):
    write(folder, "a.mid", "b.mid")
    for name, words in {"good": "", "deadly": "this ends the parser", "endless": "this never ends"}.items():
        (folder / f"{name}.musicxml").write_bytes(SCORE + f"<!-- {words} -->".encode())
    (folder / "huge.musicxml").write_bytes(SCORE + b"<!-- this takes memory -->")
    assert rejections_of_a_reader_that_dies(folder, lake, workers=1) == {
        "deadly.musicxml": "parser_died",
        "endless.musicxml": "took_too_long",
        "huge.musicxml": "too_much_memory",
    }
    details = dict(zip(*(lake.read("rejections")[name].to_pylist() for name in ("path", "detail")), strict=True))
    assert details == {
        "deadly.musicxml": "the process ended with exit code 7 while it was parsed",
        "endless.musicxml": "more than 1 s of processor time",
        "huge.musicxml": "more than 256 MiB",
    }
    assert counts(lake.require("ingest", "mine").info) == (6, 3, 3)
    assert counts_alive(folder, lake) == (6, 6, 0)


def test_a_worker_that_is_killed_from_outside_costs_no_file(folder, lake):
    for i in range(3):
        (folder / f"{i}.musicxml").write_bytes(SCORE + f"<!-- {i} -->".encode())
    mark = folder.parent / "slow_has_begun"
    (folder / "slow.musicxml").write_bytes(SCORE + f"<!-- this takes a while until there is {mark} -->".encode())
    write(folder, *(f"{i}.mid" for i in range(300)))
    process = start_ingest(folder, lake.root, 2, first_on_path=HERE / "parser_that_dies")
    killed = wait_for_pid(mark, process)
    os.kill(killed, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert counts(lake.require("ingest", "mine").info) == (304, 304, 0)


def wait_for_pid(mark: Path, process: subprocess.Popen) -> int:
    """What the worker that reads the slow file has written down."""
    until = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)
    return int(mark.read_text())


def test_files_read_one_by_one_give_the_bytes_of_files_read_together(folder, lake, tmp_path, real_data):
    for i, path in enumerate(sorted((real_data / "maestro" / "2004").iterdir())[:6]):
        shutil.copy(path, folder / f"{i}.mid")
    for i, path in enumerate(sorted((real_data / "corrupt").rglob("*.mid"))):
        shutil.copy(path, folder / f"corrupt {i}.mid")
    files = list_files(folder_dataset(folder))
    (block,) = ingest._blocks(lake, folder_dataset(folder), files)
    assert parse_block(block)
    assert parse_block(replace(block, lake=tmp_path / "other", one_by_one=True))
    assert files_below(tmp_path / "other") == files_below(lake.root)
