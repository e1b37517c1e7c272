import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2LMHeadModel

from pianogen.errors import SettingsError, ShardError, TrainingError
from pianogen.models import config_class, load_model, make_model
from pianogen.models.configs import Gpt2Config
from pianogen.models.devices import cpu_has_bf16, fixed_threads, peak_memory_mb, pick_device

SMALL = Gpt2Config(context_length=16, n_layer=2, n_head=2, n_embd=8, dropout=0.5)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return make_model(SMALL, vocab_size=50).eval()


def test_a_model_gives_logits_for_every_position(model):
    assert model(input_ids=torch.zeros(3, 16, dtype=torch.int64)).logits.shape == (3, 16, 50)


@torch.inference_mode()
def test_a_logit_depends_on_no_later_token(model):
    ids = torch.arange(16)[None] % 50
    changed = ids.clone()
    changed[0, 9:] = 7
    before, after = (model(input_ids=x).logits for x in (ids, changed))
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


def test_a_saved_model_comes_back_the_same_and_ready_to_score(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, "gpt2", vocab_size=50)
    assert not loaded.training
    ids = torch.arange(10)[None]
    torch.testing.assert_close(loaded(input_ids=ids).logits, model(input_ids=ids).logits, rtol=0, atol=0)


@torch.inference_mode()
def test_a_saved_model_is_gpt2_to_transformers_with_the_activation_that_gpt2_has(model, tmp_path):
    model.save_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert type(plain) is GPT2LMHeadModel
    ids = torch.arange(10)[None]
    torch.testing.assert_close(plain(input_ids=ids).logits, model(input_ids=ids).logits, rtol=0, atol=0)
    published = GPT2LMHeadModel.from_pretrained(tmp_path, local_files_only=True, activation_function="gelu_new")
    assert type(published.transformer.h[0].mlp.act) is not type(plain.transformer.h[0].mlp.act)
    torch.testing.assert_close(published(input_ids=ids).logits, model(input_ids=ids).logits, rtol=1e-5, atol=1e-6)


def test_a_model_of_another_vocabulary_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(ShardError, match="expects 50 tokens in the vocabulary, 51 found; train again"):
        load_model(tmp_path, "gpt2", vocab_size=51)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"config\.json: not found"):
        load_model(tmp_path, "gpt2", vocab_size=50)


def test_an_impossible_model_is_refused():
    with pytest.raises(SettingsError, match="known: gpt2"):
        config_class("lstm")


def test_the_number_of_threads_is_fixed_inside_and_given_back_after():
    before = torch.get_num_threads()
    with fixed_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_auto_takes_a_gpu_exactly_where_there_is_one():
    assert pick_device("auto").is_cpu is not torch.cuda.is_available()
    assert pick_device("cpu").is_cpu


def test_a_cpu_computes_in_fp32_unless_asked():
    assert pick_device("cpu").precision == "fp32"
    with pytest.raises(TrainingError, match="precision fp16 asked for, which a CPU has not"):
        pick_device("cpu", "fp16")
    if cpu_has_bf16():
        assert pick_device("cpu", "bf16").precision == "bf16"
    else:
        with pytest.warns(UserWarning, match="no instructions for bf16"):
            pick_device("cpu", "bf16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(TrainingError, match="use device: auto"):
        pick_device("cuda")


def test_the_peak_of_memory_is_the_processes_own_and_not_that_of_who_started_it():
    held = np.ones(2**27)  # 1 GiB
    code = "from pianogen.models.devices import peak_memory_mb; print(peak_memory_mb())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert peak_memory_mb() > held.nbytes / 2**20
    assert float(done.stdout) < held.nbytes / 2**20
