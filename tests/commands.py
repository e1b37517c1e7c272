"""The command `pianogen` as a shell runs it: words in, exit code and text out."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from pianogen.cli import main


def pianogen(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in this process, which has imported by now what each process of its own would import anew."""
    argv = ["pianogen", *map(str, words)]
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        patch.object(sys, "argv", argv),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(argv, code, stdout.getvalue(), stderr.getvalue())


def pianogen_in_a_process(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "pianogen.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
