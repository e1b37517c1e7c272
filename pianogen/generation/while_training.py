"""Samples of a model that is still training: what comes next in a validation performance, and a piece from nothing."""

from collections.abc import Callable

import torch

from pianogen.generation.continuation import Prompt, Sample, continue_prompts
from pianogen.generation.samples import prompts_of
from pianogen.lake import Lake
from pianogen.shards import ShardSet
from pianogen.training.experiment import ExperimentConfig


class TrainingSampler:
    """Draws with the settings of `generation`; the prompt is the same at every step, so that progress is heard.

    Args:
        lake: has the performances.
        shards: of the experiment; test music is not touched.
        experiment: how to draw.
    """

    def __init__(self, lake: Lake, shards: ShardSet, experiment: ExperimentConfig) -> None:
        self.tokenizer = shards.tokenizer
        self.config = experiment.generation
        self.context_length = experiment.model.context_length
        self.prompts = [*prompts_of(lake, shards, "validation", self.config, 1), Prompt()]
        self.names = tuple("unprompted" if prompt.notes is None else "prompted" for prompt in self.prompts)

    def __call__(self, model: torch.nn.Module, step: int, before_token: Callable[[], None]) -> list[Sample]:
        """A sample for each name; the weights, the step and the settings decide it."""
        first = self.config.seed + len(self.prompts) * step
        return continue_prompts(
            model,
            self.tokenizer,
            self.prompts,
            range(first, first + len(self.prompts)),
            self.config,
            context_length=self.context_length,
            before_token=before_token,
        )
