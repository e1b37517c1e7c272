"""What the page of the tokenizers asks of the warehouse, and what stands beside each table and plot as its SQL.

Numbers are rounded here and nowhere else, so that the page shows what a query returns. Shares are cut off, not rounded:
1.000 means that everything came back.
"""


def _cut(column: str) -> str:
    return f'floor(1000 * "{column}") / 1000 as {column}'


def _f1(function: str) -> str:
    return f"floor(1000 * {function}(f1)) / 1000"


F1 = f"""\
select tokenizer, dataset, {_cut("f1")}
from tokenizer_round_trips
where split = 'all'
order by tokenizer, dataset"""

PRICE = f"""\
select tokenizer,
    {_f1("avg")} as f1, {_f1("min")} as f1_least, {_f1("max")} as f1_most,
    round(avg(tokens_per_note), 2) as tokens_per_note,
    round(min(tokens_per_note), 2) as tokens_per_note_least,
    round(max(tokens_per_note), 2) as tokens_per_note_most
from tokenizer_round_trips
where split = 'all'
group by tokenizer
order by f1 desc, tokens_per_note, tokenizer"""

ERRORS = """\
select tokenizer, dataset,
    round(onset_error_ms, 1) as onset_error_ms, round(duration_error_ms, 1) as duration_error_ms,
    round(velocity_error, 1) as velocity_error
from tokenizer_round_trips
where split = 'all'
order by tokenizer, dataset"""

UNKNOWN = """\
select tokenizer, dataset, num_tokens, round(100 * unknown_token_rate, 3) as unknown_percent
from tokenizer_round_trips
where split = 'test' and unknown_token_rate > 0
order by tokenizer, dataset"""

EVERYTHING = f"""\
select tokenizer, dataset, num_performances, num_notes,
    {_cut("precision")}, {_cut("recall")}, {_cut("f1")}, {_cut("pitch_f1")},
    round(onset_error_ms, 1) as onset_error_ms, round(onset_shift_ms, 1) as onset_shift_ms,
    round(duration_error_ms, 1) as duration_error_ms, round(velocity_error, 1) as velocity_error,
    round(tokens_per_note, 2) as tokens_per_note, num_unencodable
from tokenizer_round_trips
where split = 'all'
order by dataset, f1 desc, tokens_per_note, tokenizer"""

QUERIES = {"f1": F1, "price": PRICE, "errors": ERRORS, "unknown": UNKNOWN, "everything": EVERYTHING}
"""By the section of the page."""
