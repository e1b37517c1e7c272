"""Beam search: several continuations at once, of which the likeliest go on; and how different they are.

A hypothesis is a continuation, its log probability the sum of ln p of its tokens by the model itself, EOS included:

    log_prob = sum of ln p(token | tokens before it)          nats, 0 or less
    score    = log_prob / length ** length_penalty            length: tokens drawn, EOS included

In each step the hypotheses of a prompt are extended by all tokens and the `num_beams` likeliest stay. One that ends
among these is kept as finished, and the next likeliest goes on in its place, until as many are finished as there are
beams and none that goes on can get a better score than the worst of them, or `max_tokens` are drawn; then those that
go on count as they are. A search of one beam ends with it: it takes the likeliest token each time.

Diverse beam search divides the beams into groups that choose one after the other. A token that beams of earlier groups
chose in the same step costs a group `diversity` nats for each of them, in what it chooses, not in the log probability.

Sources: Graves (2012), "Sequence Transduction with Recurrent Neural Networks"; the end as transformers with
`early_stopping="never"`, and the score as there; groups: Vijayakumar et al. (2016), "Diverse Beam Search", section 4,
with Hamming diversity.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pianogen.errors import GenerationError, SettingsError
from pianogen.generation.sampling import NEVER, Constraint
from pianogen.models.contexts import Contexts
from pianogen.tokenizers.base import EOS_ID


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How wide the search is, and what it prefers."""

    num_beams: int = 4
    num_groups: int = 1
    diversity: float = 0.5
    """Nats that a token costs for each beam of an earlier group that chose it in the same step."""
    length_penalty: float = 1.0
    """0: the likeliest hypothesis, which is often a short one; 1: that of the most likely tokens on average."""

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        if self.num_beams < 1 or self.num_groups < 1 or self.num_beams % self.num_groups:
            raise SettingsError(
                f"beams must be 1 or more, and groups must divide them; found {self.num_beams} beams, "
                f"{self.num_groups} groups"
            )
        if not (math.isfinite(self.diversity) and self.diversity >= 0):
            raise SettingsError(f"diversity must be 0 or more, found {self.diversity}")
        if not math.isfinite(self.length_penalty):
            raise SettingsError(f"the length penalty must be a number, found {self.length_penalty}")


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A continuation that was found; see the module for its numbers."""

    tokens: np.ndarray
    """Prompt and continuation, int64."""
    num_given: int
    """Tokens of the prompt."""
    log_prob: float
    score: float
    is_ended: bool
    """Whether EOS is its last token."""

    @property
    def continuation(self) -> np.ndarray:
        """Tokens beyond the prompt."""
        return self.tokens[self.num_given :]


@dataclass
class _Beam:
    """A hypothesis that goes on."""

    row: int
    """In the model's state: its own, or that of what it continues."""
    tokens: tuple[int, ...] = ()
    log_prob: float = 0.0
    constraint: Constraint | None = None

    def extended(self, token: int, log_prob: float) -> "_Beam":
        constraint = copy.deepcopy(self.constraint)
        if constraint is not None:
            constraint.advance(token)
        return _Beam(self.row, (*self.tokens, token), log_prob, constraint)


@dataclass
class _Group:
    """Beams of one prompt that compete with each other."""

    which: int
    width: int
    beams: list[_Beam]
    found: list[Hypothesis] = field(default_factory=list)


@torch.inference_mode()
def beam_search(
    model: torch.nn.Module,
    prompts: Sequence[np.ndarray],
    *,
    max_tokens: int,
    beams: BeamConfig,
    context_length: int,
    constraints: Sequence[Constraint | None] | None = None,
    before_token: Callable[[], None] = lambda: None,
) -> list[list[Hypothesis]]:
    """Hypotheses of each prompt, the best score first: as many as there are beams, fewer where there are fewer.

    Args:
        model: of ids; on any device, in evaluation mode.
        prompts: ids with BOS first, at least one each, int64.
        max_tokens: most tokens beyond each prompt.
        beams: how wide the search is.
        context_length: the most tokens that the model takes.
        constraints: for each prompt what may follow, or None.
        before_token: called before each step; what it raises ends the search.

    Raises:
        GenerationError: the model draws rows of numbers, or constraints leave no hypothesis.
    """
    if hasattr(model, "draw"):
        raise GenerationError(
            "beams are compared by tokens, and this model draws rows of numbers: draw samples, or take a model of ids"
        )
    groups = _begun(prompts, beams, constraints)
    device = next(model.parameters()).device
    contexts: Contexts | None = None
    for _ in range(max_tokens if prompts else 0):
        before_token()
        if contexts is None:
            contexts = Contexts(model, [torch.from_numpy(prompt).to(device) for prompt in prompts], context_length)
        else:
            going = _in_rows([beam for group in groups for beam in group.beams])
            if not going:
                break
            contexts.select([beam.row for beam in going])
            for row, beam in enumerate(going):
                beam.row = row
            contexts.append(torch.tensor([beam.tokens[-1] for beam in going], device=device))
        log_probs = contexts.said.double().cpu().log_softmax(dim=-1)
        log_probs[:, list(NEVER)] = -torch.inf
        _extend(groups, log_probs, prompts, max_tokens, beams)
    for group in groups:
        for beam in group.beams:
            _keep(group, _hypothesis(prompts[group.which], beam, beams))
    found = [[one for group in groups if group.which == which for one in group.found] for which in range(len(prompts))]
    for which, hypotheses in enumerate(found):
        if not hypotheses:
            raise GenerationError(f"prompt {which}: its constraint leaves no continuation")
    return [sorted(hypotheses, key=lambda one: -one.score) for hypotheses in found]


def _begun(
    prompts: Sequence[np.ndarray], beams: BeamConfig, constraints: Sequence[Constraint | None] | None
) -> list[_Group]:
    """Groups in the order in which they choose."""
    width = beams.num_beams // beams.num_groups
    each = constraints or [None] * len(prompts)
    return [
        _Group(which, width, [_Beam(which, constraint=constraint)])
        for which, (_, constraint) in enumerate(zip(prompts, each, strict=True))
        for _ in range(beams.num_groups)
    ]


def _in_rows(beams: list[_Beam]) -> list[_Beam]:
    """Beams in an order in which as many as possible stay in the row of what they continue."""
    ordered: list[_Beam | None] = [None] * len(beams)
    others = []
    for beam in beams:
        if beam.row < len(beams) and ordered[beam.row] is None:
            ordered[beam.row] = beam
        else:
            others.append(beam)
    return [beam if beam is not None else others.pop() for beam in ordered]


def _extend(
    groups: list[_Group],
    log_probs: torch.Tensor,
    prompts: Sequence[np.ndarray],
    max_tokens: int,
    beams: BeamConfig,
) -> None:
    """Let each group take one token more.

    Args:
        groups: those of a prompt stand together, in the order in which they choose.
        log_probs: ln p of what follows each row of the state, fp64, (rows, V); -inf of what is never drawn.
        prompts: of the groups.
        max_tokens: of a hypothesis.
        beams: how to choose.
    """
    chosen = torch.zeros(0)
    for i, group in enumerate(groups):
        if not i or groups[i - 1].which != group.which:
            chosen = log_probs.new_zeros(log_probs.shape[1])
        if not group.beams:
            continue
        totals = torch.stack([_totals(beam, log_probs[beam.row]) for beam in group.beams])
        ranked = (totals - beams.diversity * chosen).flatten()
        # Of these at most one for each beam ends: enough are left to go on.
        best = ranked.topk(min(2 * group.width, len(ranked))).indices.tolist()
        going: list[_Beam] = []
        for rank, place in enumerate(best):
            beam, token = group.beams[place // totals.shape[1]], place % totals.shape[1]
            log_prob = float(totals.flatten()[place])
            if log_prob == -math.inf:
                continue
            if token == EOS_ID:
                if rank < group.width:
                    chosen[token] += 1
                    ended = _Beam(beam.row, (*beam.tokens, token), log_prob)
                    _keep(group, _hypothesis(prompts[group.which], ended, beams))
            elif len(going) < group.width:
                chosen[token] += 1
                going.append(beam.extended(token, log_prob))
        group.beams = [] if _is_done(group, going, max_tokens, beams) else going


def _totals(beam: _Beam, log_probs: torch.Tensor) -> torch.Tensor:
    """Log probabilities of a beam with each token, (V,)."""
    totals = beam.log_prob + log_probs
    if beam.constraint is None:
        return totals
    return totals.masked_fill(~torch.as_tensor(beam.constraint.allowed()), -torch.inf)


def _is_done(group: _Group, going: list[_Beam], max_tokens: int, beams: BeamConfig) -> bool:
    """Whether none of those that go on can be better than what was found."""
    if len(group.found) < group.width or not going:
        return False
    if group.width == 1:
        return True
    most = max(
        _score(beam.log_prob, length, beams)
        for beam in going
        # More tokens make no hypothesis likelier, but longer: the best that can come is one of these.
        for length in (min(len(beam.tokens) + 1, max_tokens), max_tokens)
    )
    return most <= min(one.score for one in group.found)


def _score(log_prob: float, length: int, beams: BeamConfig) -> float:
    return log_prob / length**beams.length_penalty


def _hypothesis(prompt: np.ndarray, beam: _Beam, beams: BeamConfig) -> Hypothesis:
    return Hypothesis(
        tokens=np.concatenate((prompt, np.array(beam.tokens, np.int64))),
        num_given=len(prompt),
        log_prob=beam.log_prob,
        score=_score(beam.log_prob, len(beam.tokens), beams),
        is_ended=beam.tokens[-1] == EOS_ID,
    )


def _keep(group: _Group, hypothesis: Hypothesis) -> None:
    """Among the best of its group, if it is one of them."""
    group.found = sorted([*group.found, hypothesis], key=lambda one: -one.score)[: group.width]


def mean_distance(sequences: Sequence[np.ndarray]) -> float:
    """How different sequences are: the mean over pairs of edits ÷ tokens of the longer one, 0-1; 0 of fewer than two.

    An edit is a token that comes, goes or is another.
    """
    pairs = [(a, b) for i, a in enumerate(sequences) for b in sequences[:i]]
    distances = [edit_distance(a, b) / max(len(a), len(b), 1) for a, b in pairs]
    return float(np.mean(distances)) if distances else 0.0


def edit_distance(a: np.ndarray, b: np.ndarray) -> int:
    """The fewest tokens to insert, delete or replace that make one sequence the other.

    Source: Wagner and Fischer (1974), row by row.
    """
    places = np.arange(len(b) + 1)
    row = places
    for i, token in enumerate(a):
        replaced = row[:-1] + (b != token)
        best = np.concatenate(([i + 1], np.minimum(replaced, row[1:] + 1)))
        # What is inserted after it costs one more each.
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])
