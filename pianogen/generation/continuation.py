"""From a prompt, or from nothing, to a new performance: what is read of music, and what is heard of tokens."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pianogen.errors import RejectedFileError, ShardError
from pianogen.generation.beams import BeamConfig, Hypothesis, beam_search
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens
from pianogen.midi.columns import NoteColumns, from_table
from pianogen.midi.render import DEFAULT_TEMPO_QPM, duration_sec, midi_bytes
from pianogen.models import load_model
from pianogen.models.devices import fixed_threads, pick_device
from pianogen.reading import parse_file
from pianogen.shards.rows import framed
from pianogen.tokenizers.base import Tokenizer, make_tokenizer
from pianogen.training.experiment import GenerationConfig
from pianogen.training.runs import require_run, write_whole


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The beginning of a performance, or nothing."""

    notes: NoteColumns | None = None
    tempo_qpm: float = DEFAULT_TEMPO_QPM
    """The performance's first tempo, at which the sample is rendered where tokens tell no seconds."""
    end_sec: float = 0.0
    """Where the prompt ends when it is rendered at `tempo_qpm`."""
    performance_id: str | None = None
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A generated performance: the prompt and what follows."""

    notes: NoteColumns
    tempo_qpm: float
    prompt_sec: float
    midi: bytes

    @property
    def num_notes(self) -> int:
        """Notes of prompt and continuation."""
        return len(self.notes)

    @property
    def duration_sec(self) -> float:
        """Last note-off."""
        return duration_sec(self.notes, self.tempo_qpm)


def cut_prompt(
    notes: pa.Table, tempos: pa.Table, ticks_per_quarter: int, prompt_sec: float | None, **about: str | None
) -> Prompt:
    """The notes that begin in the first `prompt_sec` seconds; all of them without it.

    Args:
        notes: rows of the lake's `notes` of one performance.
        tempos: rows of its `tempos`, ascending.
        ticks_per_quarter: of both.
        prompt_sec: seconds of the performance as it is played.
        about: `performance_id` and `title`.
    """
    columns = from_table(notes, ticks_per_quarter)
    map_sec, map_tick, map_qpm = (tempos[name].to_numpy() for name in ("time_sec", "tick", "tempo_qpm"))
    tempo_qpm = float(map_qpm[0]) if len(map_qpm) else DEFAULT_TEMPO_QPM
    end_tick = float(columns.end_tick)
    if prompt_sec is not None:
        # The file's tempo may change; the sample is rendered at the first one.
        i = max(0, int(np.searchsorted(map_sec, prompt_sec, side="right")) - 1)
        qpm, sec, tick = (map_qpm[i], map_sec[i], map_tick[i]) if len(map_qpm) else (tempo_qpm, 0.0, 0)
        end_tick = min(end_tick, float(tick + (prompt_sec - sec) * qpm / 60 * ticks_per_quarter))
        columns = columns.take(columns.onset_tick < end_tick)
    end_sec = end_tick / ticks_per_quarter * 60 / tempo_qpm
    return Prompt(notes=columns, tempo_qpm=tempo_qpm, end_sec=end_sec, **about)  # pyright: ignore[reportArgumentType]


def generate(
    run: Path, prompt: Path | None, out: Path, config: GenerationConfig, *, prompt_sec: float | None = None
) -> Sample:
    """Continue a user's file, or begin from nothing, with a finished run, and write MIDI to `out`.

    Args:
        run: folder of a finished run, see `find_checkpoint`.
        prompt: a MIDI or MusicXML file, or None.
        out: the MIDI file to write.
        config: how to draw; its numbers of samples and its `prompt_sec` are not used.
        prompt_sec: seconds of the prompt to take; all of it without.

    Raises:
        TrainingError: the run is not finished.
        RejectedFileError: the prompt is not music, or holds no note that the tokenizer knows.
        ShardError: the run's tokens are not those of the tokenizer of today.
    """
    description = require_run(run)
    folder = run / description["checkpoint"]
    tokenizer = _saved_tokenizer(folder)
    given = _read_prompt(tokenizer, prompt, prompt_sec)
    samples = draw_samples(folder, description, tokenizer, [given], [config.seed], config)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, samples[0].midi)
    return samples[0]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A hypothesis of a search, and what is heard of it."""

    path: Path
    sample: Sample
    hypothesis: Hypothesis


def search(
    run: Path,
    prompt: Path | None,
    out: Path,
    beams: BeamConfig,
    *,
    max_tokens: int,
    prompt_sec: float | None = None,
) -> list[Found]:
    """Find the likeliest continuations and write each as MIDI: the best to `out`, the others beside it, `NAME.2.mid`.

    Args:
        run: as of `generate`.
        prompt: the same.
        out: the same.
        beams: how wide the search is.
        max_tokens: most tokens beyond the prompt.
        prompt_sec: as of `generate`.

    Returns:
        The best score first.

    Raises:
        TrainingError: as `generate`; and RejectedFileError and ShardError.
        GenerationError: the model draws rows of numbers.
    """
    description = require_run(run)
    folder = run / description["checkpoint"]
    tokenizer = _saved_tokenizer(folder)
    given = _read_prompt(tokenizer, prompt, prompt_sec)
    model = _loaded(folder, description, tokenizer, "auto")
    with fixed_threads(1):
        (hypotheses,) = beam_search(
            model,
            [prompt_tokens(tokenizer, given)],
            max_tokens=max_tokens,
            beams=beams,
            context_length=description["context_length"],
        )
    found = []
    out.parent.mkdir(parents=True, exist_ok=True)
    for i, hypothesis in enumerate(hypotheses):
        path = out if i == 0 else out.with_name(f"{out.stem}.{i + 1}{out.suffix}")
        sample = _render(tokenizer, hypothesis.tokens, given)
        write_whole(path, sample.midi)
        found.append(Found(path=path, sample=sample, hypothesis=hypothesis))
    return found


def _read_prompt(tokenizer: Tokenizer, path: Path | None, prompt_sec: float | None) -> Prompt:
    if path is None:
        return Prompt()
    parsed = parse_file(path)
    prompt = cut_prompt(parsed.tables["notes"], parsed.tables["tempos"], parsed.ticks_per_quarter, prompt_sec)
    if len(prompt_tokens(tokenizer, prompt)) == 1:
        raise RejectedFileError("no_notes", f"{path}: no note between the lowest and the highest known pitch")
    return prompt


def draw_samples(
    folder: Path,
    run: dict,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    config: GenerationConfig,
    *,
    device: str = "auto",
) -> list[Sample]:
    """One sample for each prompt and seed.

    Args:
        folder: the saved model.
        run: what its run.json says.
        tokenizer: of the model.
        prompts: beginnings, or nothing.
        seeds: one for each prompt.
        config: how many tokens, and how to draw them.
        device: see `pick_device`.
    """
    model = _loaded(folder, run, tokenizer, device)
    return continue_prompts(model, tokenizer, prompts, seeds, config, context_length=run["context_length"])


def _loaded(folder: Path, run: dict, tokenizer: Tokenizer, device: str) -> torch.nn.Module:
    model = load_model(folder, run["model"], len(tokenizer.vocab))
    return model.to(pick_device(device).torch_device)  # pyright: ignore[reportArgumentType]


def continue_prompts(
    model: torch.nn.Module,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    config: GenerationConfig,
    **options: Any,
) -> list[Sample]:
    """One sample for each prompt and seed, of a model in memory.

    Args:
        model: on any device, in evaluation mode.
        tokenizer: of the model.
        prompts: beginnings, or nothing.
        seeds: one for each prompt.
        config: how many tokens, and how to draw them.
        options: of `pianogen.generation.sampling.stream_tokens`.
    """
    # One token at a time is too little work to share between threads.
    with fixed_threads(1):
        sequences = continue_tokens(
            model,
            [prompt_tokens(tokenizer, prompt) for prompt in prompts],
            max_tokens=config.max_tokens,
            decoding=DecodingConfig.of(config),
            seeds=seeds,
            **options,
        )
    return [_render(tokenizer, tokens, prompt) for tokens, prompt in zip(sequences, prompts, strict=True)]


def _render(tokenizer: Tokenizer, tokens: np.ndarray, prompt: Prompt) -> Sample:
    notes = tokenizer.decode(tokens)
    # What tells seconds is decoded at the tempo that goes without saying.
    tempo_qpm = DEFAULT_TEMPO_QPM if tokenizer.clock == "seconds" else prompt.tempo_qpm
    return Sample(notes=notes, tempo_qpm=tempo_qpm, prompt_sec=prompt.end_sec, midi=midi_bytes(notes, tempo_qpm))


def prompt_tokens(tokenizer: Tokenizer, prompt: Prompt) -> np.ndarray:
    """BOS and the tokens of the prompt's notes, int64 or rows; BOS alone where the tokenizer knows none of them."""
    tokens = np.empty((0, tokenizer.width) if tokenizer.width > 1 else 0, tokenizer.dtype)
    if prompt.notes is not None:
        notes = prompt.notes
        if tokenizer.clock == "seconds":
            notes = replace(notes, tempos=np.array([[0, round(60e6 / prompt.tempo_qpm)]], np.int32))
        tokens = tokenizer.encode(notes)
    tokens = framed(tokenizer, tokens)[:-1]  # but EOS
    return tokens if tokenizer.width > 1 else tokens.astype(np.int64)


def _saved_tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer_settings.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = make_tokenizer({k: v for k, v in settings.items() if k not in ("version", "num_ids")})
    if tokenizer.version != settings["version"]:
        raise ShardError(f"{path}: the model was trained with another version of the tokenizer; train it again")
    return tokenizer
