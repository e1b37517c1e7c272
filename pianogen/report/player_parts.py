"""Which files of ours make the player, in the order in which a page needs them."""

from collections.abc import Sequence

from markupsafe import Markup

from pianogen.report.rendering import own

STYLES = ("page.css", "player.css")
FIRST_SCRIPT = "words.js"
"""Stands in the head: a page knows its language before it is drawn."""
PLAYER = ("elements.js", "synth.js", "sequencer.js", "music.js", "roll.js", "wav.js", "controls.js", "player.js")
PAGE = (*PLAYER, "compare.js", "players.js")
"""Makes players of what stands in a page, which can be compared."""


def style() -> Markup:
    """The style of a page with players."""
    return Markup("\n").join(own(name) for name in STYLES)


def first_script() -> Markup:
    """The script of the head."""
    return own(FIRST_SCRIPT)


def scripts(names: Sequence[str] = PAGE) -> list[Markup]:
    """Scripts of the end of the page."""
    return [own(name) for name in names]
