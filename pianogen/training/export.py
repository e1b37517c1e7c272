"""A finished model in a folder that others load.

    README.md                  what it is, where it comes from, what may be done with it, how it is loaded
    config.json, model.safetensors
                               as AutoModelForCausalLM of transformers reads them, where the architecture is one of
                               its own; otherwise as `pianogen.models.load_model` does
    generation_config.json     ids of PAD, BOS and EOS, for `generate` of transformers
    tokenizer.json             as MidiTok loads it, with the same ids; for the schemes that MidiTok has
    tokenizer_settings.json    as `pianogen.tokenizers.base.load_tokenizer` does
    lineage.json               data, split, certificate, code, settings, parents

The weights are the bytes of the run. The folder appears whole.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pianogen.aside import new_folder
from pianogen.errors import SettingsError, TrainingError
from pianogen.lake import Lake
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, Tokenizer, make_tokenizer, save_tokenizer
from pianogen.tokenizers.miditok_scheme import MidiTokScheme
from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer
from pianogen.training.checkpoints import LINEAGE_FILE, require_same_run
from pianogen.training.model_card import model_card
from pianogen.training.parents import TOKENIZER_FILE, read_lineage
from pianogen.training.runs import WEIGHTS_FILE, require_run, sync

CONFIG_FILE = "config.json"
GENERATION_FILE = "generation_config.json"
MIDITOK_FILE = "tokenizer.json"
CARD_FILE = "README.md"
OF_TRANSFORMERS = ("gpt2",)
"""Architectures whose saved form is that of transformers."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    files: tuple[str, ...]
    num_bytes: int
    non_commercial: tuple[str, ...]
    """Datasets that the model, or a parent of it, was trained on and whose licence forbids commercial use."""


def export_model(run: Path, to: Path, lake: Lake, *, with_miditok: bool = True, force: bool = False) -> Exported:
    """Write the model of a finished run to a folder.

    Args:
        run: the run's folder, see `find_checkpoint`.
        to: the folder to write.
        lake: where the run's scores on test music are, if it was evaluated.
        with_miditok: write the tokenizer as MidiTok loads it as well.
        force: replace an export that is there.

    Raises:
        TrainingError: the run is not finished, its model is another run's, or something else lies at `to`.
        SettingsError: MidiTok has no such tokenizer.
    """
    said = require_run(run)
    model = run / said["checkpoint"]
    require_same_run(model, said["run_id"], "train it again")
    _require_free(to, force=force)
    lineage = read_lineage(model)
    settings = json.loads((model / TOKENIZER_FILE).read_text(encoding="utf-8"))
    tokenizer = make_tokenizer({name: value for name, value in settings.items() if name not in ("version", "num_ids")})
    if tokenizer.version != settings["version"]:
        raise TrainingError(f"{model / TOKENIZER_FILE}: of another version of the tokenizer; train the model again")
    miditok = in_miditok(tokenizer) if with_miditok else None
    config = json.loads((model / CONFIG_FILE).read_text(encoding="utf-8"))
    is_of_transformers = said["model"] in OF_TRANSFORMERS
    with new_folder(to.absolute()) as folder:
        for name in (WEIGHTS_FILE, LINEAGE_FILE):
            shutil.copyfile(model / name, folder / name)
        save_tokenizer(tokenizer, folder / TOKENIZER_FILE)
        if is_of_transformers:
            ids = {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": PAD_ID}
            # Training saves no cache; generation is slow without one.
            config |= {**ids, "use_cache": True}
            version = {"transformers_version": config.get("transformers_version")}
            _write_json(folder / GENERATION_FILE, {**ids, "do_sample": True, **version})
        _write_json(folder / CONFIG_FILE, config)
        if miditok is not None:
            miditok.save(folder / MIDITOK_FILE)
        card = model_card(
            said,
            lineage,
            settings,
            test=scores_on_test(lake, said["run_id"]),
            is_of_transformers=is_of_transformers,
            scheme=type(miditok).__name__ if miditok is not None else None,
        )
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
        files = sorted(path.name for path in folder.iterdir())
        num_bytes = sum(path.stat().st_size for path in folder.iterdir())
        for path in (*folder.iterdir(), folder):
            sync(path)
    non_commercial = tuple(lineage.get("non_commercial_datasets") or ())
    return Exported(files=tuple(files), num_bytes=num_bytes, non_commercial=non_commercial)


def in_miditok(tokenizer: Tokenizer) -> Any:
    """MidiTok's own tokenizer with the ids of one of ours.

    Raises:
        SettingsError: it has none.
    """
    if isinstance(tokenizer, MidiTokScheme):
        return tokenizer.miditok
    if not isinstance(tokenizer, TimelineTokenizer):
        raise SettingsError(
            f"tokenizer {tokenizer.name}: MidiTok has no scheme of these tokens; export without its tokenizer "
            f"(--no-tokenizer): {TOKENIZER_FILE} tells it to pianogen"
        )
    scheme = MidiTokScheme(scheme=tokenizer.in_miditok, config=tokenizer.config.in_miditok)
    if scheme.vocab != tokenizer.vocab:
        raise SettingsError(
            f"tokenizer {tokenizer.name}: {tokenizer.in_miditok} of the MidiTok that is installed gives other ids; "
            "export without its tokenizer (--no-tokenizer)"
        )
    return scheme.miditok


def scores_on_test(lake: Lake, run_id: str) -> Mapping[str, float] | None:
    """Bits per note and nats per token on the test split, as the leaderboard has them; None before the evaluation."""
    with lake.connect(["evaluations"]) as connection:
        found = connection.execute(_SCORES, [run_id]).fetchall()
    return dict(zip(("num_performances", "bits_per_note", "nll"), found[0], strict=True)) if found else None


_SCORES = """
select count(*), sum(nats) / ln(2) / nullif(sum(num_notes), 0), sum(nats) / nullif(sum(num_tokens), 0)
from evaluations
where run_id = ?
group by run_id
"""


def _require_free(to: Path, *, force: bool) -> None:
    """Refuse to replace what nobody asked to, or what is no export."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    is_export = to.is_dir() and (to / LINEAGE_FILE).is_file() and (to / CARD_FILE).is_file()
    if not is_export:
        raise TrainingError(f"{to}: is there, and holds something else than an exported model; name another folder")
    if not force:
        raise TrainingError(f"{to}: is there; --force replaces it, or name another folder")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
