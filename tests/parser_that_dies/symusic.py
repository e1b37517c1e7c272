"""symusic, but a file that holds a marker ends the process, as a crash in its C++ core would.

A test puts this folder before the installed packages of a child process.
"""

import importlib.machinery
import importlib.util
import os
import signal
import sys
from pathlib import Path

DEADLY = b"this ends the parser"

_elsewhere = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
_spec = importlib.machinery.PathFinder.find_spec("symusic", _elsewhere)
_real = importlib.util.module_from_spec(_spec)
sys.modules["symusic"] = _real
_spec.loader.exec_module(_real)


class Score:
    """Only what pianogen asks of symusic's Score."""

    @staticmethod
    def from_midi(data: bytes, _parse=_real.Score.from_midi):
        if DEADLY in data:
            os.kill(os.getpid(), signal.SIGKILL)
        return _parse(data)


_real.Score = Score
