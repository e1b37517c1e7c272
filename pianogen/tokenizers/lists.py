"""Token sequences as columns of Arrow, and back."""

import numpy as np
import pyarrow as pa

from pianogen.tokenizers.base import TokenBlock


def as_lists(tokens: TokenBlock) -> pa.Array:
    """Sequences as an Arrow column, without a copy."""
    values = pa.array(tokens.values.reshape(-1))
    if tokens.values.ndim == 2:
        values = pa.FixedSizeListArray.from_arrays(values, tokens.values.shape[1])
    return pa.ListArray.from_arrays(pa.array(tokens.edges.astype(np.int32)), values)


def tokens_of(values: pa.Array) -> np.ndarray:
    """Tokens from the values of a list column, without a copy, shape (num_tokens,) or (num_tokens, width)."""
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        first = values.offset * width
        flat = values.values.to_numpy()  # pyright: ignore[reportAttributeAccessIssue]
        return flat[first : first + len(values) * width].reshape(-1, width)
    return values.to_numpy()


def token_block_of(lists: pa.Array) -> TokenBlock:
    """Sequences from a list column, without a copy of the tokens."""
    offsets = lists.offsets.to_numpy().astype(np.int64)  # pyright: ignore[reportAttributeAccessIssue]
    # Of a slice of a column the values are still those of the whole.
    values = tokens_of(lists.values)[offsets[0] : offsets[-1]]  # pyright: ignore[reportAttributeAccessIssue]
    return TokenBlock(values, offsets - offsets[0])
