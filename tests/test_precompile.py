import os
import subprocess
import sys

import pytest

from pianogen import precompile


@pytest.mark.slow
def test_everything_is_compiled_without_a_word():
    done = subprocess.run([sys.executable, "-m", "pianogen.precompile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_ends_its_process_is_told(monkeypatch, capsys):
    monkeypatch.setattr(precompile, "_work", end)
    assert precompile.main() == 1
    assert capsys.readouterr().err.count("error: compiling: the process ended with exit code 3") == 4


def end(task):
    os._exit(3)
