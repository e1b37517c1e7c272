"""What holds of every architecture that reads ids."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from architectures import LENGTH, SIZES, VARIANTS, VOCAB_SIZE, WINDOW, WINDOWED, config_of, some_ids

from pianogen.errors import SettingsError, TrainingError
from pianogen.models import config_class, count_parameters, load_model, make_model
from pianogen.models.configs import CONFIGS
from pianogen.models.music_transformer import relative_attention, skewed
from pianogen.models.noise import Noise
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import PAD_ID


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture
def model(variant):
    torch.manual_seed(0)
    return make_model(config_of(variant), VOCAB_SIZE).eval()


def test_every_architecture_is_tested():
    # What reads rows in place of ids, and what looks inside ids, have tests of their own.
    assert set(SIZES) | {"continuous", "pianist"} == set(CONFIGS)


@torch.inference_mode()
def test_logits_and_nats_stand_at_every_position(model):
    ids = some_ids()
    labels = ids.roll(-1, dims=1)
    labels[1, 9:] = IGNORED
    scores = model(input_ids=ids, labels=labels)
    assert scores.logits.shape == (3, LENGTH, VOCAB_SIZE)
    expected = -scores.logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    torch.testing.assert_close(scores.nats, expected.masked_fill(labels == IGNORED, 0))
    assert model(input_ids=ids).nats is None


@torch.inference_mode()
@pytest.mark.parametrize("place", [1, 9, LENGTH - 1])
def test_a_logit_depends_on_no_later_token(model, place):
    ids = some_ids()
    changed = ids.clone()
    changed[:, place:] = 3 + (ids[:, place:] + 1) % (VOCAB_SIZE - 3)
    before, after = (model(input_ids=x).logits for x in (ids, changed))
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(before[:, place:], after[:, place:])


@torch.inference_mode()
@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_ends_where_it_says(name):
    torch.manual_seed(0)
    model = make_model(config_of(name), VOCAB_SIZE).eval()
    ids = some_ids()
    changed = ids.clone()
    changed[:, 4] = 3 + (ids[:, 4] + 1) % (VOCAB_SIZE - 3)
    before, after = (model(input_ids=x).logits for x in (ids, changed))
    torch.testing.assert_close(before[:, 4 + WINDOW :], after[:, 4 + WINDOW :], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(before[:, 3 + WINDOW], after[:, 3 + WINDOW])


@torch.inference_mode()
def test_a_shorter_sequence_has_the_logits_of_a_longer_ones_beginning(model):
    ids = some_ids()
    whole, part = model(input_ids=ids).logits, model(input_ids=ids[:, :10]).logits
    torch.testing.assert_close(whole[:, :10], part, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_a_saved_model_comes_back_the_same_and_ready_to_score(variant, model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, variant.partition(" ")[0], VOCAB_SIZE)
    assert not loaded.training
    # Where weights lie in memory decides the order of some sums of a GRU.
    torch.testing.assert_close(loaded(some_ids()).logits, model(some_ids()).logits, rtol=1e-4, atol=1e-6)


def test_a_folder_of_weights_of_another_size_is_refused(tmp_path):
    make_model(config_of("gru"), VOCAB_SIZE).save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"n_hidden": 16', '"n_hidden": 17'))
    with pytest.raises(TrainingError, match=f"{tmp_path}: not a model of this version"):
        load_model(tmp_path, "gru", VOCAB_SIZE)


def test_noise_can_be_taken_back_to_none_and_comes_again(variant):
    torch.manual_seed(0)
    model = make_model(config_of(variant, dropout=0.5), VOCAB_SIZE).train()
    noise, ids = Noise(model), some_ids()

    def is_random():
        return not torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)

    assert is_random()
    noise.scale(0.0)
    assert not is_random()
    noise.scale(0.5)
    assert is_random()


def test_one_batch_is_learned_by_heart(variant):
    torch.manual_seed(0)
    model = make_model(config_of(variant, dropout=0.0), VOCAB_SIZE)
    ids = some_ids(2, LENGTH + 1)
    # Rows begin alike in no token: from the first on, each says which one it is.
    ids[:, 0] = torch.tensor([3, 4])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        nll = model(input_ids=ids[:, :-1], labels=ids[:, 1:]).nats.mean()
        optimizer.zero_grad()
        nll.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if nll < 0.008:
            break
    assert nll < 0.01


def test_what_is_padding_changes_no_loss_before_it(model):
    ids = some_ids()
    padded = torch.cat((ids[:, :10], torch.full((3, LENGTH - 10), PAD_ID)), dim=1)
    torch.testing.assert_close(
        model(input_ids=padded).logits[:, :10], model(input_ids=ids[:, :10]).logits, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("length, chunk", [(1, 4), (7, 4), (8, 4), (50, 16), (33, 256)])
def test_skewed_attention_is_that_of_the_formula_and_so_are_its_gradients(length, chunk):
    num_heads, width, most = 2, 6, 61
    torch.manual_seed(length)
    q, k, v = (torch.randn(3, num_heads, length, width, dtype=torch.float64, requires_grad=True) for _ in range(3))
    distances = torch.randn(num_heads, most, width, dtype=torch.float64, requires_grad=True)
    expected = torch.zeros(3, num_heads, length, width, dtype=torch.float64)
    rows = []
    for i in range(length):
        vectors = torch.stack([distances[:, most - 1 - (i - j)] for j in range(i + 1)], dim=1)  # (H, i + 1, d)
        logits = torch.einsum("bhd,bhjd->bhj", q[:, :, i], k[:, :, : i + 1]) + torch.einsum(
            "bhd,hjd->bhj", q[:, :, i], vectors
        )
        rows.append(torch.einsum("bhj,bhjd->bhd", (logits / math.sqrt(width)).softmax(-1), v[:, :, : i + 1]))
    expected = torch.stack(rows, dim=2)
    found = relative_attention(q, k, v, distances, chunk)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    given, to = (q, k, v, distances), torch.randn_like(expected)
    for mine, direct in zip(
        torch.autograd.grad(found, given, to), torch.autograd.grad(expected, given, to), strict=True
    ):
        torch.testing.assert_close(mine, direct, rtol=1e-9, atol=1e-9)


def test_skewing_moves_each_row_to_its_keys():
    moved = skewed(torch.arange(12.0).view(1, 1, 3, 4))
    # The last row stands as it is; of those above only what their queries may see has a meaning.
    assert moved[0, 0].tolist()[2] == [8, 9, 10, 11]
    assert moved[0, 0].tolist()[1][:3] == [5, 6, 7]
    assert moved[0, 0].tolist()[0][:2] == [2, 3]


MEMORY = """
import torch
from pianogen.models.devices import peak_memory_mb
from pianogen.models.music_transformer import relative_attention
print(peak_memory_mb())
for length in (2048, 4096):
    q, k, v = (torch.randn(1, 8, length, 4, requires_grad=True) for _ in range(3))
    relative_attention(q, k, v, torch.randn(8, length, 4, requires_grad=True)).sum().backward()
    print(peak_memory_mb())
"""


@pytest.mark.slow
def test_relative_attention_takes_memory_in_proportion_to_its_length():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    before, once, twice = map(float, done.stdout.split())
    # A table of all pairs of 4,096 tokens in 8 heads is 512 MiB, and attention has several of them.
    assert twice - before < 2.8 * (once - before)
    assert twice - before < 1000


@pytest.mark.parametrize(
    "name, changed, message",
    [
        ("encoder", {"d_inner": 0}, r"model\.d_inner must be 1 or more, found 0"),
        ("music_transformer", {"d_inner": -1}, r"model\.d_inner must be 0 or more, found -1"),
        ("music_transformer", {"n_head": 3}, r"model\.n_embd must be a multiple of n_head, found 16 and 3"),
        ("gru", {"n_hidden": 0}, r"model\.n_hidden must be 1 or more, found 0"),
        ("gru", {"window": LENGTH + 1}, r"model\.window must lie in 0-24 \(context_length\), found 25"),
        ("encoder_attention", {"window": -1}, r"model\.window must lie in 0-24"),
        ("gpt2", {"context_length": 1}, r"model\.context_length must be 2 or more, found 1"),
        ("gpt2", {"dropout": 1.0}, r"model\.dropout must be at least 0 and below 1, found 1\.0"),
    ],
)
def test_a_size_that_cannot_be_is_refused(name, changed, message):
    with pytest.raises(SettingsError, match=message):
        config_of(name, **changed)


@pytest.mark.parametrize(
    "context_length, n_head, n_embd, n_layer, millions",
    [(512, 8, 512, 6, 19.2), (512, 8, 1024, 8, 101.4), (1024, 16, 1024, 16, 202.7), (512, 8, 512, 5, 16.0)],
)
def test_the_studys_sizes_of_gpt2_have_its_numbers_of_parameters(context_length, n_head, n_embd, n_layer, millions):
    # Its vocabularies are not told: of 100 tokens width times 100 is the embedding's share, up to 0.1 million.
    assert num_parameters("gpt2", context_length, n_head, n_embd, n_layer) / 1e6 == pytest.approx(millions, abs=0.1)


def test_the_numbers_of_parameters_in_the_docs_are_those_of_the_models():
    text = (Path(__file__).resolve().parents[2] / "docs" / "models" / "README.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if " 25.3 | " in line]
    rows += [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| gpt2 | ")
    ]
    told = [row for row in rows if len(row) == 7]
    assert len(told) == 7
    for name, *sizes, _, here in told:
        found = num_parameters(name, *(int(size.replace(",", "")) for size in sizes))
        assert f"{found / 1e6:.1f}" == here, (name, sizes)


def num_parameters(name, context_length, n_head, n_embd, n_layer):
    sizes = {"context_length": context_length, "n_head": n_head, "n_embd": n_embd, "n_layer": n_layer}
    return count_parameters(config_class(name)(**sizes), 100)
