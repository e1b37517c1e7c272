"""Experiment files beside each other: what each trains, and how large that is."""

import dataclasses
from pathlib import Path

import pyarrow as pa

from pianogen.models import count_parameters
from pianogen.tokenizers.base import LearnedTokenizer, Tokenizer, kept_tokenizer
from pianogen.training.experiment import ExperimentConfig, find_experiments, load_experiment

OVERVIEW = pa.schema(
    [
        ("experiment", pa.string()),
        ("folder", pa.string()),
        ("model", pa.string()),
        ("context_length", pa.int64()),
        ("n_layer", pa.int64()),
        ("n_head", pa.int64()),
        ("n_embd", pa.int64()),
        ("num_parameters", pa.int64()),
        ("tokenizer", pa.string()),
        ("vocab_size", pa.int64()),
        ("datasets", pa.string()),
        ("steps", pa.int64()),
        ("description", pa.string()),
    ]
)


def experiments_overview(folder: Path) -> pa.Table:
    """One row per experiment file in a folder and below it, those in the folder itself first, with the schema OVERVIEW.

    `folder` is null for those, which a run of the whole graph trains. `vocab_size` and `num_parameters` are null where
    the vocabulary is learned from music: the run says them.

    Raises:
        SettingsError: a file or a name in it is wrong.
    """
    rows = []
    for name, path in find_experiments(folder).items():
        config = load_experiment(path)
        coder = _known_tokenizer(config)
        vocab_size = coder and len(coder.vocab)
        below = path.parent.relative_to(folder).as_posix()
        data = config.data.datasets
        rows.append(
            {
                **{name: value for name, value in dataclasses.asdict(config.model).items() if name in OVERVIEW.names},
                "experiment": name,
                "folder": None if below == "." else below,
                "model": config.model.name,
                "num_parameters": coder and count_parameters(config.model, len(coder.vocab), coder),
                "tokenizer": config.tokenizer["name"],
                "vocab_size": vocab_size,
                "datasets": "all" if data is None else data if isinstance(data, str) else ", ".join(data),
                "steps": config.training.steps,
                "description": config.description,
            }
        )
    return pa.Table.from_pylist([{key: row.get(key) for key in OVERVIEW.names} for row in rows], schema=OVERVIEW)


def _known_tokenizer(config: ExperimentConfig) -> Tokenizer | None:
    coder = kept_tokenizer(config.tokenizer)
    return None if isinstance(coder, LearnedTokenizer) and not coder.is_learned else coder
