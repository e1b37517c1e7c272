"""What others report: the study's table and published results, as a table of the warehouse.

reference_results.csv is data, a row for each figure with its source. They are losses per token of each one's own
tokenizer on each one's own split, so the warehouse shows them and ranks none of them.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv

REFERENCE_RESULTS = pa.schema(
    [
        ("reference", pa.string()),
        ("reported_by", pa.string()),
        ("source", pa.string()),
        ("is_checked", pa.bool_()),
        ("model", pa.string()),
        ("tokenizer", pa.string()),
        ("datasets", pa.string()),
        ("split", pa.string()),
        ("context_length", pa.int64()),
        ("n_head", pa.int64()),
        ("n_embd", pa.int64()),
        ("n_layer", pa.int64()),
        ("million_parameters", pa.float64()),
        ("train_sec", pa.float64()),
        ("memory_mb", pa.float64()),
        ("perplexity", pa.float64()),
        ("nll", pa.float64()),
        ("nll_per", pa.string()),
        ("experiment", pa.string()),
        ("note", pa.string()),
    ]
)
"""One row per reported result; null where nothing is reported."""

_FILE = Path(__file__).with_name("reference_results.csv")


def read_reference_results() -> pa.Table:
    """Every reported result, with the schema REFERENCE_RESULTS, in the order of the file."""
    return pyarrow.csv.read_csv(
        _FILE,
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=REFERENCE_RESULTS, include_columns=REFERENCE_RESULTS.names, strings_can_be_null=True
        ),
    )
