"""The texts of our pages in the languages that they speak: English, which is the source, and Spanish.

A template says `{{ t("Where it is") }}`: the text stands in the page in both languages and the style shows the one that
the reader chose. An attribute has the other language beside it: `{{ attr("aria-label", "Where it is") }}`. Scripts look
their texts up in what `OF_SCRIPTS` puts into the page (see `words.js`). Spanish stands in `templates/*.es.json`, by the
English text; what is missing there stays English, and a test names it.

Texts are ours and may hold markup; values in them are escaped. What is no text of ours, a name or a number out of the
data, is marked by `translate="no"` where it stands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = ("en", "es")


def spanish(*files: Path) -> dict[str, str]:
    """Spanish by English text, from some files."""
    return {english: text for file in files for english, text in json.loads(file.read_text(encoding="utf-8")).items()}


@dataclass(frozen=True)
class Texts:
    """Texts with their Spanish."""

    spanish: Mapping[str, str]

    def both(self, english: str, /, **values: Any) -> Markup:
        """A text in both languages, of which the style shows one.

        Args:
            english: the text, of whatever white space; `{name}` stands for a value.
            values: escaped where they are no markup.
        """
        told = {"en": (key := " ".join(english.split())), "es": self.spanish.get(key)}
        if told["es"] is None:
            return Markup(key).format(**values)
        spans = (Markup('<span lang="{}">{}</span>').format(name, Markup(told[name]).format(**values)) for name in told)
        return Markup("").join(spans)

    def attribute(self, name: str, english: str, /, **values: Any) -> Markup:
        """An attribute in English, with its Spanish beside it; values are plain text."""
        key = " ".join(english.split())
        told = {name: key.format(**values), f"data-es-{name}": self.spanish.get(key, key).format(**values)}
        return Markup(" ").join(Markup('{}="{}"').format(*item) for item in told.items())


OF_PAGES = Texts(spanish(TEMPLATES / "page.es.json"))
OF_SCRIPTS = spanish(TEMPLATES / "player.es.json")
"""What the scripts of the player say."""
