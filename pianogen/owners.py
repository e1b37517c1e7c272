"""Which rows of a block's tables belong to which of its performances."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Owners:
    """Performances by number, in the order of their table.

    Args:
        ids: column `performance_id` of `performances`.
    """

    def __init__(self, ids: pa.ChunkedArray) -> None:
        self.ids = ids.cast(pa.string()).combine_chunks()
        self.num = len(ids)

    def of(self, table: pa.Table) -> np.ndarray:
        """Number of the performance of each row."""
        numbers, indices = self._encoded(table)
        return numbers[indices]

    def edges(self, table: pa.Table) -> np.ndarray:
        """Rows of performance i are edges[i] to edges[i + 1]; they come in the order of the performances."""
        numbers, indices = self._encoded(table)
        ends = np.append(np.flatnonzero(indices[1:] != indices[:-1]), len(indices) - 1)[: len(indices)]
        edges = np.zeros(self.num + 1, np.int64)
        edges[numbers[indices[ends]] + 1] = ends + 1
        return np.maximum.accumulate(edges)

    def _encoded(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the performances that a table names, and for each row which of them it is."""
        names = table["performance_id"].combine_chunks()
        if not pa.types.is_dictionary(names.type):
            names = names.dictionary_encode()
        found = pc.index_in(names.dictionary, self.ids)  # pyright: ignore[reportAttributeAccessIssue]
        numbers = found.to_numpy(zero_copy_only=False)
        return numbers.astype(np.int64), names.indices.to_numpy()
