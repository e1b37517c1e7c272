"""The pages in two languages: nothing lacks its Spanish, and nothing stays English when that is chosen."""

import json
import re
from pathlib import Path

import pytest
from browsers import wait_until
from jinja2 import nodes
from players import two_samples
from report_rows import corpus, evaluation, leaking, run

from pianogen.dedupe.groups import TIERS
from pianogen.report.rendering import environment
from pianogen.report.words import OF_SCRIPTS, TEMPLATES, Texts, spanish

BILINGUAL = (
    "page.html", "references.html", "same_music.html", "sample.html", "player.html", "player_page.html",
    "player_keys.html", "language.html",
)  # fmt: skip
SCRIPTS = ("player.js", "controls.js", "compare.js")
IN_PYTHON = ("page.py", "rendering.py")
SAID = re.compile(r'"((?!M\d)[A-Z{][^"]*[a-zA-Z][^"]*)"|\bbutton\("[^"]*", "([^"]+)"')
"""Every string that begins like a sentence, and what stands on small buttons; a picture's path begins like one too."""
NO_WORDS = {"ABCDEFGH"}


def said_in_templates(folder: Path = TEMPLATES, names: tuple[str, ...] = BILINGUAL) -> set[str]:
    """English texts of `t` and `attr`; both choices where there are two."""
    said: set[str] = set()
    for name in names:
        tree = environment().parse((folder / name).read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("t", "attr"):
                text = call.args[0 if call.node.name == "t" else 1]
                assert isinstance(text, nodes.Const), f"{name}: only a text that stands there can be looked up"
                said.add(" ".join(text.value.split()))
    return said


def said_in_scripts() -> set[str]:
    texts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return {a or b for text in texts for a, b in SAID.findall(re.sub(r"//.*", "", text))} - NO_WORDS


def said_in_python() -> set[str]:
    texts = "".join((TEMPLATES.parent / name).read_text(encoding="utf-8") for name in IN_PYTHON)
    found = set(re.findall(r'OF_PAGES\.both\(\s*"([^"]+)"', texts))
    found |= set(re.findall(r'OF_PAGES\.attribute\(\s*"alt", "([^"]+)"', texts))
    found |= set(re.findall(r'words = "([^"]+)" if .* else "[^"]+"', texts))
    found |= set(re.findall(r'words = "[^"]+" if .* else "([^"]+)"', texts))
    loss = "Train and validation loss against the step."
    return found | {loss, f"{loss} The best validation nll is {{nll}} nats per token, at step {{step}}."}


def test_every_text_of_the_templates_has_its_spanish_and_none_is_left_over():
    known = spanish(TEMPLATES / "page.es.json")
    said = said_in_templates() | said_in_python() | {tier.replace("_", " ") for tier in TIERS}
    assert said - known.keys() == set()
    assert known.keys() - said == set()


def test_every_text_of_the_scripts_has_its_spanish_and_none_is_left_over():
    assert said_in_scripts() - OF_SCRIPTS.keys() == set()
    assert OF_SCRIPTS.keys() - said_in_scripts() == set()


@pytest.mark.parametrize("file", ["page.es.json", "player.es.json"])
def test_a_text_and_its_spanish_take_the_same_values_and_markup(file):
    for english, text in spanish(TEMPLATES / file).items():
        assert text.strip()
        for pattern in (r"\{\w+\}", r"</?\w+"):
            assert sorted(re.findall(pattern, text)) == sorted(re.findall(pattern, english)), english


def test_a_value_is_escaped_in_both_languages():
    texts = Texts({"by {name}": "de {name}"})
    shown = texts.both("by {name}", name="<b>&")
    assert shown == '<span lang="en">by &lt;b&gt;&amp;</span><span lang="es">de &lt;b&gt;&amp;</span>'
    assert texts.attribute("title", "by {name}", name='"<') == 'title="by &#34;&lt;" data-es-title="de &#34;&lt;"'


def test_a_text_without_spanish_stays_english():
    assert Texts({}).both("nobody\n  wrote it") == "nobody wrote it"
    assert Texts({}).attribute("alt", "nobody") == 'alt="nobody" data-es-alt="nobody"'


TEXTS = """() => {
    const texts = new Set();
    const isSeen = (element) => element.checkVisibility();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); ) {
        const at = node.parentElement;
        const isData = at.closest('[translate="no"], span[lang]')?.matches('[translate="no"]');
        if (!isData && !at.closest("script, style, noscript, code") && isSeen(at) && /\\p{L}{2}/u.test(node.data)) {
            texts.add(node.data.trim());
        }
    }
    for (const name of ["aria-label", "title", "alt"]) {
        for (const element of document.querySelectorAll(`[${name}]`)) {
            if (!element.closest('[translate="no"]')) texts.add(element.getAttribute(name));
        }
    }
    return [...texts];
}"""
THE_SAME = {"MIDI", "WAV", "Tempo", "nll, nats", "quick", "MB", ", Chorale 000"}


def everything() -> dict[str, list]:
    metrics = [
        {"experiment": "quick", "run_id": "aaaa0000", "step": step, "split": split, "nll": 1.0}
        for step, split in ((1, "train"), (2, "validation"))
    ]
    references = [{"reference": "study-01", "experiment": "quick", "nll": 0.4411, "is_checked": False, "split": "x"}]
    return corpus() | leaking() | {
        "runs": [run()], "evaluations": [evaluation()], "metrics": metrics, "reference_results": references,
    }  # fmt: skip


def test_no_text_stays_english_when_spanish_is_chosen(open_report):
    page = open_report(*two_samples(), tables=everything(), locale="en-US")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.lang") == "en"
    english = set(page.evaluate(TEXTS))
    page.get_by_role("button", name="Español").click()
    assert page.evaluate("document.documentElement.lang") == "es"
    assert page.title() == "Informe de pianogen"
    told = set(page.evaluate(TEXTS))
    assert len(told) > 60
    names = {text for text in told if re.fullmatch(r"[0-9a-f]{8}|.*(first|second).*|(jsb|asap|bach)\b.*", text)}
    assert (told & english) - names - THE_SAME == set()
    page.get_by_role("button", name="English").click()
    assert set(page.evaluate(TEXTS)) == english


def test_an_empty_report_speaks_spanish_too(open_report):
    page = open_report(locale="es-ES")
    told = set(page.evaluate(TEXTS))
    page.get_by_role("button", name="English").click()
    assert told & set(page.evaluate(TEXTS)) - THE_SAME == set()


@pytest.mark.parametrize("locale, wanted", [("es-MX", "es"), ("en-GB", "en"), ("fr-FR", "en")])
def test_the_browser_decides_first(open_report, locale, wanted):
    page = open_report(*two_samples(), locale=locale)
    assert page.evaluate("document.documentElement.lang") == wanted
    name = {"es": "Reproducir first", "en": "Play first"}[wanted]
    assert page.get_by_role("button", name=name).count() == 1


def test_a_choice_is_kept(open_report):
    page = open_report(*two_samples(), locale="en-US")
    page.get_by_role("button", name="Español").click()
    page.reload()
    assert page.evaluate("document.documentElement.lang") == "es"
    assert page.get_by_role("button", name="Español").get_attribute("aria-pressed") == "true"


def test_controls_speak_the_language_chosen_while_they_play(open_report):
    page = open_report(*two_samples(), locale="en-US")
    page.get_by_role("button", name="Play first").click()
    wait_until(page, "document.querySelector('.player').dataset.state === 'playing'")
    page.get_by_role("button", name="Español").click()
    assert page.get_by_role("button", name="Pausar first").count() == 1
    assert " de 0:20" in page.get_by_role("slider", name="Posición en first").get_attribute("aria-valuetext")


def test_the_words_of_the_scripts_stand_in_the_page(open_report):
    page = open_report(*two_samples())
    assert json.loads(page.evaluate("document.getElementById('words').textContent")) == OF_SCRIPTS
