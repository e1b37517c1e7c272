"""The card of an exported model: what it is, where it comes from, what may be done with it, how it is loaded."""

from collections.abc import Iterator, Mapping
from typing import Any

from pianogen.foreign_text import markdown_text

CHECKS = {
    "same_split": "trained on the same split",
    "compared": "what they saw was compared with what is held out here, and nothing of it is",
    "unchecked": "**not known**: nobody checked whether they saw music that is held out here",
}
"""What `parents_check` of a lineage says."""


def model_card(
    run: Mapping[str, Any],
    lineage: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    *,
    test: Mapping[str, float] | None,
    is_of_transformers: bool,
    scheme: str | None,
) -> str:
    """A page in Markdown.

    Args:
        run: what run.json says.
        lineage: what lineage.json says.
        tokenizer: its settings.
        test: scores on the test split, None before the evaluation.
        is_of_transformers: whether transformers loads the model.
        scheme: MidiTok's name of the tokenizer, None without it.
    """
    parts = [
        _about(run, tokenizer),
        _licences(lineage),
        _scores(run, test),
        _origin(lineage),
        _parents(lineage),
        _loading(run, is_of_transformers=is_of_transformers, scheme=scheme),
    ]
    written = [list(part) for part in parts]
    return "\n".join(line for part in written if part for line in (*part, ""))


def _about(run: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {markdown_text(run['experiment'])}"
    yield ""
    yield (
        f"A model of piano music, trained by pianogen: {run['model']}, {run['num_parameters']:,} parameters, context "
        f"{run['context_length']}, {tokenizer['num_ids']} tokens of the tokenizer {tokenizer['name']}, from step "
        f"{run['best_step']} of {run['steps']}."
    )


def _licences(lineage: Mapping[str, Any]) -> Iterator[str]:
    yield "## Licences"
    yield ""
    licences, forbidding = lineage.get("licences"), lineage.get("non_commercial_datasets")
    if forbidding:
        named = ", ".join(map(markdown_text, forbidding))
        yield f"**Not for commercial use**: {named} forbids it, and so it holds for what is derived from it."
    elif forbidding is None:
        yield "**Not known**: it was trained before licences were recorded. Take it as not for commercial use."
    else:
        yield "No licence of the training music is known to forbid commercial use."
    if licences:
        yield ""
        yield "| music | licence |"
        yield "|---|---|"
        yield from (f"| {markdown_text(name)} | {markdown_text(said)} |" for name, said in sorted(licences.items()))


def _scores(run: Mapping[str, Any], test: Mapping[str, float] | None) -> Iterator[str]:
    yield "## Scores"
    yield ""
    yield "| split | performances | bits per note | nats per token |"
    yield "|---|---:|---:|---:|"
    yield (
        f"| validation | {run['num_validation_performances']} | {run['validation_bits_per_note']:.4f} | "
        f"{run['validation_nll']:.4f} |"
    )
    if test is not None:
        yield f"| test | {test['num_performances']} | {test['bits_per_note']:.4f} | {test['nll']:.4f} |"
    yield ""
    yield (
        "Bits per note compare across tokenizers on one split, nats per token do not. The validation chose the step"
        + ("." if test is not None else "; the test split was not scored yet.")
    )


def _origin(lineage: Mapping[str, Any]) -> Iterator[str]:
    yield "## Where it comes from"
    yield ""
    yield "| what | version |"
    yield "|---|---|"
    for name in ("run_id", "split_version", "shards_version", "certificate", "code_version"):
        yield f"| {name.replace('_', ' ')} | `{lineage.get(name)}` |"
    for name, version in sorted((lineage.get("dataset_versions") or {}).items()):
        yield f"| dataset {markdown_text(name)} | `{version}` |"
    yield ""
    if lineage.get("leak"):
        yield (
            f"**Trained on {100 * lineage['leak']:g} % of the groups of test music, on purpose**, to show what that "
            "buys: its scores on the test split say nothing. `lineage.json` has all of this and the settings."
        )
        return
    yield (
        "The certificate says that no music of the validation and test splits stands in train, in any key, tempo or "
        "rendition that the comparison finds. `lineage.json` has all of this and the settings."
    )


def _parents(lineage: Mapping[str, Any]) -> Iterator[str]:
    if not lineage.get("parents"):
        return
    yield "## Fine-tune of"
    yield ""
    yield "| parent, the oldest first | run | split | certificate |"
    yield "|---|---|---|---|"
    for parent in lineage["parents"]:
        versions = (parent["run_id"], parent["split_version"], parent["certificate"])
        yield f"| {markdown_text(parent['experiment'])} | " + " | ".join(f"`{one}`" for one in versions) + " |"
    yield ""
    yield f"What they saw: {CHECKS.get(lineage.get('parents_check') or '', 'not told')}."


def _loading(run: Mapping[str, Any], *, is_of_transformers: bool, scheme: str | None) -> Iterator[str]:
    yield "## Loading"
    yield ""
    yield "```python"
    if is_of_transformers:
        yield "from transformers import AutoModelForCausalLM"
        yield ""
        yield 'model = AutoModelForCausalLM.from_pretrained(".")'
        yield f"ids = model.generate(max_length={run['context_length']})  # begins with BOS, samples, fills one context"
    else:
        yield "from pathlib import Path"
        yield ""
        yield "from pianogen.models import load_model"
        yield "from pianogen.tokenizers.base import load_tokenizer"
        yield ""
        yield 'tokenizer = load_tokenizer(Path("tokenizer_settings.json"))'
        yield f'model = load_model(Path("."), "{run["model"]}", len(tokenizer.vocab))'
    yield "```"
    yield ""
    if scheme is None:
        yield "`tokenizer_settings.json` tells the tokenizer to pianogen; MidiTok's is not here."
        return
    yield "Tokens, with MidiTok; sequences begin with BOS, and all notes are one part, so join the tracks of a file:"
    yield ""
    yield "```python"
    yield f"from miditok import {scheme}"
    yield ""
    yield f'tokenizer = {scheme}(params="tokenizer.json")'
    yield "```"
