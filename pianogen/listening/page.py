"""A listening test as one HTML file, and its key.

The page holds notes and nothing that tells whose they are: no name, no prompt, no seed, and sides that change. Who is
who stands in the key alone, a file of its own that stays with whoever asks. A key inside the page, encrypted or hashed,
would be none: what opens it would have to be in the page as well, and a hash of two answers is tried in two steps.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pianogen.errors import ListeningError
from pianogen.lake import digest
from pianogen.listening.pairs import SIDES, Pair, draw_pairs
from pianogen.listening.sets import SampleSet
from pianogen.report import player_parts
from pianogen.report.rendering import environment
from pianogen.report.words import LANGUAGES, OF_PAGES, OF_SCRIPTS, Texts, spanish
from pianogen.report.words import TEMPLATES as REPORT_TEMPLATES
from pianogen.static_pages import content_policy

TEMPLATES = Path(__file__).parent / "templates"
QUESTION = "Which one do you prefer?"
"""Asked where nothing else is; stands in both languages."""
KEY_FORMAT = "pianogen listening key"
VERSION = 1

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ListeningConfig:
    """How a test is drawn."""

    pairs: int = 20
    """Different ones."""
    repeats: int | None = None
    """Pairs that come twice; None: a fifth of them."""
    seed: int = 1
    seconds: float = 60.0
    """Of each sample, from its beginning; 0: all of it."""
    question: str = QUESTION
    language: str | None = None
    """Of the page at first; None: the browser's."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.pairs < 1 or self.seconds < 0 or (self.repeats or 0) < 0:
            raise ListeningError(
                f"pairs must be 1 or more, repeats and seconds 0 or more, found {self.pairs}, {self.repeats} and "
                f"{self.seconds}"
            )
        if self.language not in (None, *LANGUAGES):
            raise ListeningError(f"language must be one of {', '.join(LANGUAGES)}, found {self.language!r}")


def make_test(a: SampleSet, b: SampleSet, config: ListeningConfig = ListeningConfig()) -> tuple[str, Row]:  # frozen
    """A page, and its key; the same for the same samples and settings.

    Returns:
        The HTML, and the key as JSON values: `sets` by `a` and `b`, and of each pair which sample of which set is A
        and which is B.

    Raises:
        ListeningError: a sample is no performance, or both sets have one name.
    """
    names = _names(a, b)
    repeats = round(config.pairs / 5) if config.repeats is None else config.repeats
    pairs = draw_pairs(list(a.samples), list(b.samples), num_pairs=config.pairs, num_repeats=repeats, seed=config.seed)
    read = functools.cache(lambda of, sample: {"a": a, "b": b}[of].data(sample, config.seconds))
    listed = [_sides(pair) for pair in pairs]
    music = [[read(*side) for side in sides] for sides in listed]
    key = {
        "format": KEY_FORMAT,
        "version": VERSION,
        "test": "",
        "question": config.question,
        "seed": config.seed,
        "sets": names,
        "pairs": [
            {
                "pair": number,
                "repeat_of": pair.repeat_of,
                **{letter: {"set": of, "sample": name} for letter, (of, name) in zip(SIDES, sides, strict=True)},
            }
            for number, (pair, sides) in enumerate(zip(pairs, listed, strict=True), start=1)
        ],
    }
    key["test"] = digest(key, music)[:16]
    return _page(key["test"], config, music), key


def _names(a: SampleSet, b: SampleSet) -> dict[str, str]:
    names = (a.name, b.name) if a.name != b.name else (a.where, b.where)
    if names[0] == names[1]:
        raise ListeningError(f"{a.where}: both sets are this one; name two")
    return dict(zip(("a", "b"), names, strict=True))


def _sides(pair: Pair) -> list[tuple[str, str]]:
    """What is A and what is B, as set and sample."""
    sides = [("a", pair.sample_a), ("b", pair.sample_b)]
    return sides[::-1] if pair.is_swapped else sides


def _page(test: str, config: ListeningConfig, music: Sequence[Sequence[Row]]) -> str:
    style, first_script = player_parts.style() + _own("listening.css"), player_parts.first_script()
    scripts = [*player_parts.scripts(player_parts.PLAYER), _own("listening.js")]
    return (
        _environment()
        .get_template("listening.html")
        .render(
            test=test,
            question=None if config.question == QUESTION else config.question,
            music=music,
            style=style,
            first_script=first_script,
            scripts=scripts,
            words=OF_SCRIPTS | _texts(),
            languages=LANGUAGES,
            language=config.language,
            content_policy=content_policy(style, [first_script, *scripts]),
        )
    )


def _own(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


@functools.cache
def _texts() -> dict[str, str]:
    return spanish(TEMPLATES / "listening.es.json")


def _environment() -> jinja2.Environment:
    made = environment().overlay(loader=jinja2.FileSystemLoader([TEMPLATES, REPORT_TEMPLATES]))
    texts = Texts({**OF_PAGES.spanish, **_texts()})
    made.globals = {**made.globals, "t": texts.both, "attr": texts.attribute}
    return made
