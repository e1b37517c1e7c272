"""From prompts to sequences, token by token.

Each prompt is read at one go, then all sequences go on in step, each with a row in the model's state; one that ended
leaves the batch. See `pianogen.models.contexts` for sequences longer than the model's context.

A sequence ends at EOS, or after `max_tokens` tokens beyond its prompt. PAD and BOS are never drawn. Where tokens are
rows of numbers, a model draws them by itself (`draw`), and rows of zeros are what ids call BOS and EOS.

B sequences, V tokens of the vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from pianogen.errors import GenerationError
from pianogen.generation.decoding import DecodingConfig, Draws, next_tokens
from pianogen.models.contexts import Contexts
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID

NEVER = (PAD_ID, BOS_ID)
"""Tokens that are not drawn."""


class Constraint(Protocol):
    """What may follow in one sequence, such as a grammar says it; beam search copies it by `copy.deepcopy`.

    It begins where the prompt ends: whoever makes it tells it the prompt.
    """

    def allowed(self) -> np.ndarray | torch.Tensor:
        """Tokens that may come next, bool, shape (V,); at least one but PAD and BOS."""
        ...

    def advance(self, token_id: int) -> None:
        """Take notice of the next token; EOS is not told."""
        ...


@dataclass(eq=False)
class _Sequence:
    which: int
    tokens: torch.Tensor
    """Prompt and what follows, and room for what may."""
    length: int
    generator: torch.Generator
    constraint: Constraint | None
    forced: np.ndarray | None

    @property
    def seen(self) -> torch.Tensor:
        return self.tokens[: self.length]


@torch.inference_mode()
def stream_tokens(
    model: torch.nn.Module,
    prompts: Sequence[np.ndarray],
    *,
    max_tokens: int,
    decoding: DecodingConfig,
    seeds: Sequence[int],
    context_length: int,
    before_token: Callable[[], None] = lambda: None,
    constraints: Sequence[Constraint | None] | None = None,
    forced: Sequence[np.ndarray | None] | None = None,
) -> Iterator[tuple[int, int | np.ndarray]]:
    """Tokens as they are drawn: number of the prompt, and its next token.

    Args:
        model: on any device, in evaluation mode.
        prompts: tokens with BOS first, at least one each: int64 ids, or float32 rows.
        max_tokens: most tokens beyond each prompt.
        decoding: how they are drawn.
        seeds: one for each prompt; with its prompt it decides the sample, up to rounding of the batch.
        context_length: the most tokens that the model takes.
        before_token: called before each token; what it raises ends the drawing.
        constraints: for each prompt what may follow, or None.
        forced: for each prompt tokens of the continuation that are given, or None: ids, -1 where one is drawn; of rows,
            rows of NaN. After its end all are drawn.

    Yields:
        The number of a prompt and its next token, an id or a row; EOS where the model ended the piece. Prompts take
        turns.

    Raises:
        GenerationError: nothing may follow, a forced token may not, or what is asked for needs ids and these are rows.
    """
    device = next(model.parameters()).device
    _require_ids_where_needed(model, decoding, constraints)
    running = _begun(prompts, max_tokens, seeds, constraints, forced)
    contexts: Contexts | None = None
    tokens = torch.empty(0)
    for number in range(max_tokens if running else 0):
        before_token()
        if contexts is None:
            contexts = Contexts(model, [sequence.seen.to(device) for sequence in running], context_length)
        else:
            contexts.append(tokens.to(device))
        tokens = _next(model, contexts.said.float().cpu(), running, number, decoding)
        for sequence, token in zip(running, tokens, strict=True):
            sequence.tokens[sequence.length] = token
            sequence.length += 1
            yield sequence.which, int(token) if token.ndim == 0 else token.numpy()
        going = [row for row, token in enumerate(tokens) if not _is_end(token)]
        if not going:
            return
        if len(going) < len(running):
            contexts.select(going)
            running, tokens = [running[row] for row in going], tokens[going]


def continue_tokens(model: torch.nn.Module, prompts: Sequence[np.ndarray], **options: Any) -> list[np.ndarray]:
    """Prompts with their continuations.

    Args:
        model: as of `stream_tokens`.
        prompts: the same.
        options: the same.

    Returns:
        Tokens of each, prompt included; EOS last where the model ended the piece.
    """
    tokens: list[list[Any]] = [list(prompt) for prompt in prompts]
    for which, token in stream_tokens(model, prompts, **options):
        tokens[which].append(token)
    return [np.array(sequence, prompt.dtype) for sequence, prompt in zip(tokens, prompts, strict=True)]


def _begun(
    prompts: Sequence[np.ndarray],
    max_tokens: int,
    seeds: Sequence[int],
    constraints: Sequence[Constraint | None] | None,
    forced: Sequence[np.ndarray | None] | None,
) -> list[_Sequence]:
    nothing = [None] * len(prompts)
    each = zip(prompts, seeds, constraints or nothing, forced or nothing, strict=True)
    running = []
    for which, (prompt, seed, constraint, given) in enumerate(each):
        kind = torch.float32 if prompt.ndim > 1 else torch.int64
        tokens = torch.zeros(len(prompt) + max_tokens, *prompt.shape[1:], dtype=kind)
        tokens[: len(prompt)] = torch.from_numpy(prompt)
        generator = torch.Generator().manual_seed(seed)
        running.append(_Sequence(which, tokens, len(prompt), generator, constraint, given))
    return running


def _require_ids_where_needed(
    model: torch.nn.Module, decoding: DecodingConfig, constraints: Sequence[Constraint | None] | None
) -> None:
    if not hasattr(model, "draw"):
        return
    if decoding.looks_back:
        raise GenerationError(
            "the model draws rows of numbers, of which none comes twice: leave out repetition_penalty and "
            "no_repeat_ngram, or take a model of ids"
        )
    if any(constraint is not None for constraint in constraints or ()):
        raise GenerationError("the model draws rows of numbers, which have no ids to allow: leave out constraints")


def _next(
    model: torch.nn.Module, said: torch.Tensor, running: list[_Sequence], number: int, decoding: DecodingConfig
) -> torch.Tensor:
    """The next token of each, forced or drawn, on the CPU; constraints are told."""
    given = [_given(sequence, number) for sequence in running]
    tokens = torch.zeros(len(running), *running[0].tokens.shape[1:], dtype=running[0].tokens.dtype)
    rows = []
    for row, (sequence, token) in enumerate(zip(running, given, strict=True)):
        if token is None:
            rows.append(row)
            continue
        tokens[row] = token
        if sequence.constraint is not None:
            _require_allowed(sequence, int(token))
    if rows:
        drawn = [running[row] for row in rows]
        generators = [sequence.generator for sequence in drawn]
        draw = getattr(model, "draw", None)
        tokens[rows] = (
            next_tokens(
                said[rows],
                decoding,
                generators,
                never=NEVER,
                allowed=_allowed(drawn, said.shape[1]),
                seen=[sequence.seen for sequence in drawn] if decoding.looks_back else None,
            )
            if draw is None
            else draw(said[rows], Draws(decoding, generators))
        )
    for sequence, token in zip(running, tokens, strict=True):
        if sequence.constraint is not None and not _is_end(token):
            sequence.constraint.advance(int(token))
    return tokens


def _given(sequence: _Sequence, number: int) -> torch.Tensor | None:
    if sequence.forced is None or number >= len(sequence.forced):
        return None
    token = torch.as_tensor(sequence.forced[number]).to(sequence.tokens)
    is_drawn = token < 0 if token.ndim == 0 else token.isnan().any()
    return None if is_drawn else token


def _allowed(sequences: list[_Sequence], vocab_size: int) -> torch.Tensor | None:
    if all(sequence.constraint is None for sequence in sequences):
        return None
    allowed = torch.ones(len(sequences), vocab_size, dtype=torch.bool)
    for row, sequence in zip(allowed, sequences, strict=True):
        if sequence.constraint is not None:
            row &= torch.as_tensor(sequence.constraint.allowed())
            row[list(NEVER)] = False
            if not row.any():
                raise GenerationError(
                    f"sequence {sequence.which}: its constraint allows no token after {_end(sequence)}"
                )
    return allowed


def _require_allowed(sequence: _Sequence, token: int) -> None:
    assert sequence.constraint is not None
    if not sequence.constraint.allowed()[token]:
        raise GenerationError(
            f"sequence {sequence.which}: token {token} is forced after {_end(sequence)}, where its constraint does not "
            "allow it; leave out one of them"
        )


def _end(sequence: _Sequence) -> str:
    return f"{sequence.length} tokens that end with {sequence.seen[-5:].tolist()}"


def _is_end(token: torch.Tensor) -> bool:
    return bool(token == EOS_ID) if token.ndim == 0 else not token.any()
