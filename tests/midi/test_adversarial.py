import json
import subprocess
import sys
from pathlib import Path

import adversarial
import pytest


def outcomes(*names: str) -> dict[str, str]:
    """How each file ended, all of them within the time and memory that one may take."""
    read = subprocess.run([sys.executable, adversarial.__file__, *names], capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    found = [json.loads(line) for line in read.stdout.splitlines()]
    assert [told for told in found if told["seconds"] >= 10 or told["mib"] >= 1024] == []
    return {told["name"]: told["outcome"] for told in found}


@pytest.mark.slow
def test_files_made_to_cost_much_cost_under_10_seconds_and_1_gib_and_end_as_they_should():
    assert outcomes() == {name: outcome for name, (_, outcome) in adversarial.CASES.items()}


def test_each_broken_file_costs_under_10_seconds_and_1_gib(real_data: Path):
    files = [str(path) for path in sorted((real_data / "corrupt").rglob("*.mid*"))]
    assert len(files) == 58
    assert outcomes(*files).keys() == set(files)
