"""How long the rest of a training takes, judged by what its parts have taken so far.

    remaining = seconds of an update × updates left
              + seconds of a validation × validations left, and the same for checkpoints and samples

A part's seconds are the median of its latest times: one slow one, such as the first updates, which compile, changes
little. The times go through the checkpoints, so that a resumed training has them from its first line. A part that has
not happened yet counts nothing; a training that stops early ends before its time.
"""

import statistics

from pianogen.training.checkpoints import Progress
from pianogen.training.experiment import TrainingConfig

UPDATE, VALIDATION, CHECKPOINT, SAMPLE = "update", "validation", "checkpoint", "sample"
LATEST = 5
"""Times of a part that are kept."""


class Pace:
    """The latest times of each part of a training.

    Args:
        config: how often each part is due.
        progress: what the run has reached; holds the times.
    """

    def __init__(self, config: TrainingConfig, progress: Progress) -> None:
        self.steps = config.steps
        self.every = {
            VALIDATION: config.validate_every,
            CHECKPOINT: config.checkpoint_every,
            SAMPLE: config.sample_every,
        }
        self.times = progress.pace
        # A checkpoint comes last of what is due at its step.
        self._done = dict.fromkeys(self.every, progress.step)
        self._logged = progress.step - progress.step % config.log_every

    def add_updates(self, step: int, seconds: float) -> None:
        """Count the updates since the ones counted before, up to `step`, which took so long together."""
        if step > self._logged:
            self._add(UPDATE, seconds / (step - self._logged))
            self._logged = step

    def add(self, part: str, step: int, seconds: float) -> None:
        """Count what was done at a step beside its update."""
        self._add(part, seconds)
        self._done[part] = step

    def remaining_sec(self, step: int) -> float | None:
        """Seconds to the end of the training from here; None before the first updates are counted."""
        if UPDATE not in self.times:
            return None
        left = {UPDATE: self.steps - step}
        left |= {part: self._due(part, self.steps) - self._due(part, done) for part, done in self._done.items()}
        return sum(number * statistics.median(self.times[part]) for part, number in left.items() if part in self.times)

    def _due(self, part: str, step: int) -> int:
        """How often a part is due up to a step; the last step has its validation and checkpoint in any case."""
        every = self.every[part]
        if not every:
            return 0
        return step // every + (step == self.steps and step % every > 0 and part != SAMPLE)

    def _add(self, part: str, seconds: float) -> None:
        self.times[part] = [*self.times.get(part, []), seconds][-LATEST:]
