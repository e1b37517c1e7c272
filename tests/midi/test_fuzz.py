"""Damaged files: none may crash the reader, hang it, read outside its bounds, or be lost."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import mutants
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingests import folder_dataset, ingest_settings
from mutants import BUILT, DAMAGE, check_read, damaged, examples, mended, random_mutants

from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.midi.parsed import EVENT_TABLES, columns_of
from pianogen.reading import REASONS

pytestmark = pytest.mark.slow

BATCHES = st.lists(
    st.tuples(st.integers(0, 2**16), DAMAGE, st.integers(0, 2**16), st.booleans()), min_size=1, max_size=4
)
FUZZ = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@pytest.fixture(scope="module")
def real_files(real_data) -> list[bytes]:
    """Some of every dataset, small ones, and all that are broken to begin with."""
    found = [p for p in real_data.rglob("*.mid*") if "corrupt" not in p.parts and 0 < p.stat().st_size < 20_000]
    chosen = random.Random(11).sample(sorted(found), 60) + sorted((real_data / "corrupt").rglob("*.mid"))
    return [path.read_bytes() for path in chosen]


def check_batch(bases: list[bytes], batch: list[tuple], only_piano: bool) -> None:
    """Files read together give what each gives alone."""
    files = []
    for i, damage, j, mend in batch:
        data = damaged(bases[i % len(bases)], damage, bases[j % len(bases)])
        files.append(mended(data) if mend else data)
    alone = [check_read([data], only_piano=only_piano) for data in files]
    together = check_read(files, only_piano=only_piano, reuse=True)
    assert [str(o) for o in together.outcomes] == [str(o) for one in alone for o in one.outcomes]
    for name in EVENT_TABLES:
        schema = columns_of(name)
        expected = pa.concat_tables([one.tables[name].cast(schema) for one in alone])
        assert together.tables[name].cast(schema).equals(expected), name


@settings(max_examples=examples(300), **FUZZ)
@given(BATCHES, st.booleans())
def test_damaged_files_are_music_or_rejected_alone_as_together(batch, only_piano):
    check_batch(BUILT, batch, only_piano)


@settings(max_examples=examples(400), **FUZZ)
@given(batch=BATCHES, only_piano=st.booleans())
def test_damaged_real_files_are_music_or_rejected_alone_as_together(real_files, batch, only_piano):
    check_batch(real_files, batch, only_piano)


def test_no_index_of_the_compiled_reader_leaves_its_array(real_files, tmp_path, pytestconfig):
    # Compiled with the checks it lies beside what else pytest keeps, for as long as the reader's source is the same.
    compiled = pytestconfig.cache.mkdir("reader_with_checked_bounds")
    bases = tmp_path / "bases"
    bases.mkdir()
    for i, data in enumerate(BUILT + real_files):
        (bases / f"{i:03}.mid").write_bytes(data)
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "0", "NUMBA_CACHE_DIR": str(compiled)}
    number = examples(400)
    read = subprocess.run(
        [sys.executable, mutants.__file__, str(bases), "5", str(number)],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
    assert (said := re.fullmatch(rf"{number} read, (\d+) accepted\n", read.stdout)), read.stdout
    assert int(said[1]) > number / 10, "some damage leaves music"


def test_ingest_loses_no_damaged_file(real_files, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    number = examples(400)
    for i, data in enumerate(random_mutants(BUILT + real_files, 3, number)):
        (folder / f"{i}.mid").write_bytes(data)
    lake = Lake(tmp_path / "lake")
    info = ingest_dataset(lake, folder_dataset(folder), ingest_settings(1)).info
    assert info["num_files"] == number
    rejections, performances = lake.read("rejections"), lake.read("performances")
    assert rejections.num_rows + performances.num_rows == number
    assert 0 < performances.num_rows < number
    assert set(rejections["reason"].to_pylist()) <= set(REASONS) - {"parser_died", "took_too_long", "unreadable"}
    listed = lake.read("files").to_pylist()
    assert {row["path"] for row in listed} == {f"{i}.mid" for i in range(number)}
    rejected = set(rejections["path"].to_pylist())
    assert all((row["performance_id"] is None) == (row["path"] in rejected) for row in listed)
