"""The definitions of judgements are told where people look for them."""

import pyarrow as pa
from projects import PROJECT

from pianogen.judged import GROUPS, MEASURED, SCHEMAS, TABLES, as_markdown
from pianogen.measured import COLUMNS
from pianogen.warehouse.comments import COLUMN_COMMENTS


def test_the_document_has_every_definition_as_the_code_has_it():
    assert as_markdown() in (PROJECT / "docs" / "judging.md").read_text()


def test_every_column_of_the_tables_has_a_comment_in_the_warehouse():
    for table, schema in SCHEMAS.items():
        assert list(COLUMN_COMMENTS[table]) == schema.names == [column.name for column in TABLES[table]]


def test_what_is_measured_of_the_corpus_has_its_definition_there():
    assert list(GROUPS["as of the corpus"]) == [COLUMNS[name] for name in MEASURED]


def test_numbers_of_a_judgement_may_be_unknown_and_say_their_unit():
    for columns in GROUPS.values():
        for column in columns:
            assert SCHEMAS["sample_judgements"].field(column.name).nullable
            is_number = column.type in (pa.int32(), pa.float64())
            assert not is_number or column.unit or column.name == "compression_ratio"
