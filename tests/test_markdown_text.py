"""Text out of files within Markdown: a renderer shows it as it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pianogen.foreign_text import markdown_table, markdown_text, steerless

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = st.sampled_from(
    [*"_*`~[]()<>|&!\\#-+ \n\t:/@", "www.", "http://x", "<b>", "&amp;", "a_b", "![x](y)", "\x1b[31m", "\u202e"]
)
TEXTS = st.lists(st.one_of(MARKUP, st.text(max_size=3)), max_size=12).map("".join)


def leaves(token: Token) -> list[Token]:
    return [leaf for child in token.children or [] for leaf in (leaves(child) or [child])]


def cells(markdown: str) -> list[list[str]]:
    """Text of each cell of the table that the Markdown is; fails on anything but text in them."""
    rows, tokens = [], RENDERER.parse(markdown)
    assert [t.type for t in tokens if t.level == 0] == ["table_open", "table_close"]
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            found = leaves(token)
            assert {leaf.type for leaf in found} <= {"text", "text_special"}
            rows[-1].append("".join(leaf.content for leaf in found))
    return rows


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
def test_a_table_has_the_cells_that_it_was_made_of_whatever_they_hold(rows):
    shown = cells(markdown_table(["one", "two"], rows))
    # Spaces at the ends of a cell are no content.
    assert shown == [["one", "two"], *([steerless(text).strip() for text in row] for row in rows)]


@pytest.mark.parametrize("text", ["a_b_c.mid", "50:50", "Op. 10, No. 3", "C♯", "10 %"])
def test_plain_names_stay_readable_in_the_source(text):
    assert markdown_text(text) == text


@pytest.mark.parametrize(
    "text", ["http://evil.example", "https://a.b", "www.evil.example", "you@evil.example", "~~gone~~"]
)
def test_what_other_renderers_make_links_mentions_or_strokes_of_is_broken_up(text):
    assert text not in markdown_text(text)
    assert not any(part in markdown_text(text) for part in ("://", "www.", "@", "~~"))
