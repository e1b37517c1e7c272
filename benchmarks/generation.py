"""Generation: tokens a second of our sampling beside HF's `generate`, and of architectures with and without a state.

    python -m benchmarks.generation                          both tables, one and two threads
    python -m benchmarks.generation --sizes small            a GPT-2 of 3 layers and width 128 alone
    python -m benchmarks.generation --no-architectures       the first table alone

First table. A GPT-2 with random weights, a vocabulary of 300 tokens and a context of 1,024, filled from BOS on: 1,023
tokens, fp32. HF's is `transformers.GPT2LMHeadModel` with the very same weights; `generate(do_sample=True,
temperature=1.0, top_k=50)` with its cache (`use_cache=True`, a `DynamicCache`; its default attention, SDPA). Ours is
`continue_tokens` with the same temperature and top-k, and with the same amount of work: EOS is made so unlikely that
nobody draws it. "Without a cache" is HF's with `use_cache=False`: four tokens after each of four prompts, an eighth,
three eighths and so on of the context long, which is the mean of the whole way.

Second table. Milliseconds of a token that is read, nothing drawn: by its state, of all tokens of the context one by
one; without, of forward passes over contexts as long as above, and over a whole one. Every architecture has 3 layers or
as its defaults, width 128. pianist reads seeded improvisations, the others random ids.

Seconds are those of the processor where one thread computes, and those that pass where two do; the least of so many
rounds, in each of which every row has its turn.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.corpus import load
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens
from pianogen.midi.columns import NoteColumns
from pianogen.models import config_class, make_model
from pianogen.models.configs import Gpt2Config
from pianogen.models.devices import fixed_threads
from pianogen.tokenizers.base import BOS_ID, EOS_ID, make_tokenizer

CONTEXT, VOCAB_SIZE, TOP_K = 1024, 300, 50
SIZES: dict[str, dict[str, Any]] = {
    "small": {"n_layer": 3, "n_head": 4, "n_embd": 128},
    "study": {"n_layer": 6, "n_head": 8, "n_embd": 512},
}
PLACES = tuple(CONTEXT * eighths // 8 for eighths in (1, 3, 5, 7))
"""Lengths whose mean cost is that of all lengths, where cost grows evenly or with the square."""
NUM_AT_PLACE = 4
TRANSFORMER = {"n_layer": 3, "n_head": 4, "n_embd": 128}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "gpt2": ("gpt2", TRANSFORMER, None),
    "encoder": ("encoder", {**TRANSFORMER, "d_inner": 512}, None),
    "music_transformer": ("music_transformer", TRANSFORMER, None),
    "gru, window 30": ("gru", {}, None),
    "gru, window 0": ("gru", {"window": 0}, None),
    "gru_attention, window 30": ("gru_attention", {}, None),
    "gru_attention, window 0": ("gru_attention", {"window": 0}, None),
    "encoder_attention, window 30": ("encoder_attention", {}, None),
    "encoder_attention, window 0": ("encoder_attention", {"window": 0}, None),
    "continuous": ("continuous", TRANSFORMER, None),
    "pianist, jsb": ("pianist", TRANSFORMER, "jsb"),
    "pianist, jsb, a GRU": ("pianist", {**TRANSFORMER, "n_gru": 1}, "jsb"),
    "pianist, remi": ("pianist", TRANSFORMER, "remi"),
    "pianist, performance": ("pianist", TRANSFORMER, "performance"),
}


def clock(num_threads: int) -> float:
    return time.process_time() if num_threads == 1 else time.perf_counter()


def gpt2_pair(size: dict[str, Any]) -> tuple[Any, Any]:
    """Ours and HF's, of the same weights."""
    torch.manual_seed(0)
    ours: Any = make_model(Gpt2Config(context_length=CONTEXT, dropout=0.0, **size), VOCAB_SIZE).eval()
    # The first number of what is normed last is 1, and that of EOS is far below any: so is its logit.
    with torch.no_grad():
        ours.transformer.ln_f.weight[0], ours.transformer.ln_f.bias[0] = 0.0, 1.0
        ours.transformer.wte.weight[EOS_ID, 0] = -100.0
    theirs = transformers.GPT2LMHeadModel(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def ours_sec(model: Any, num_rows: int, num_threads: int) -> float:
    """Of a token of each row."""
    begin = clock(num_threads)
    found = continue_tokens(
        model,
        [np.array([BOS_ID])] * num_rows,
        max_tokens=CONTEXT - 1,
        decoding=DecodingConfig(top_k=TOP_K),
        seeds=range(num_rows),
        context_length=CONTEXT,
    )
    assert all(len(ids) == CONTEXT for ids in found)
    return (clock(num_threads) - begin) / (CONTEXT - 1)


def hf_sec(model: Any, num_rows: int, num_threads: int, first: int, num: int, use_cache: bool) -> float:
    ids = torch.full((num_rows, first), BOS_ID)
    begin = clock(num_threads)
    found = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=TOP_K,
        max_new_tokens=num,
        use_cache=use_cache,
        pad_token_id=0,
    )
    assert found.shape == (num_rows, first + num)
    return (clock(num_threads) - begin) / num


def without_cache_sec(model: Any, num_rows: int, num_threads: int) -> float:
    return float(np.mean([hf_sec(model, num_rows, num_threads, n, NUM_AT_PLACE, False) for n in PLACES]))


def print_beside_hf(sizes: list[str], rounds: int) -> None:
    print("| GPT-2 | threads | batch | ours, tokens/s | HF with its cache | HF without | / with | / without |")
    print("|---|" + "---:|" * 7)
    for size in sizes:
        ours, theirs = gpt2_pair(SIZES[size])
        name = f"{SIZES[size]['n_layer']} layers, width {SIZES[size]['n_embd']}"
        for num_threads in (1, 2):
            with fixed_threads(num_threads):
                for num_rows in (1, 8):
                    rows: dict[str, Callable[[], float]] = {
                        "ours": lambda m=ours, b=num_rows, t=num_threads: ours_sec(m, b, t),
                        "cache": lambda m=theirs, b=num_rows, t=num_threads: hf_sec(m, b, t, 1, CONTEXT - 1, True),
                        "none": lambda m=theirs, b=num_rows, t=num_threads: without_cache_sec(m, b, t),
                    }
                    sec = least(rows, rounds)
                    rates = " | ".join(f"{num_rows / each:,.0f}" for each in sec.values())
                    ratios = f"{sec['cache'] / sec['ours']:.2f} | {sec['none'] / sec['ours']:.0f}"
                    print(f"| {name} | {num_threads} | {num_rows} | {rates} | {ratios} |", flush=True)


def least(rows: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    found = dict.fromkeys(rows, float("inf"))
    for _ in range(rounds):
        for name, run in rows.items():
            found[name] = min(found[name], run())
    return found


def improvised(tokenizer: Any) -> torch.Tensor:
    """A context of tokens, BOS first."""
    rng = np.random.default_rng(0)
    num = CONTEXT
    columns = NoteColumns(
        pitch=(66 + np.abs(np.cumsum(rng.integers(-7, 8, num)) % 64 - 32) - 16).astype(np.uint8),
        velocity=rng.integers(40, 100, num).astype(np.uint8),
        onset_tick=(np.cumsum(rng.integers(0, 4, num)) * 120).astype(np.int32),
        duration_tick=(rng.integers(1, 5, num) * 120).astype(np.int32),
        ticks_per_quarter=480,
    )
    ids = np.concatenate(([BOS_ID], tokenizer.encode(columns.sorted())))[:CONTEXT]
    assert len(ids) == CONTEXT
    return torch.from_numpy(ids.astype(np.int64))[None]


def rows_of_numbers() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    columns = [
        torch.randint(*each, (CONTEXT,), generator=generator) for each in ((0, 50), (1, 128), (21, 109), (1, 50))
    ]
    shift, velocity, pitch, duration = (column.float() for column in columns)
    return torch.stack((shift * 10, velocity / 127, pitch, duration * 10), -1)[None]


def made(name: str, size: dict[str, Any], scheme: str | None) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(0)
    config = config_class(name)(**{"name": name, "context_length": CONTEXT, **size})
    if scheme:
        tokenizer = make_tokenizer({"name": scheme})
        return make_model(config, len(tokenizer.vocab), tokenizer).eval(), improvised(tokenizer)
    ids = torch.randint(3, VOCAB_SIZE, (1, CONTEXT), generator=torch.Generator().manual_seed(0))
    return make_model(config, VOCAB_SIZE).eval(), rows_of_numbers() if name == "continuous" else ids


def state_sec(model: Any, tokens: torch.Tensor) -> float:
    """Of a token."""
    state, begin = model.begin_state(len(tokens)), clock(1)
    for t in range(CONTEXT):
        state.read(tokens[:, t : t + 1])
    return (clock(1) - begin) / CONTEXT


@torch.inference_mode()
def anew_sec(model: Any, tokens: torch.Tensor, length: int) -> float:
    begin = clock(1)
    model(input_ids=tokens[:, :length])
    return clock(1) - begin


def print_architectures(rounds: int) -> None:
    print("\n| architecture | batch | ms by its state | all anew, mean | at 1,024 tokens | times, mean | at 1,024 |")
    print("|---|" + "---:|" * 6)
    with fixed_threads(1):
        for label, (name, size, scheme) in ARCHITECTURES.items():
            model, tokens = made(name, size, scheme)
            for num_rows in (1, 8):
                given = tokens.expand(num_rows, *tokens.shape[1:])
                rows: dict[str, Callable[[], float]] = {
                    "state": lambda m=model, x=given: state_sec(m, x),
                    "mean": lambda m=model, x=given: float(np.mean([anew_sec(m, x, n) for n in PLACES])),
                    "last": lambda m=model, x=given: anew_sec(m, x, CONTEXT),
                }
                sec = least(rows, rounds)
                told = " | ".join(f"{1000 * each:.2f}" for each in sec.values())
                ratios = " | ".join(f"{sec[one] / sec['state']:.0f}" for one in ("mean", "last"))
                print(f"| {label} | {num_rows} | {told} | {ratios} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), default=list(SIZES), help="of the first table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-architectures", action="store_true", help="without the second table")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    print(f"load before: {load()}\n")
    if args.sizes:
        print_beside_hf(args.sizes, args.rounds)
    if not args.no_architectures:
        print_architectures(args.rounds)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
