"""Functions that numba compiles and keeps on disk, and compiles anew when anything changes that went into them.

By itself numba looks at the file that a function stands in, and at no other. A constant or a function of another file
would stay what it was when it was compiled, without a word.
"""

import enum
import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

CONSTANTS = (bool, int, float, str, tuple, np.generic)


def njit(function: Callable, *, nogil: bool = False) -> Any:
    """The compiled function, from disk where neither its file nor what it imports from others has changed.

    Args:
        function: to compile.
        nogil: let other threads run meanwhile.
    """
    made = numba.njit(cache=True, error_model="numpy", nogil=nogil)(function)
    kept = _kept(made)
    if kept is not None:
        kept._source_stamp = (*kept._source_stamp, _imported(function.__globals__))
    return made


def _kept(made: Any) -> Any:
    """numba's file of what it compiled, which compares a stamp of the source; None where it compiles nothing."""
    return getattr(getattr(made, "_cache", None), "_cache_file", None)


def _imported(names: Mapping[str, Any]) -> str:
    """Hash of the constants and compiled functions that a file can name."""
    found = {}
    for name, value in names.items():
        if name.startswith("__"):
            continue
        if isinstance(value, Dispatcher):
            if value.py_func.__module__ != names["__name__"]:
                found[name] = _stamp(value)
        elif isinstance(value, type) and issubclass(value, enum.Enum):
            found[name] = [repr(one) for one in value]
        elif isinstance(value, np.ndarray):
            found[name] = (str(value.dtype), value.shape, value.tobytes())
        elif isinstance(value, CONSTANTS):
            found[name] = repr(value)
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _stamp(made: Any) -> Any:
    """Of a compiled function of another file."""
    kept = _kept(made)
    if kept is not None:
        return kept._source_stamp
    stat = Path(str(sys.modules[made.py_func.__module__].__file__)).stat()
    return [stat.st_mtime, stat.st_size, _imported(made.py_func.__globals__)]
