"""How sequences are cut into examples: whole, in chunks, in chunks of whole bars, or in packed rows.

An example is a row of spans, each of one sequence: its tokens but the last are read, its tokens but the first are to be
predicted. So no target follows from another sequence, and every target of a sequence is in a row of an epoch, but for
crops. Of less than two tokens none is to be predicted, and there is no span.

- sequences: a row is a sequence.
- chunks: a row is one of the fewest spans of context_length + 1 tokens that cover a sequence, spread evenly: all of
  them are full, neighbours overlap by what is too much. A sequence that is shorter is one span.
- crops: as many spans as chunks, of the same length, but each anywhere in its sequence, and elsewhere in every epoch.
- bars: a row begins where a bar does and holds as many whole bars as it can; a bar that is longer is cut.
- packed: sequences follow one another without a gap, in the order of the epoch, and rows are cut from that; all but
  the last are full.
"""

from typing import NamedTuple

import numpy as np

from pianogen.errors import ShardError
from pianogen.shards.sequences import Sequences
from pianogen.tokenizers.base import Tokenizer

VIEWS = ("sequences", "chunks", "crops", "bars", "packed")


class Spans(NamedTuple):
    """Spans of sequences, each with the token that its last one predicts."""

    sequence: np.ndarray
    """Number of the sequence, int64, shape (num_spans,)."""
    start: np.ndarray
    """First token,"""
    end: np.ndarray
    """and after the last."""


def whole(lengths: np.ndarray) -> Spans:
    """Each sequence as it is."""
    sequence = np.flatnonzero(lengths > 1)
    return Spans(sequence, np.zeros(len(sequence), np.int64), lengths[sequence].astype(np.int64))


def chunks(lengths: np.ndarray, context_length: int, stride: int = 1) -> Spans:
    """The fewest spans that cover sequences, spread evenly.

    Args:
        lengths: tokens of each sequence, shape (num_sequences,).
        context_length: tokens that the model reads; a span has one more, the last target.
        stride: every start is a multiple of it; at most context_length.
    """
    targets = np.maximum(lengths - 1, 0)
    # In strides: where the last span has to begin to end with its sequence, and how far apart neighbours may be.
    slack = -(-np.maximum(targets - context_length, 0) // stride)
    reach = context_length // stride
    counts = np.where(targets > 0, -(-slack // reach) + 1, 0)
    sequence = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = number * slack[sequence] // np.maximum(counts - 1, 1)[sequence] * stride
    return Spans(sequence, start, np.minimum(start + context_length + 1, lengths[sequence]))


def crop(length: int, context_length: int, stride: int, drawn: np.random.Generator) -> tuple[int, int]:
    """Start and end of a span anywhere in a sequence.

    Args:
        length: tokens of the sequence.
        context_length: as of `chunks`,
        stride: and this too.
        drawn: says where.
    """
    slack = -(-max(length - 1 - context_length, 0) // stride)
    start = int(drawn.integers(slack + 1)) * stride
    return start, min(start + context_length + 1, length)


def bar_chunks(sequences: Sequences, coder: Tokenizer, context_length: int) -> Spans:
    """Spans that begin where a bar does.

    Args:
        sequences: all of them are read once.
        coder: made them, and tells their bars.
        context_length: tokens that the model reads.

    Raises:
        ShardError: the scheme tells no bars.
    """
    numbers = np.flatnonzero(sequences.lengths() > 1)
    parts = [bars_of(sequences[i], coder, context_length) for i in numbers.tolist()]
    none = np.empty(0, np.int64)
    starts, ends = (np.concatenate([none, *(part[k] for part in parts)]) for k in (0, 1))
    return Spans(np.repeat(numbers, [len(part[0]) for part in parts]), starts, ends)


def bars_of(tokens: np.ndarray, coder: Tokenizer, context_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of the spans of one sequence."""
    bars = coder.bar_starts(tokens)
    if bars is None:
        raise ShardError(f"tokenizer {coder.name} tells no bars; take the view `chunks`, or a scheme with bars")
    last = len(tokens) - 1  # the last target
    bars = np.concatenate(([0], bars[(bars > 0) & (bars < last)]))
    starts, ends, at = [], [], 0
    while True:
        starts.append(at)
        if at + context_length >= last:
            ends.append(last + 1)
            break
        # The next row begins with the last bar that this one can reach: it reads up to there and predicts its first.
        reach = bars[np.searchsorted(bars, at + context_length, side="right") - 1]
        at = int(reach) if reach > at else at + context_length
        ends.append(at + 1)
    return np.array(starts, np.int64), np.array(ends, np.int64)


class Packed:
    """Rows that are cut from sequences which follow one another.

    Args:
        lengths: tokens of each sequence, shape (num_sequences,).
        context_length: tokens of a row; the last one may be shorter.
    """

    def __init__(self, lengths: np.ndarray, context_length: int) -> None:
        self.targets = np.maximum(lengths - 1, 0).astype(np.int64)
        self.context_length = context_length
        self.num_rows = int(-(-self.targets.sum() // context_length))

    def edges(self, order: np.ndarray) -> np.ndarray:
        """Targets before each sequence of an order, and all."""
        return np.concatenate(([0], np.cumsum(self.targets[order])))

    def row(self, number: int, order: np.ndarray, edges: np.ndarray) -> Spans:
        """The spans of one row.

        Args:
            number: of the row.
            order: of the sequences.
            edges: as of `edges`.
        """
        begin = number * self.context_length
        end = min(begin + self.context_length, int(edges[-1]))
        first = int(np.searchsorted(edges, begin, side="right")) - 1
        last = int(np.searchsorted(edges, end, side="left"))
        places = np.arange(first, last)
        places = places[edges[places + 1] > edges[places]]
        start = np.maximum(begin - edges[places], 0)
        return Spans(order[places], start, np.minimum(end - edges[places], self.targets[order[places]]) + 1)
