"""Training: what the loop costs beside the model, and tokens a second beside HF's GPT-2 under HF's Trainer.

    python -m benchmarks.training                         the shards of `quick`, as `make run` leaves them
    python -m benchmarks.training --lake LAKE NAME        those of another experiment, of token ids
    python -m benchmarks.training --steps 40              more updates of each

`gpt2` of the experiment `quick`'s width at a context of 256: 3 layers, 4 heads, width 128, 16 windows an
update. HF's is `GPT2LMHeadModel` of the same size and vocabulary on the same windows, as its configuration and
`TrainingArguments` come: dropout 0.1 on embeddings, layers and attention weights, which keeps its SDPA from running
fused on a CPU; the loss of `ForCausalLMLoss`; fused AdamW, gradients clipped at 1, fp32; nothing logged, saved or
validated. Its tokens are all that it reads, padding included, and so are ours. "Without dropout" is 0 in all places of
both.

Seconds are those of the processor, of one thread: the fastest update of three rounds, in each of which every row has
its turn, but for the first three of a round. Compiled and bf16 rows are left out where there is no compiler
(`--no-compile`), or no instructions. The share of the loader is of the updates of the row "ours"; that of the loop is
what is left beside the loader when the same updates run without a Trainer.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from benchmarks.corpus import load
from pianogen.errors import LakeError
from pianogen.lake import Lake
from pianogen.models.configs import Gpt2Config
from pianogen.models.devices import cpu_has_bf16, fixed_threads, pick_device
from pianogen.settings import load_settings
from pianogen.shards import ShardSet
from pianogen.train import StopSignal
from pianogen.training import trainer
from pianogen.training.checkpoints import Progress
from pianogen.training.experiment import ExperimentConfig, TrainingConfig
from pianogen.training.lineage import lineage_of
from pianogen.training.loading import ExampleDataset, Update
from pianogen.training.recorder import Recorder

ROWS, CONTEXT = 16, 256
SIZE: dict[str, Any] = {"n_layer": 3, "n_head": 4, "n_embd": 128}
FIRST = 3
"""Updates that are not counted."""
ROUNDS = 3


class Clock(TrainerCallback):
    """Processor time of each update, of what reads its examples, and of all in between."""

    def __init__(self) -> None:
        self.updates: list[float] = []
        self.loading: list[float] = []
        self._begin = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start."""
        self._begin = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One more."""
        now = time.process_time()
        self.updates.append(now - self._begin)
        self._begin = now

    def watched(self, updates: Iterator[Update]) -> Iterator[Update]:
        """The same updates, timed."""
        while True:
            begin = time.process_time()
            update = next(updates)
            self.loading.append(time.process_time() - begin)
            yield update

    @property
    def update_sec(self) -> float:
        """Of an update."""
        return min(self.updates[FIRST:])

    @property
    def loading_sec(self) -> float:
        """Of reading what it takes."""
        return statistics.median(self.loading[FIRST:])


class HfWindows(torch.utils.data.Dataset):
    """The same windows as HF's model reads them: labels are the ids, which it shifts itself."""

    def __init__(self, examples: ExampleDataset) -> None:
        self.examples = examples

    def __len__(self) -> int:
        """All."""
        return len(self.examples)

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        """One."""
        ids = self.examples[k]["input_ids"]
        return {"input_ids": ids, "labels": ids}


def run_hf(shards: ShardSet, scratch: Path, steps: int, **config: Any) -> Clock:
    """HF's model under HF's Trainer."""
    clock = Clock()
    sizes = {"n_positions": CONTEXT, "vocab_size": len(shards.tokenizer.vocab), **SIZE}
    args = TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=ROWS,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    source = trainer.examples_of(experiment(0.1), shards)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**sizes, bos_token_id=1, eos_token_id=2, use_cache=False, **config)
    )
    windows = HfWindows(ExampleDataset(source, steps * ROWS))
    hf = Trainer(model=model, args=args, train_dataset=windows, callbacks=[clock])
    hf.remove_callback(PrinterCallback)
    hf.train()
    return clock


def experiment(dropout: float, steps: int = 1, **training: Any) -> ExperimentConfig:
    never: dict[str, Any] = {"validate_every": 10**6, "checkpoint_every": 10**6, "log_every": 10**6}
    return ExperimentConfig(
        name="training",
        model=Gpt2Config(context_length=CONTEXT, dropout=dropout, **SIZE),
        training=TrainingConfig(steps=steps, batch_size=ROWS, cpu_threads=1, device="cpu", **never, **training),
    )


def our_trainer(shards: ShardSet, scratch: Path, steps: int, dropout: float, **training: Any) -> Any:
    # A step more than is made, so that the last one, which is validated and saved, is never reached.
    config = experiment(dropout, steps + 1, **training)
    found: Any = SimpleNamespace(nll=0.0, bits_per_note=0.0, num_tokens=1, num_performances=1)
    recorder = Recorder(config.training, Progress(), None, lambda model: found, StopSignal(), lambda line: None)
    device = pick_device("cpu", config.training.precision)
    made = trainer.Training(config, shards, scratch, device, lineage_of(config, shards))
    return trainer.make_trainer(made, recorder)


class End(TrainerCallback):
    """After so many updates, with nothing saved."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """At the last one."""
        control.should_training_stop = state.global_step >= self.steps


def run_ours(shards: ShardSet, scratch: Path, steps: int, dropout: float = 0.1, **training: Any) -> Clock:
    """Our training of our model."""
    clock = Clock()
    ours = our_trainer(shards, scratch, steps, dropout, **training)
    ours.add_callback(clock)
    ours.add_callback(End(steps))
    reads = ours.get_train_dataloader
    ours.get_train_dataloader = lambda: clock.watched(iter(reads()))
    ours.train()
    return clock


def run_bare(shards: ShardSet, scratch: Path, steps: int, dropout: float = 0.1) -> Clock:
    """The same updates of the same model, and nothing else."""
    clock = Clock()
    ours = our_trainer(shards, scratch, steps, dropout)
    model = ours._wrap_model(ours.model)
    optimizer = ours.create_optimizer()
    updates = clock.watched(iter(ours.get_train_dataloader()))
    model.train()
    clock.on_train_begin(None, None, None)
    for _ in range(steps):
        update = next(updates)
        (model(**update.batches[0]) / update.num_targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        clock.on_step_end(None, None, None)
    return clock


def rows_of(shards: ShardSet, scratch: Path, steps: int, *, compiled: bool) -> dict[str, Callable[[], Clock]]:
    none = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    found: dict[str, Callable[[], Clock]] = {
        "HF, its defaults": lambda: run_hf(shards, scratch, steps),
        "ours": lambda: run_ours(shards, scratch, steps),
        "ours, without a Trainer": lambda: run_bare(shards, scratch, steps),
        "HF, without dropout": lambda: run_hf(shards, scratch, steps, **none),
        "ours, without dropout": lambda: run_ours(shards, scratch, steps, 0.0),
    }
    if cpu_has_bf16():
        found["ours, bf16"] = lambda: run_ours(shards, scratch, steps, precision="bf16")
        found["ours, without dropout, bf16"] = lambda: run_ours(shards, scratch, steps, 0.0, precision="bf16")
    if compiled:
        found["ours, compiled"] = lambda: run_ours(shards, scratch, steps, compile=True)
        found["ours, without dropout, compiled"] = lambda: run_ours(shards, scratch, steps, 0.0, compile=True)
    if compiled and cpu_has_bf16():
        found["ours, compiled, bf16"] = lambda: run_ours(shards, scratch, steps, compile=True, precision="bf16")
    return found


def print_table(rows: dict[str, Callable[[], Clock]]) -> None:
    best: dict[str, Clock] = {}
    for _ in range(ROUNDS):
        for name, run in rows.items():
            clock = run()
            if name not in best or clock.update_sec < best[name].update_sec:
                best[name] = clock
    print("| training | ms an update | tokens/s | / HF's defaults | / HF without dropout |")
    print("|---|" + "---:|" * 4)
    for name, clock in best.items():
        ratios = [best[hf].update_sec / clock.update_sec for hf in ("HF, its defaults", "HF, without dropout")]
        tokens = ROWS * CONTEXT / clock.update_sec
        print(f"| {name} | {1000 * clock.update_sec:.0f} | {tokens:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    ours, bare = best["ours"], best["ours, without a Trainer"]
    print(f"\nloader: {100 * ours.loading_sec / ours.update_sec:.2f}% of an update")
    print(f"the rest of the loop: {100 * (ours.update_sec / bare.update_sec - 1):.1f}%")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="quick", help="whose shards are read")
    parser.add_argument("--lake", type=Path, help="in place of the lake of pianogen.toml")
    parser.add_argument("--steps", type=int, default=15, help="updates of each row and round")
    parser.add_argument("--no-compile", action="store_true", help="without the compiled rows")
    args = parser.parse_args()
    try:
        shards = ShardSet(Lake(args.lake or load_settings().lake), args.experiment)
    except LakeError as error:
        sys.exit(f"{error}; `make run` makes those of quick")
    transformers.logging.set_verbosity_error()
    print(f"load before: {load()}; {len(shards.tokenizer.vocab)} tokens in the vocabulary\n")
    with tempfile.TemporaryDirectory() as name, fixed_threads(1):
        print_table(rows_of(shards, Path(name), args.steps, compiled=not args.no_compile))
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
