"""Rows put in order, where they are not in it already: to look takes a tenth of what sorting takes."""

import numpy as np


def order_of(*keys: np.ndarray) -> np.ndarray | None:
    """The stable order of rows by these columns, the first one first; None where it is the one they are in."""
    num = len(keys[0])
    is_tied = np.ones(max(num - 1, 0), bool)
    for k, key in enumerate(keys):
        if np.any(is_tied & (key[1:] < key[:-1])):
            # By the keys before they are in order: only rows that these do not tell apart change places.
            rows = np.flatnonzero(np.append(is_tied, False) | np.insert(is_tied, 0, False))
            group = np.cumsum(np.insert(~is_tied, 0, False))[rows]
            order = np.arange(num)
            order[rows] = rows[np.lexsort((*(other[rows] for other in keys[: k - 1 if k else None : -1]), group))]
            return order
        is_tied &= key[1:] == key[:-1]
    return None
