"""What is compiled and kept on disk is compiled anew when anything changes that went into it."""

import importlib
import itertools
import os
import sys

import pytest

MAIN = """
from pianogen.compiled import njit
from {name}_other import NUMBER, Kind, twice

@njit
def value(x):
    return twice(x) + NUMBER + Kind.ONE
"""
OTHER = """
from enum import IntEnum
from pianogen.compiled import njit
from {name}_third import FACTOR

NUMBER = {number}

class Kind(IntEnum):
    ONE = {one}

@njit
def twice(x):
    return FACTOR * x + {added}
"""
numbers = itertools.count()


@pytest.fixture
def value(tmp_path, monkeypatch):
    """Write the three files where they differ, import them anew, and call the function with 10."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"compiled_{next(numbers)}"

    def called(*, factor=2, number=1, one=100, added=0):
        texts = {
            f"{name}_third": f"FACTOR = {factor}\n",
            f"{name}_other": OTHER.format(name=name, number=number, one=one, added=added),
            f"{name}_main": MAIN.format(name=name),
        }
        for module, text in texts.items():
            path = tmp_path / f"{module}.py"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
                os.utime(path, ns=(stamp := 10**18 + next(numbers) * 10**9, stamp))
            sys.modules.pop(module, None)
        importlib.invalidate_caches()
        function = importlib.import_module(f"{name}_main").value
        found = function(10)
        return found, sum(function.stats.cache_hits.values())

    return called


def test_a_change_in_another_file_is_noticed(value):
    assert value() == (121, 0)
    assert value() == (121, 1)
    assert value(number=2) == (122, 0)
    assert value(factor=3) == (131, 0)
    assert value(one=200) == (221, 0)
    assert value(added=1) == (122, 0)
    assert value(added=1) == (122, 1)
