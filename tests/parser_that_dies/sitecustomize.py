"""Readers that die of a file, as a crash in compiled code would end them, and limits that a test can wait for.

A test puts this folder first on the path of a child process and its workers; Python imports this file when it starts.
What a file makes its reader do stands in the file.
"""

import importlib.abc
import importlib.machinery
import os
import re
import signal
import sys
import time
from pathlib import Path

DEADLY = b"this ends the parser"
ENDLESS = b"this never ends"
HUGE = b"this takes memory"
SLOW = re.compile(rb"this takes a while until there is (\S+)")


def _midi(module):
    read = module.read_files

    def read_files(files, **options):
        if any(DEADLY in data for data in files):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(files, **options)

    module.read_files = read_files


def _scores(module):
    parse = module.parse_musicxml

    def parse_musicxml(data):
        if DEADLY in data:
            os._exit(7)
        while ENDLESS in data:
            pass
        if (found := SLOW.search(data)) and not (mark := Path(found[1].decode())).exists():
            mark.write_text(str(os.getpid()))
            time.sleep(60)
        return parse(data + bytes(2**29 if HUGE in data else 0))

    module.parse_musicxml = parse_musicxml


def _limits(module):
    module.SECONDS_PER_FILE = 1
    module.MEMORY_PER_FILE = 2**28


_CHANGES = {"pianogen.midi.read": _midi, "pianogen.musicxml": _scores, "pianogen.reading": _limits}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as ever, and changes those named above once they have run."""

    def find_spec(self, name, path=None, target=None):
        if name not in _CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def run_and_change(module):
            run(module)
            _CHANGES[name](module)

        spec.loader.exec_module = run_and_change
        return spec


sys.meta_path.insert(0, _Finder())
