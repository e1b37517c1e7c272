"""The definitions of measures are told where people look for them."""

import re

from projects import PROJECT

from pianogen.measured import COLUMNS, as_markdown

DOCUMENT = PROJECT / "docs" / "statistics.md"


def test_the_document_has_every_definition_as_the_code_has_it():
    assert as_markdown() in DOCUMENT.read_text()


def test_every_number_says_its_unit():
    plain = {"performance_id", "dataset", "key_margin"}
    unitless = {c.name for c in COLUMNS.values() if not c.unit and str(c.type) in ("int32", "double")}
    assert unitless <= plain


def test_every_question_of_the_document_has_its_query():
    named = re.findall(r"`pianogen sql (\w+)", DOCUMENT.read_text())
    queries = {path.stem for path in (PROJECT / "warehouse" / "queries").glob("*.sql")}
    assert len(named) > 10
    assert set(named) <= queries
