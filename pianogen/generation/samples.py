"""The stage that lets a finished run play: continuations of test performances, and pieces from nothing."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen.generation.continuation import Prompt, cut_prompt, draw_samples, prompt_tokens
from pianogen.generation.decoding import DecodingConfig
from pianogen.lake import Lake, Manifest, Stage, code_version
from pianogen.models import model_code
from pianogen.shards import ShardSet
from pianogen.tables import SCHEMAS
from pianogen.training.experiment import ExperimentConfig, GenerationConfig
from pianogen.training.runs import require_run, run_folder

STAGE = Stage(
    name="samples",
    modules=(
        "pianogen.generation.samples",
        "pianogen.generation.continuation",
        "pianogen.generation.sampling",
        "pianogen.generation.decoding",
        "pianogen.models.contexts",
        "pianogen.models.incremental",
        "pianogen.models.key_value_cache",
        "pianogen.midi.render",
    ),
    packages=("torch", "transformers", "symusic", "miditok"),
    tables=("samples",),
)


def generate_samples(lake: Lake, runs: Path, experiment: ExperimentConfig) -> Manifest:
    """Samples of the experiment's finished run: continuations of test performances, and from nothing.

    Done once per model, shard set and generation settings; written to `samples`, partition = the experiment.

    Raises:
        LakeError: there are no shards yet.
        TrainingError: the run is not finished.
    """
    folder = run_folder(lake, runs, experiment)
    run = require_run(folder)
    shards = ShardSet(lake, experiment.name)
    model_folder = folder / run["checkpoint"]
    weights = hashlib.sha256((model_folder / "model.safetensors").read_bytes()).hexdigest()
    key = STAGE.key(
        inputs=[run["run_id"], shards.version, weights, code_version(model_code(run["model"]))],
        settings=[experiment.name, asdict(experiment.generation)],
    )
    if not lake.has_block(STAGE.name, key):
        lake.write_block(STAGE.name, key, {"samples": _sample_table(lake, shards, run, model_folder, experiment)})
    info = {"experiment": experiment.name, "run_id": run["run_id"], "shards_version": shards.version}
    return lake.publish(STAGE, [key], partition=experiment.name, info=info)


def _sample_table(lake: Lake, shards: ShardSet, run: dict, folder: Path, experiment: ExperimentConfig) -> pa.Table:
    config = experiment.generation
    prompts = prompts_of(lake, shards, "test", config, config.num_prompted)
    names = [f"prompted_{i + 1:02d}" for i in range(len(prompts))]
    names += [f"unprompted_{i + 1:02d}" for i in range(config.num_unprompted)]
    prompts += [Prompt() for _ in range(config.num_unprompted)]
    seeds = [config.seed + i for i in range(len(prompts))]
    samples = draw_samples(folder, run, shards.tokenizer, prompts, seeds, config, device=experiment.training.device)
    decoding = json.dumps(asdict(DecodingConfig.of(config)))
    rows = [
        {
            "experiment": experiment.name,
            "run_id": run["run_id"],
            "sample": name,
            "title": f"Continuation of {prompt.title or 'untitled'}" if prompt.notes is not None else "From nothing",
            "prompt_performance_id": prompt.performance_id,
            "prompt_sec": sample.prompt_sec,
            "seed": seed,
            "temperature": config.temperature,
            "top_k": config.top_k,
            "top_p": config.top_p,
            "decoding": decoding,
            "num_notes": sample.num_notes,
            "duration_sec": sample.duration_sec,
            "midi": sample.midi,
        }
        for name, prompt, seed, sample in zip(names, prompts, seeds, samples, strict=True)
    ]
    return pa.Table.from_pylist(rows, SCHEMAS["samples"])


def prompts_of(lake: Lake, shards: ShardSet, split: str, config: GenerationConfig, number: int) -> list[Prompt]:
    """Beginnings of performances of a split, drawn by seed; fewer where fewer begin within `prompt_sec`."""
    ids = sorted(set(shards.sequences(split).performance_ids))
    prompts: list[Prompt] = []
    with lake.connect(["performances", "notes", "tempos"]) as connection:
        for i in np.random.default_rng(config.seed).permutation(len(ids)):
            if len(prompts) == number:
                break
            row, notes, tempos = (
                connection.sql(f"select * from {table} where performance_id = ?", params=[ids[i]]).to_arrow_table()
                for table in ("performances", "notes", "tempos")
            )
            prompt = cut_prompt(
                notes,
                tempos.sort_by("tick"),
                row["ticks_per_quarter"][0].as_py(),
                config.prompt_sec,
                performance_id=ids[i],
                title=row["title"][0].as_py() or "",
            )
            if len(prompt_tokens(shards.tokenizer, prompt)) > 1:
                prompts.append(prompt)
    return prompts
