"""Rows in order: as lexsort has them, or None."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pianogen.ordering import order_of

rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), max_size=30)


@given(rows, st.integers(0, 3))
def test_the_order_is_lexsorts(rows, num_sorted):
    rows = sorted(rows, key=lambda row: row[:num_sorted])
    keys = np.array(rows, np.int64).reshape(-1, 3).T
    expected = np.lexsort(keys[::-1])
    found = order_of(*keys)
    assert (found is None) == np.array_equal(expected, np.arange(len(rows)))
    assert found is None or np.array_equal(found, expected)
