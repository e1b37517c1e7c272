"""Examples of a whole training, by their number: the k-th one depends on nothing but k, seed and shards.

So any process can make any of them, in any order, and a training goes on where it was from one number.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import numpy as np

from pianogen.augment import ORIGINAL, AugmentConfig, Variation, copies_of, generator
from pianogen.errors import ShardError
from pianogen.lake import digest
from pianogen.shards import views
from pianogen.shards.rows import copy_tokens, require_told
from pianogen.shards.sequences import Sequences
from pianogen.tokenizers.base import PAD_ID, TokenBlock, Tokenizer, can_transpose

IGNORED = -100
"""Label of a position that is not counted in the loss; of rows each number, and none of a note is negative."""
PADDING = 0
"""Sequence of a position that holds nothing."""


class Batch(NamedTuple):
    """Rows side by side; shape (num_rows, num_positions) each, tokens of `width` numbers one dimension more."""

    input_ids: np.ndarray
    """What is read: int64, or the scheme's vectors."""
    labels: np.ndarray
    """What follows each: IGNORED, in every number of a row, where nothing does."""
    sequence: np.ndarray
    """1, 2, … for the sequences of a row, PADDING after them; int32. No position may see one of another sequence."""
    positions: np.ndarray
    """Places in the span, from 0; int32."""


class Source(Protocol):
    """Examples by their number."""

    context_length: int | None
    num_per_epoch: int

    @property
    def identity(self) -> str:
        """Another one where other examples would come."""
        ...

    def row(self, k: int) -> list[np.ndarray]:
        """Spans of the k-th example, each with its last target."""
        ...


def batch_of(source: Source, numbers: Sequence[int] | np.ndarray) -> Batch:
    """The examples of these numbers; positions as many as the context, or as the longest where there is none."""
    rows = [source.row(int(k)) for k in numbers]
    longest = max((sum(len(span) - 1 for span in row) for row in rows), default=0)
    shape = (len(rows), source.context_length or longest)
    width = next((span.shape[1:] for row in rows for span in row), ())
    kind = np.float32 if width else np.int64
    input_ids = np.full((*shape, *width), PAD_ID, kind)
    labels = np.full((*shape, *width), IGNORED, kind)
    sequence, positions = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for r, row in enumerate(rows):
        at = 0
        for number, span in enumerate(row, start=1):
            end = at + len(span) - 1
            input_ids[r, at:end], labels[r, at:end] = span[:-1], span[1:]
            sequence[r, at:end] = number
            positions[r, at:end] = _COUNTED[: end - at] if end - at <= len(_COUNTED) else np.arange(end - at)
            at = end
    return Batch(input_ids, labels, sequence, positions)


_COUNTED = np.arange(2**14, dtype=np.int32)


def attention_mask(sequence: np.ndarray) -> np.ndarray:
    """What each position may see: itself and what is before it in its sequence; bool, shape (num_rows, T, T).

    Padding sees itself alone, so that no row of a softmax is empty.

    Args:
        sequence: of a batch, shape (num_rows, T).
    """
    places = np.arange(sequence.shape[1])
    is_same = (sequence[:, :, None] == sequence[:, None, :]) & (sequence[:, None, :] != PADDING)
    return (is_same & (places[None, :, None] >= places[None, None, :])) | np.eye(sequence.shape[1], dtype=bool)


@dataclass(frozen=True, kw_only=True)
class ExampleConfig:
    """How sequences become examples."""

    view: str = "chunks"
    """One of `views.VIEWS`."""
    context_length: int | None = None
    """Positions of an example; whole sequences have none."""
    stride: int = 1
    """Chunks and crops begin at a multiple of it, for models whose positions are several tokens."""
    shuffle: bool = True
    """Every epoch in an order of its own; without it in that of the shards."""
    seed: int = 0
    augment: AugmentConfig | None = None
    """Drawn anew for each sequence in each epoch."""

    def __post_init__(self) -> None:
        """Refuse what no examples can be made by."""
        if self.view not in views.VIEWS:
            raise ShardError(f"view must be one of {', '.join(views.VIEWS)}, found {self.view!r}")
        if self.view == "sequences" and self.context_length is not None:
            raise ShardError(f"the view sequences has no context_length, found {self.context_length}; take chunks")
        if self.view != "sequences" and (self.context_length is None or self.context_length < 1):
            raise ShardError(f"the view {self.view} needs a context_length of 1 or more: {self.context_length}")
        if not 1 <= self.stride <= (self.context_length or self.stride):
            raise ShardError(f"stride must lie in 1-{self.context_length} (context_length), found {self.stride}")
        if self.stride > 1 and self.view not in ("chunks", "crops"):
            raise ShardError(f"the view {self.view} begins where it does, not at multiples of {self.stride}")
        if self.seed < 0:
            raise ShardError(f"seed must be 0 or more, found {self.seed}")


class Examples:
    """Examples of some sequences, but for those that have no token to predict.

    Args:
        sequences: of a split.
        config: how they are cut.
        coder: made the sequences; asked for bars, and for what augmentation makes of tokens.

    Raises:
        ShardError: there is no token to predict, or the view needs a tokenizer, or one that tells bars.
        SettingsError: the scheme does not tell what the augmentation changes.
    """

    def __init__(self, sequences: Sequences, config: ExampleConfig, coder: Tokenizer | None = None) -> None:
        self.sequences, self.config, self._coder = sequences, config, coder
        self.context_length = config.context_length
        lengths = sequences.lengths()
        if (config.view == "bars" or config.augment) and coder is None:
            raise ShardError("bars and augmentation need the tokenizer of the sequences")
        if config.augment:
            require_told(self.coder, config.augment)
        self._packed = None
        if config.view == "packed":
            if config.augment and not self._keeps_lengths(config.augment):
                raise ShardError(
                    "packed rows need sequences that keep their length: of what is drawn while loading only "
                    "transpositions of a scheme that moves ids do; have the shards hold the copies, or take chunks"
                )
            self._packed = views.Packed(lengths, self._context)
            self._spans = views.whole(lengths)
        elif config.view == "bars":
            self._spans = views.bar_chunks(sequences, self.coder, self._context)
        elif config.view in ("chunks", "crops"):
            self._spans = views.chunks(lengths, self._context, config.stride)
        else:
            self._spans = views.whole(lengths)
        self.num_per_epoch = self._packed.num_rows if self._packed else len(self._spans.sequence)
        if not self.num_per_epoch:
            raise ShardError("no sequence has a token to predict")
        # Spans of one sequence stand together.
        self._first_span = np.searchsorted(self._spans.sequence, np.arange(len(lengths) + 1))
        self._remember()

    def _remember(self) -> None:
        # Examples are asked for in ascending order: one epoch at a time, and two where it changes.
        self._order = functools.lru_cache(maxsize=2)(self._draw_order)
        self._packing = functools.lru_cache(maxsize=2)(self._draw_packing)
        self._copy = functools.lru_cache(maxsize=8)(self._make_copy)
        self._variation = functools.lru_cache(maxsize=4096)(self._draw_variation)
        self._bounds = functools.lru_cache(maxsize=2**17)(self._find_bounds)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered, which cannot be sent to another process."""
        return {name: value for name, value in vars(self).items() if name not in _REMEMBERED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With nothing remembered."""
        vars(self).update(state)
        self._remember()

    @property
    def coder(self) -> Tokenizer:
        """Of the sequences."""
        assert self._coder is not None
        return self._coder

    @property
    def identity(self) -> str:
        """See `Source`."""
        return self._identity

    @functools.cached_property
    def _identity(self) -> str:
        lengths = blake2b(self.sequences.lengths().tobytes()).hexdigest()
        return digest("examples", asdict(self.config), self.sequences.version, lengths)

    def row(self, k: int) -> list[np.ndarray]:
        """See `Source`."""
        epoch, place = divmod(k, self.num_per_epoch)
        if self._packed:
            order, edges = self._packing(epoch)
            spans = self._packed.row(int(self._order(epoch)[place]), order, edges)
            return [self._span(epoch, int(i), int(s), int(e)) for i, s, e in zip(*spans, strict=True)]
        span = int(self._order(epoch)[place])
        i, start, end = (int(column[span]) for column in self._spans)
        if self.config.augment and not self._is_shifted(variation := self._variation(epoch, i)):
            return [self._span_of_copy(epoch, i, span, variation)]
        if self.config.view == "crops":
            start, end = self._crop(epoch, span, len(self.sequences[i]))
        return [self._span(epoch, i, start, end)]

    @property
    def _context(self) -> int:
        assert self.config.context_length is not None
        return self.config.context_length

    def _crop(self, epoch: int, span: int, length: int) -> tuple[int, int]:
        drawn = np.random.default_rng([self.config.seed, epoch, span, 2])
        return views.crop(length, self._context, self.config.stride, drawn)

    def _draw_order(self, epoch: int) -> np.ndarray:
        if not self.config.shuffle:
            return np.arange(self.num_per_epoch)
        return np.random.default_rng([self.config.seed, epoch]).permutation(self.num_per_epoch)

    def _draw_packing(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Order of the sequences in an epoch, and targets before each."""
        assert self._packed
        order = np.arange(len(self.sequences))
        if self.config.shuffle:
            order = np.random.default_rng([self.config.seed, epoch, 1]).permutation(order)
        return order, self._packed.edges(order)

    # Copies that are drawn while loading

    def _span(self, epoch: int, i: int, start: int, end: int) -> np.ndarray:
        tokens = self.sequences[i][start:end]
        if self.config.augment and (semitones := self._variation(epoch, i).semitones):
            return self.coder.transpose(tokens, semitones)
        return tokens

    def _keeps_lengths(self, augment: AugmentConfig) -> bool:
        return all(self._is_shifted(one) for one in augment.variations)

    def _is_shifted(self, variation: Variation) -> bool:
        """Whether the copy is made by moving tokens."""
        is_moved = variation._replace(semitones=0) == ORIGINAL
        return variation == ORIGINAL or (is_moved and can_transpose(self.coder))

    def _draw_variation(self, epoch: int, i: int) -> Variation:
        augment = self.config.augment
        assert augment is not None
        drawn = np.random.default_rng([augment.seed, self.config.seed, epoch, i])
        allowed = copies_of(augment, self._bounds(i), [self._name(i)]).variation
        return augment.variations[int(drawn.choice(allowed))]

    def _find_bounds(self, i: int) -> np.ndarray:
        tokens = TokenBlock(self.sequences[i], np.array([0, len(self.sequences[i])]))
        return self.coder.semitone_bounds(None, tokens)

    def _name(self, i: int) -> str:
        return str(self.sequences.facts["performance_id"][i].as_py())

    def _make_copy(self, epoch: int, i: int, variation: Variation) -> np.ndarray:
        assert self.config.augment is not None
        drawn = functools.partial(generator, self.config.augment, epoch, *variation, self._name(i))
        return copy_tokens(self.coder, self.sequences[i], variation, drawn)

    def _span_of_copy(self, epoch: int, i: int, span: int, variation: Variation) -> np.ndarray:
        """The span of a copy that stands where this one does in the original.

        A copy that has more of them is not shown whole in an epoch: each has the same chance.
        """
        tokens = self._copy(epoch, i, variation)
        if self.config.view == "sequences":
            return tokens
        if self.config.view == "crops":
            start, end = self._crop(epoch, span, len(tokens))
            return tokens[start:end]
        if self.config.view == "bars":
            starts, ends = views.bars_of(tokens, self.coder, self._context)
        else:
            _, starts, ends = views.chunks(np.array([len(tokens)]), self._context, self.config.stride)
        first, end = self._first_span[i : i + 2]
        drawn = np.random.default_rng([self.config.seed, epoch, i, 1]).integers(len(starts))
        at = int((span - first) * len(starts) + drawn) // int(end - first)
        return tokens[starts[at] : ends[at]]


_REMEMBERED = ("_order", "_packing", "_copy", "_variation", "_bounds")


class Mixture:
    """Examples of several sources, by weights: each stretch of CYCLE examples holds as many of each as its weight says.

    `num_per_epoch` is that of all sources together; each begins its own epochs anew when its examples have come.

    Args:
        sources: by name.
        weights: of each, above 0.
        seed: of the order in which they take turns.

    Raises:
        ShardError: names, weights or context lengths do not fit.
    """

    CYCLE = 2**14

    def __init__(self, sources: Mapping[str, Examples], weights: Mapping[str, float], seed: int = 0) -> None:
        if set(sources) != set(weights) or not sources:
            raise ShardError(f"weights of {', '.join(weights)} for examples of {', '.join(sources)}: name the same")
        if len({source.context_length for source in sources.values()}) > 1:
            raise ShardError("examples that are mixed need one context length")
        self.names = sorted(sources)
        self.sources = [sources[name] for name in self.names]
        self.weights, self.seed = dict(weights), seed
        self.context_length = self.sources[0].context_length
        self.num_per_epoch = sum(source.num_per_epoch for source in self.sources)
        self._counts = self._shares()
        self._turns = functools.lru_cache(maxsize=2)(self._draw_turns)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered, which cannot be sent to another process."""
        return {name: value for name, value in vars(self).items() if name != "_turns"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With nothing remembered."""
        vars(self).update(state)
        self._turns = functools.lru_cache(maxsize=2)(self._draw_turns)

    @property
    def identity(self) -> str:
        """See `Source`."""
        return digest("mixture", [source.identity for source in self.sources], sorted(self.weights.items()), self.seed)

    def row(self, k: int) -> list[np.ndarray]:
        """See `Source`."""
        source, number = self.turn(k)
        return self.sources[source].row(number)

    def turn(self, k: int) -> tuple[int, int]:
        """Index of the source of the k-th example among `names`, and the example's number there."""
        cycle, place = divmod(k, self.CYCLE)
        source, before = (int(column[place]) for column in self._turns(cycle))
        return source, cycle * int(self._counts[source]) + before

    def _shares(self) -> np.ndarray:
        """Examples of each source in a cycle, by the largest remainders."""
        weight = np.array([self.weights[name] for name in self.names], float)
        if not (np.isfinite(weight).all() and (weight > 0).all()):
            raise ShardError(f"weights must be above 0, found {self.weights}")
        exact = weight / weight.sum() * self.CYCLE
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: self.CYCLE - counts.sum()]] += 1
        if (counts == 0).any():
            small = self.names[int(np.argmin(counts))]
            raise ShardError(f"the weight of {small} is less than one in {self.CYCLE:,}; leave it out, or give it more")
        return counts

    def _draw_turns(self, cycle: int) -> tuple[np.ndarray, np.ndarray]:
        turns = np.repeat(np.arange(len(self.names)), self._counts)
        turns = np.random.default_rng([self.seed, cycle]).permutation(turns)
        before = np.empty(self.CYCLE, np.int64)
        for source, count in enumerate(self._counts):
            before[turns == source] = np.arange(count)
        return turns, before


class Loader:
    """Batches of a training for one of several processes, from any example on.

    Batch b of all processes together holds the examples b * batch_size * world_size and those that follow, dealt out
    one by one. What it has given is one number, so that other processes, more or fewer, can go on from it.

    Args:
        source: the examples.
        batch_size: rows of a batch of one process.
        rank: this process,
        world_size: of so many.
        num_examples: of the training, of all processes; without it there is no end.

    Raises:
        ShardError: the numbers do not fit.
    """

    def __init__(
        self, source: Source, batch_size: int, *, rank: int = 0, world_size: int = 1, num_examples: int | None = None
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ShardError(f"batch_size {batch_size}, rank {rank} of {world_size}: a batch has rows, a rank is below")
        self.source, self.batch_size, self.rank, self.world_size = source, batch_size, rank, world_size
        self.num_examples = num_examples
        self.consumed = 0
        """Examples that all processes were given."""

    def __iter__(self) -> "Loader":
        """Itself: it goes on where it was."""
        return self

    def __next__(self) -> Batch:
        """The next batch. The last one of all processes may be short, and have no row where there are fewer rows left
        than processes: let `num_examples` be a multiple of `batch_size * world_size` where that must not be."""
        numbers = self.numbers(self.consumed)
        if self.num_examples is not None and self.consumed >= self.num_examples:
            raise StopIteration
        batch = batch_of(self.source, numbers)
        self.consumed = self.after(self.consumed)
        return batch

    def numbers(self, consumed: int) -> np.ndarray:
        """Examples of this process's next batch, when so many were given."""
        return np.arange(consumed + self.rank, self.after(consumed), self.world_size)

    def after(self, consumed: int) -> int:
        """Examples given after the next batch."""
        end = consumed + self.batch_size * self.world_size
        return end if self.num_examples is None else min(end, self.num_examples)

    def state_dict(self) -> dict[str, Any]:
        """Where the training is, as JSON can hold it: the same for every process."""
        return {"consumed": self.consumed, "identity": self.source.identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there.

        Raises:
            ShardError: the state is of other examples.
        """
        if not {"identity", "consumed"} <= set(state):
            raise ShardError(f"no state of a loader, which has identity and consumed: found {sorted(state)}")
        if state["identity"] != self.source.identity:
            raise ShardError(
                "this state of a loader is of other examples: shards, view, context length, seed, augmentation or "
                "weights have changed; begin anew"
            )
        self.consumed = int(state["consumed"])
