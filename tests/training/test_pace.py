"""How long the rest takes, from times that are given."""

import dataclasses
import json

import pytest

from pianogen.training.checkpoints import Progress
from pianogen.training.experiment import TrainingConfig
from pianogen.training.pace import CHECKPOINT, SAMPLE, VALIDATION, Pace

CONFIG = TrainingConfig(steps=95, log_every=10, validate_every=20, checkpoint_every=10, sample_every=25)


def after_step(pace: Pace, step: int, update_sec: float = 1.0) -> None:
    """What a training does at a step that is a multiple of 10."""
    pace.add_updates(step, 10 * update_sec)
    if step % 20 == 0:
        pace.add(VALIDATION, step, 7.0)
    if step % 25 == 0:
        pace.add(SAMPLE, step, 3.0)
    pace.add(CHECKPOINT, step, 2.0)


def test_updates_validations_checkpoints_and_samples_to_come_are_counted():
    pace = Pace(CONFIG, Progress())
    assert pace.remaining_sec(0) is None
    for step in (10, 20, 30, 40, 50):
        after_step(pace, step)
    # 45 updates; validations at 60, 80, 95; checkpoints at 60, 70, 80, 90, 95; a sample at 75.
    assert pace.remaining_sec(50) == pytest.approx(45 * 1 + 3 * 7 + 5 * 2 + 1 * 3)


def test_what_a_step_still_has_to_do_is_to_come():
    pace = Pace(CONFIG, Progress())
    for step in (10, 20, 30):
        after_step(pace, step)
    pace.add_updates(40, 10.0)
    before = pace.remaining_sec(40)
    pace.add(VALIDATION, 40, 7.0)
    assert pace.remaining_sec(40) == pytest.approx(before - 7)


def test_a_part_that_has_not_happened_counts_nothing():
    pace = Pace(CONFIG, Progress())
    pace.add_updates(10, 10.0)
    assert pace.remaining_sec(10) == pytest.approx(85)


def test_a_resumed_training_says_what_the_one_before_would_have_said():
    progress = Progress()
    pace = Pace(CONFIG, progress)
    for step in (10, 20, 30, 40, 50):
        after_step(pace, step)
    progress.step = 50
    resumed = Pace(CONFIG, Progress(**json.loads(json.dumps(dataclasses.asdict(progress)))))
    assert resumed.remaining_sec(50) == pace.remaining_sec(50)
    for one in (pace, resumed):
        after_step(one, 60)
    assert resumed.remaining_sec(60) == pace.remaining_sec(60)


def test_it_follows_the_latest_times_and_minds_no_single_slow_one():
    pace = Pace(dataclasses.replace(CONFIG, steps=1000), Progress())
    times = {10: 500.0, 20: 10.0, 30: 10.0, 40: 90.0, 50: 10.0, 60: 20.0, 70: 20.0, 80: 20.0}
    left = {}
    for step, seconds in times.items():
        pace.add_updates(step, seconds)
        left[step] = pace.remaining_sec(step)
    assert left[10] == 990 * 50  # all that is known
    assert (left[30], left[40], left[50]) == (970, 960 * 5, 950)
    assert left[80] == 920 * 2


def test_updates_of_a_checkpoint_between_two_logged_steps_are_counted_once():
    pace = Pace(CONFIG, Progress(step=37))
    pace.add_updates(40, 20.0)  # since step 30, over the stop
    assert pace.remaining_sec(40) == pytest.approx(55 * 2)
