"""The model of rows in place of ids, with the mixture and with the study's losses."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from architectures import LENGTH, SMALL_CONTINUOUS, continuous_of, some_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import SettingsError, TrainingError
from pianogen.evaluation.likelihood import score, scoring_windows
from pianogen.generation.decoding import DecodingConfig, Draws
from pianogen.generation.sampling import continue_tokens
from pianogen.models import load_model, make_model, model_code, require_fit
from pianogen.models.configs import Gpt2Config
from pianogen.models.continuous import DURATION, END, NUM_PITCHES, NUM_VELOCITIES, PITCH, SHIFT, VELOCITY
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import make_tokenizer


@pytest.fixture(params=["mixture", "study"])
def loss(request):
    return request.param


@pytest.fixture
def model(loss):
    return continuous_of(loss)


def shifted(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is read, and what follows; a row of zeros after the last note."""
    return rows, torch.cat((rows[:, 1:], torch.zeros_like(rows[:, :1])), dim=1)


@torch.inference_mode()
def test_nats_stand_where_something_follows_and_are_zero_elsewhere(model):
    rows, labels = shifted(some_rows())
    labels[1, 9:] = IGNORED
    said = model(input_ids=rows, labels=labels)
    assert said.logits.shape == (2, LENGTH, 16)
    assert said.nats.dtype == torch.float32
    assert torch.isfinite(said.nats).all()
    assert (said.nats[1, 9:] == 0).all()
    assert (said.nats[0] > 0).all()
    assert (said.nats[1, :9] > 0).all()


@torch.inference_mode()
def test_what_is_said_depends_on_no_later_row(model):
    rows, labels = shifted(some_rows())
    before = model(input_ids=rows, labels=labels).nats
    for column in range(4):
        changed = rows.clone()
        changed[:, 9:, column] = changed[:, 9:, column] * 0.5 + (1 if column == PITCH else 0.3)
        after = model(input_ids=changed, labels=labels).nats
        torch.testing.assert_close(after[:, :9], before[:, :9])
        assert not torch.allclose(after[:, 9:], before[:, 9:])


@torch.inference_mode()
def test_the_probabilities_of_all_rows_that_may_follow_sum_to_one():
    model = continuous_of("mixture", bin_ms=500, num_components=2)
    # Times so short that what lies beyond the tenth bin is next to nothing.
    for head in (model.heads.shift, model.heads.duration):
        head[-1].bias.data[-4:-2] = math.log(300.0)
        head[-1].bias.data[-2:] = math.log(0.1)
    pitch, velocity = (torch.arange(n).repeat_interleave(m) for n, m in ((NUM_PITCHES, 1), (NUM_VELOCITIES, 1)))
    given = some_rows(1, 3)
    total = 0.0
    for k in range(4):
        for d in range(1, 5):
            labels = torch.zeros(len(pitch), len(velocity), 4)
            labels[..., SHIFT], labels[..., DURATION] = k * 500.0, d * 500.0
            labels[..., PITCH], labels[..., VELOCITY] = pitch[:, None], (velocity[None, :] + 1) / 127
            # Each row stands for one that may follow the same history.
            states = model(input_ids=given).logits[:, -1:].expand(len(pitch), len(velocity), -1)
            total += (-model.heads.say(states, labels).nats()).double().exp().sum().item()
    end = (-model.heads.say(model(input_ids=given).logits[:, -1:], torch.zeros(1, 1, 4)).nats()).exp().item()
    assert total + end == pytest.approx(1, abs=1e-5)
    assert end > 0.001


@torch.inference_mode()
def test_the_nats_of_the_study_are_its_weighted_sum_of_a_cross_entropy_and_squared_errors_and_constants():
    model = continuous_of("study", bin_ms=1, time_shift_weight=3.0, velocity_weight=0.5, duration_weight=2.0)
    rows, labels = shifted(some_rows())
    said = model(input_ids=rows, labels=labels)
    pitch = model.heads.pitch(said.logits).log_softmax(dim=-1)
    means = model.heads.means(said.logits)
    for t in range(LENGTH - 1):
        label = labels[0, t]
        loss = -pitch[0, t, int(label[PITCH]) + 1]
        loss = loss + 3.0 * (means[0, t, 0] - label[SHIFT] / 1000) ** 2
        loss = loss + 2.0 * (means[0, t, 1] - label[DURATION] / 1000) ** 2
        loss = loss + 0.5 * (means[0, t, 2] - label[VELOCITY]) ** 2
        constants = sum(
            0.5 * math.log(math.pi / weight) - math.log(width)
            for weight, width in ((3.0, 1e-3), (2.0, 1e-3), (0.5, 1 / 127))
        )
        assert said.nats[0, t].item() == pytest.approx(loss.item() + constants, rel=1e-4)
    # The end of the piece is paid for as a class of the pitch alone.
    assert said.nats[0, -1].item() == pytest.approx(-pitch[0, -1, END].item(), rel=1e-5)


def test_every_note_and_the_end_are_scored_once_in_windows(model):
    (rows,) = some_rows(1, 61)
    rows = torch.cat((rows, torch.zeros(1, 4)))
    expected = 0.0
    with torch.inference_mode():
        for start, end, skip in scoring_windows(len(rows) - 1, LENGTH):
            said = model(input_ids=rows[None, start:end], labels=rows[None, start + 1 : end + 1])
            expected += said.nats[0, skip:].double().sum().item()
    sequences = [rows.numpy(), rows[:5].numpy()]
    assert score(model, sequences, LENGTH)[0] == pytest.approx(expected, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.7, 1.0, 4.0]), st.floats(0.2, 30.0))
def test_no_row_of_the_mixture_has_a_negative_time_a_note_of_no_length_or_a_velocity_that_is_none(
    seed, temperature, sharper
):
    model = continuous_of("mixture")
    draws = Draws(DecodingConfig(temperature=temperature), [torch.Generator().manual_seed(seed + i) for i in range(40)])
    with torch.inference_mode():
        rows = model.draw(sharper * torch.randn(40, 16, generator=torch.Generator().manual_seed(seed)), draws)
    assert rows.shape == (40, 4)
    notes = rows[rows.any(dim=-1)]
    assert torch.isfinite(notes).all()
    assert (notes[:, SHIFT] >= 0).all()
    assert (notes[:, DURATION] >= SMALL_CONTINUOUS.bin_ms).all()
    assert ((notes[:, VELOCITY] > 0) & (notes[:, VELOCITY] <= 1)).all()
    assert ((notes[:, PITCH] >= 0) & (notes[:, PITCH] < NUM_PITCHES)).all()
    decoded = make_tokenizer({"name": "continuous", "lowest_pitch": 0, "highest_pitch": 127}).decode(rows.numpy())
    assert len(decoded) == len(notes)


def test_what_the_study_draws_are_its_means_whatever_the_temperature():
    model = continuous_of("study")
    states = 5 * torch.randn(30, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        rows = model.draw(states, Draws(DecodingConfig(temperature=2.0), [torch.Generator().manual_seed(1)] * 30))
        means = model.heads.means(states)
    is_note = rows.any(dim=-1)
    torch.testing.assert_close(rows[is_note][:, SHIFT], 1000 * means[is_note, 0])
    torch.testing.assert_close(rows[is_note][:, VELOCITY], means[is_note, 2])
    assert (rows[:, SHIFT] < 0).any()
    assert (rows[:, DURATION] < 0).any()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["mixture", "study"]), st.lists(st.floats(0, 2**30, width=32), min_size=4, max_size=4))
def test_gradients_are_finite_for_extreme_rows(loss, times):
    model = continuous_of(loss)
    rows = some_rows(1, 4)
    rows[0, 1:3, SHIFT], rows[0, 1:3, DURATION] = torch.tensor(times[:2]), torch.tensor(times[2:])
    rows, labels = shifted(rows)
    nats = model(input_ids=rows, labels=labels).nats
    nats.sum().backward()
    assert torch.isfinite(nats).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@torch.inference_mode()
def test_numbers_are_read_in_full_precision_under_autocast(model):
    rows, labels = shifted(some_rows())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = model(input_ids=rows, labels=labels)
    assert said.nats.dtype == torch.float32
    torch.testing.assert_close(said.nats, model(input_ids=rows, labels=labels).nats, rtol=0.05, atol=0.1)


def prompt() -> np.ndarray:
    return some_rows(1, 9)[0].numpy()


def test_a_continuation_begins_with_its_prompt_and_its_seed_decides_it(model):
    def continued(*seeds, **changes):
        options = {"max_tokens": 20, "decoding": DecodingConfig(top_p=0.9), "context_length": 16, **changes}
        return continue_tokens(model, [prompt(), prompt()[:3]][: len(seeds)], seeds=seeds, **options)

    both = continued(1, 2)
    for rows, begun in zip(both, (prompt(), prompt()[:3]), strict=True):
        assert np.array_equal(rows[: len(begun)], begun)
        assert rows.dtype == np.float32
        # A row of zeros is the end, and nothing follows it.
        assert rows[len(begun) : -1].any(axis=1).all()
    (alone,) = continued(1)
    np.testing.assert_allclose(alone, both[0], rtol=1e-4)
    assert not np.array_equal(continued(3)[0], alone)


@torch.inference_mode()
def test_a_saved_model_comes_back_the_same_and_ready_to_score(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, "continuous", 0)
    assert not loaded.training
    rows, labels = shifted(some_rows())
    torch.testing.assert_close(loaded(rows, labels).nats, model(rows, labels).nats)


def test_one_batch_is_learned_by_heart():
    torch.manual_seed(0)
    model = make_model(dataclasses.replace(SMALL_CONTINUOUS, n_embd=64, dropout=0.0, num_components=16), 0)
    rows, labels = shifted(some_rows(2, 12))
    rows[:, 0, PITCH] = torch.tensor([0.0, 1.0])  # each says from the beginning which one it is
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    # To hit a bin of 10 ms a logistic becomes thousands of times steeper, and what moves it has to move it less.
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.994)
    for _ in range(900):
        nll = model(input_ids=rows, labels=labels).nats.mean()
        optimizer.zero_grad()
        nll.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        optimizer.step()
        schedule.step()
        if nll < 0.008:
            break
    assert nll < 0.01


def test_tokens_that_a_model_does_not_read_are_refused_and_both_are_named():
    rows, ids = make_tokenizer({"name": "continuous"}), make_tokenizer({"name": "remi"})
    compound = make_tokenizer({"name": "miditok", "scheme": "Octuple"})
    require_fit(SMALL_CONTINUOUS, rows)
    require_fit(Gpt2Config(), ids)
    with pytest.raises(TrainingError, match=r"model gpt2 reads ids; a token of continuous .* row of 4 numbers"):
        require_fit(Gpt2Config(), rows)
    with pytest.raises(TrainingError, match=r"model continuous reads rows of time shift.*; a token of remi .* an id"):
        require_fit(SMALL_CONTINUOUS, ids)
    for config in (SMALL_CONTINUOUS, Gpt2Config()):
        with pytest.raises(TrainingError, match=f"model {config.name} reads .*a token of miditok .* a row of"):
            require_fit(config, compound)


def test_its_code_is_told_whole():
    assert {"pianogen.models.continuous", "pianogen.models.densities"} < set(model_code("continuous"))


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"loss": "mse"}, r"model\.loss must be mixture or study, found 'mse'"),
        ({"bin_ms": 0}, r"model\.bin_ms must be 1 or more, found 0"),
        ({"num_components": 0}, r"model\.num_components must be 1 or more, found 0"),
        ({"time_shift_weight": 0.0}, r"model\.time_shift_weight must be above 0 and at most 5000, .* found 0\.0"),
        ({"duration_weight": 5001.0}, r"model\.duration_weight must be above 0 and at most 5000"),
        ({"velocity_weight": 1e5}, r"model\.velocity_weight must be above 0 and at most 8064\.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        dataclasses.replace(SMALL_CONTINUOUS, **changed)
