"""What the pages of the data ask of the warehouse, and what stands beside each plot and table as its SQL.

The warehouse is asked once for all datasets and measures. The query beside a plot is the same but for its `where`, so
that it returns what the plot shows and nothing else; it runs as it is with `pianogen sql`. Every query has an order, so
that the same rows give the same page. Numbers are rounded here and nowhere else: what a page holds is what its query
returns.
"""

from collections.abc import Sequence

from pianogen.statistics.bins import HISTOGRAMS
from pianogen.views import quoted

WORKS = 15
"""Works of a dataset that are listed, those with most performances."""
OUTLIERS = 5
"""Outliers of each dataset in the list of all."""
LISTEN = 6
"""Outliers of a dataset that can be listened to."""
LISTEN_SEC = 30
LISTEN_NOTES = 2000
"""Notes of each; a file of more in this time is not music for a page."""
DRIFTS = 200
QUANTILES = ("duration_sec", "notes_per_sec", "grid_distance", "sustain_share", "soft_share")
"""Measures of performances whose spread is drawn."""
CATEGORIES = ("key", "time_signature", "is_on_grid")

_DISTANCE = """\
    round(jensen_shannon_bits, 4) as jensen_shannon_bits, round(wasserstein, 4) as wasserstein, wasserstein_unit"""
_DRAWN = "split <> 'none'"
_SPLITS = "split in ('train', 'validation', 'test')"


def all_queries() -> dict[str, str]:
    """What is asked for all pages, by name; `notes` comes after them."""
    return {
        "overview": overview(),
        "amounts": amounts(),
        "shares": shares(),
        "quantiles": quantiles(),
        "parts": parts(),
        "split_distances": split_distances(),
        "dedupe_distances": DEDUPE_DISTANCES,
        "mean_distances": MEAN_DISTANCES,
        "distances": DISTANCES,
        "drift": DRIFT,
        "odd": odd(OUTLIERS),
        "listen": odd(LISTEN),
        "outliers": outliers(),
        "measures": measures(),
        "messages": messages(),
        "works": works(),
        "rejections": rejections(),
    }


def comparison_queries() -> dict[str, str]:
    """Queries beside the plots and tables of the page of all datasets, by the name that these have for it."""
    return {
        "overview": overview(),
        "amounts": amounts(),
        **{f"shares {measure}": shares(measure=measure) for measure in HISTOGRAMS},
        "shares": shares(splits=_SPLITS),
        **{f"quantiles {measure}": quantiles(measure=measure) for measure in QUANTILES},
        **{f"parts {measure}": parts(measure=measure) for measure in CATEGORIES},
        "split_distances": split_distances(),
        "dedupe_distances": DEDUPE_DISTANCES,
        "mean_distances": MEAN_DISTANCES,
        "distances": DISTANCES,
        "drift": DRIFT,
        "odd": odd(OUTLIERS),
    }


def dataset_queries(dataset: str, listened: Sequence[str]) -> dict[str, str]:
    """Queries beside the plots and tables of the page of one dataset.

    Args:
        dataset: its name.
        listened: performances that can be listened to.
    """
    return {
        "overview": overview(dataset),
        "amounts": amounts(dataset),
        **{f"shares {measure}": shares(dataset, measure) for measure in HISTOGRAMS},
        **{f"parts {measure}": parts(dataset, measure) for measure in CATEGORIES},
        "split_distances": split_distances(dataset),
        "outliers": outliers(dataset),
        "measures": measures(dataset),
        "messages": messages(dataset),
        "works": works(dataset),
        "rejections": rejections(dataset),
        "listen": odd(LISTEN, dataset),
        "notes": notes(listened),
    }


def overview(dataset: str | None = None) -> str:
    """What each dataset is."""
    return f"""\
select *
from dataset_overview
{_where(dataset=dataset)}order by dataset"""


def amounts(dataset: str | None = None) -> str:
    """How much music each dataset and split holds."""
    return f"""\
select dataset, split, counted,
    max(num_performances) as num_performances,
    round(sum(total) filter (where measure = 'duration_sec') / 3600, 3) as duration_hours,
    (sum(total) filter (where measure = 'num_notes'))::bigint as num_notes
from measure_summaries
{_where("measure in ('num_notes', 'duration_sec')", _DRAWN, dataset=dataset)}group by dataset, split, counted
order by dataset, split, counted"""


def shares(dataset: str | None = None, measure: str | None = None, splits: str = _DRAWN) -> str:
    """Distributions."""
    return f"""\
select dataset, measure, split, counted, bin, low, high, round(100 * share, 3) as percent
from distributions
{_where(splits, dataset=dataset, measure=measure)}order by dataset, measure, split, counted, bin"""


def quantiles(measure: str | None = None) -> str:
    """Spread of measures over performances."""
    chosen = f"measure in ({', '.join(map(quoted, QUANTILES))})" if measure is None else f"measure = {quoted(measure)}"
    return f"""\
select dataset, measure, split, counted, num_performances,
    {", ".join(f"round({percentile}, 4) as {percentile}" for percentile in ("p05", "p25", "p50", "p75", "p95"))}
from measure_summaries
{_where(chosen, _DRAWN)}order by dataset, measure, split, counted"""


def parts(dataset: str | None = None, measure: str | None = None) -> str:
    """Shares of keys, time signatures, and what lies on the grid."""
    return f"""\
select dataset, measure, split, value, num_performances, round(100 * share, 2) as percent
from category_distribution
{_where(_DRAWN, dataset=dataset, measure=measure)}order by dataset, measure, split, value"""


def split_distances(dataset: str | None = None) -> str:
    """How far apart the splits of a dataset are."""
    pairs = "(split_a, split_b) in (('train', 'test'), ('train', 'validation'), ('validation', 'test'))"
    return f"""\
select dataset, split_a, split_b, counted, measure,
{_DISTANCE}
from split_distances
{_where(pairs, dataset=dataset)}order by dataset, split_a, split_b, counted, measure"""


DEDUPE_DISTANCES = f"""\
select dataset, split, counted, measure,
{_DISTANCE}
from dedupe_distances
where {_DRAWN}
order by dataset, split, counted, measure"""

MEAN_DISTANCES = """\
select dataset_a, dataset_b, counted, round(avg(jensen_shannon_bits), 4) as jensen_shannon_bits
from dataset_distances
where dataset_a < dataset_b
group by dataset_a, dataset_b, counted
order by dataset_a, dataset_b, counted"""

DISTANCES = f"""\
select dataset_a, dataset_b, counted, measure,
{_DISTANCE}
from dataset_distances
where dataset_a < dataset_b
order by dataset_a, dataset_b, counted, measure"""

DRIFT = f"""\
select dataset, measure, version_before, version, num_performances_before, num_performances,
    mean_before, mean, std_before, shift
from statistics_drift
where is_drift
order by abs(shift) desc nulls first, dataset, measure
limit {DRIFTS}"""


def outliers(dataset: str | None = None) -> str:
    """Performances unlike the others of their dataset."""
    return f"""\
select dataset, rank, path, title, composer, measure, amount, deviation, dataset_p05, dataset_p50, dataset_p95
from outliers
{_where(dataset=dataset)}order by dataset, rank"""


def odd(most: int, dataset: str | None = None) -> str:
    """Some outliers of each dataset: no music twice, and one of each way to be odd before a second of any."""
    where = "" if dataset is None else f"    where outliers.dataset = {quoted(dataset)}\n"
    return f"""\
with of_one_music as (
    select outliers.*
    from outliers
    left join clusters using (performance_id)
{where}    qualify 1 = row_number() over (
        partition by outliers.dataset, coalesce(cluster_id, performance_id) order by rank
    )
),

different as (
    select *, row_number() over (partition by dataset, measure order by rank) as turn
    from of_one_music
)

select dataset, rank, path, title, composer, measure, amount, deviation, dataset_p05, dataset_p50, dataset_p95,
    performance_id
from different
qualify row_number() over (partition by dataset order by turn, rank) <= {most}
order by dataset, turn, rank"""


def notes(performance_ids: Sequence[str]) -> str:
    """The beginnings of some performances: half a minute from the first note on; notes as long as they sound."""
    listed = ", ".join(map(quoted, performance_ids))
    return f"""\
with first as (
    select performance_id, min(onset_sec) as first_sec
    from notes
    where not is_drum and performance_id in ({listed})
    group by performance_id
)

select performance_id, pitch, velocity,
    round(first_sec, 3) as first_sec,
    round(onset_sec - first_sec, 3) as onset_sec,
    round(least(offset_sec + held_sec - first_sec, {LISTEN_SEC}) - (onset_sec - first_sec), 3) as sounding_sec
from notes
inner join first using (performance_id)
where not is_drum and onset_sec < first_sec + {LISTEN_SEC}
qualify {LISTEN_NOTES} >= row_number() over (
    partition by performance_id order by notes.onset_sec, pitch, track, offset_sec
)
order by performance_id, onset_sec, pitch, velocity, sounding_sec"""


def measures(dataset: str | None = None) -> str:
    """Every measure over the performances of a dataset."""
    return f"""\
select dataset, measure, num_performances, mean, std, min, p05, p25, p50, p75, p95, max
from measure_summaries
{_where("split = 'all'", "counted = 'all'", dataset=dataset)}order by dataset, measure"""


def messages(dataset: str | None = None) -> str:
    """Kinds of MIDI messages."""
    return f"""\
select dataset, kind, num_messages, num_performances, message_share, performance_share
from message_kinds
{_where(dataset=dataset)}order by dataset, num_messages desc, kind"""


def works(dataset: str | None = None) -> str:
    """Works with most performances."""
    return f"""\
select dataset, work, composer, num_performances, num_notes, duration_hours, key
from work_statistics
{_where(dataset=dataset)}qualify {WORKS} >= row_number() over (
    partition by dataset order by num_performances desc, duration_hours desc, work
)
order by dataset, num_performances desc, duration_hours desc, work"""


def rejections(dataset: str | None = None) -> str:
    """Why files are no performances."""
    return f"""\
select dataset, stage, reason, num_files
from rejections_by_reason
{_where(dataset=dataset)}order by dataset, num_files desc, stage, reason"""


def _where(*conditions: str, **equal: str | None) -> str:
    """A line, or nothing: columns that equal a text, and other conditions."""
    named = [f"{column} = {quoted(text)}" for column, text in equal.items() if text is not None]
    return f"where {' and '.join([*named, *conditions])}\n" if named or conditions else ""
