"""What the sections of a data card say, from the rows that were asked for it; Markdown."""

from collections.abc import Callable, Sequence
from typing import Any

from pianogen.catalogue import Dataset
from pianogen.foreign_text import markdown_table, markdown_text
from pianogen.inventory import value_text
from pianogen.measured import COLUMNS
from pianogen.report.known_limits import known_limits
from pianogen.report.rendering import count, fixed, rounded

Row = dict[str, Any]

MEASURES = (
    "duration_sec", "num_notes", "notes_per_sec", "pitch_min", "pitch_mean", "pitch_max", "velocity_mean",
    "velocity_std", "num_velocities", "note_duration_sec_median", "sounding_note_duration_sec_median",
    "polyphony_mean", "sounding_polyphony_mean", "silence_share", "beyond_two_hands_share", "sustain_share",
    "soft_share", "sostenuto_share", "tempo_qpm_mean", "num_tempos", "grid_distance", "key_correlation",
    "scale_consistency", "repeated_bar_share",
)  # fmt: skip
"""Told of each dataset; `measure_summaries` has the others."""
LONGEST = 90
"""Characters of a name out of a file."""
OF_DOWNLOADS = ("_bytes", "_md5", "_sha256", "_url")
"""Ends of the names of facts that a card leaves out."""
DIGITS = 12
"""Of a version."""


def what_it_is(overview: Row, dataset: Dataset | None) -> str:
    """Title, size, terms, and what is done with it here."""
    title = markdown_text(cut(dataset.title)) if dataset else overview["dataset"]
    lines = [["name", overview["dataset"]]]
    if dataset and dataset.homepage:
        lines.append(["homepage", dataset.homepage])
    lines.append(["licence", licence(overview) + _unchecked(dataset, "licence")])
    lines.append(["commercial use", "forbidden" if overview["non_commercial"] else "not forbidden by the licence"])
    if dataset:
        policy = {"auto": "drawn by groups of the same music; published ones stay"}
        lines.append(["split", policy.get(dataset.split, f"all of it is {dataset.split}")])
        if dataset.parts == "piano":
            lines.append(["read", "piano parts only: programs 0-7, no drums"])
    table = "\n".join(["| | |", "|---|---|", *(f"| {a} | {_linked(a, b)} |" for a, b in lines)])
    music = [f"{count(overview['num_performances'])} performances"]
    if overview["num_notes"]:
        music += [f"{fixed(overview['duration_hours'], 1)} hours", f"{count(overview['num_notes'])} notes"]
    return f"# {title}\n\n{', '.join(music)}.\n\n{table}"


def _linked(key: str, value: str) -> str:
    return f"<{value}>" if key == "homepage" else markdown_text(cut(value, 300))


def limits(overview: Row, rows: dict[str, list[Row]], dataset: Dataset | None) -> str:
    """What it cannot tell, as a list."""
    # A composer may stand in the files alone.
    named = {"num_composers": overview["num_composers"] or len(rows["composers"])}
    sentences = known_limits(
        overview | named,
        medians={row["measure"]: row["p50"] for row in rows["measures"]},
        means={row["measure"]: row["mean"] for row in rows["measures"]},
        categories=rows["categories"],
        messages=rows["messages"],
        leaks=[row for row in rows["leaks"] if row["standing"] == "published"],
        num_files_published=dataset.num_files if dataset else None,
    )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _files(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    counts = [
        ("files", overview["num_files"]),
        ("performances", overview["num_performances"]),
        ("rejected files", overview["num_rejections"]),
        ("notes", overview["num_notes"]),
        ("drum notes, not measured", overview["num_drum_notes"]),
        ("composers that its metadata name", overview["num_composers"]),
        ("works that its metadata name", overview["num_works"]),
    ]
    return [
        markdown_table(["", "number"], [(what, count(n)) for what, n in counts]),
        _table("Rejected files by reason.", ["stage", "reason", "files"], rows["rejections"]),
        _table("What the reader mended, by performances.", ["warning", "performances"], rows["warnings"]),
        _table(
            "Composers of most performances, by its metadata or its files.",
            ["composer", "performances", "hours"],
            rows["composers"],
        ),
    ]


def _splits(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    drawn = {"none": "left out", None: "not drawn yet"}
    moved = [{**row, "split": drawn.get(row["split"], row["split"])} for row in rows["agreement"]]
    leaks = [
        {"standing": "as published" if row["standing"] == "published" else "here", **_without(row, "standing")}
        for row in rows["leaks"]
    ]
    return [
        _table("As it is trained and tested on here.", ["split", "performances", "notes", "hours"], rows["splits"]),
        _table(
            "As published, and where that music stands here.", ["published", "here", "performances", "hours"], moved
        ),
        _table(
            "The same music in two splits, as published and as it stands here.",
            ["split", "of", "and", "performances of the first", "with music in the second", "pairs"],
            leaks,
        ),
    ]


def _measures(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    found = {row["measure"]: row for row in rows["measures"]}
    lines = [
        [name, COLUMNS[name].unit, *(number(found[name][q]) for q in ("p05", "p50", "p95"))]
        for name in MEASURES
        if name in found
    ]
    shares = [
        ("performances with more than one velocity", overview["dynamic_share"]),
        ("performances that press the sustain pedal", overview["with_pedal_share"]),
        ("performances on their file's grid, as scores are", overview["on_grid_share"]),
    ]
    told = [
        f"Over performances: a twentieth lies below the first number, half below the second, a twentieth above the "
        f"third. What each measure is: [statistics](../statistics.md). Pitches {overview['pitch_min']} to "
        f"{overview['pitch_max']}.",
        markdown_table(["measure", "unit", "5 %", "median", "95 %"], lines),
        markdown_table(["", "share"], [(what, _share(share)) for what, share in shares]),
    ]
    for measure, title in (
        ("key", "Keys, as estimated"),
        ("time_signature", "Time signatures, as the files state them"),
    ):
        named = [
            f"{markdown_text(row['value'] or 'none')} {_share(row['share'])}"
            for row in rows["categories"]
            if row["measure"] == measure
        ]
        told.append(f"{title}: {', '.join(named)}." if named else "")
    return told if lines else []


def _twice(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    removed = [row for row in rows["twice"] if row["num_removed"]]
    within = [
        ("performances", overview["num_performances"]),
        ("without copies of one another", overview["num_performances"] - (overview["num_copies"] or 0)),
        ("when all renditions of the same music count once", overview["num_first"]),
    ]
    return [
        markdown_table(["within the dataset", "number"], [(what, count(n)) for what, n in within]),
        _table(
            "Performances that another one, of this dataset or an earlier one, makes superfluous.",
            ["relation", "performances", "so far"],
            removed,
        ),
        _table(
            "Music that it shares with other datasets.",
            ["dataset", "relation", "performances", "pairs"],
            rows["sharing"],
        ),
    ]


def _distances(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    said = "Jensen-Shannon divergence, bits: 0 the same, 1 nothing in common; the mean over all histograms."
    return [_table(said, ["dataset", "bits", "differs most in", "bits there"], rows["distances"])]


def _outliers(overview: Row, rows: dict[str, list[Row]]) -> list[str]:
    lines = [
        {
            "path": row["path"],
            "title": row["title"],
            "measure": row["measure"],
            "amount": row["amount"],
            "usual": f"{number(row['dataset_p05'])} – {number(row['dataset_p95'])}",
            "deviation": row["deviation"],
        }
        for row in rows["outliers"]
    ]
    said = "Unlike the others, and worth listening to: a fault of the data, or an odd piece."
    return [_table(said, ["file", "title", "measure", "value", "5 % – 95 %", "deviations"], lines)]


Tell = Callable[[Row, dict[str, list[Row]]], list[str]]
SECTIONS: tuple[tuple[str, Tell, tuple[str, ...]], ...] = (
    ("Files and music", _files, ("overview", "rejections", "warnings", "composers")),
    ("Splits", _splits, ("splits", "agreement", "leaks")),
    ("What the music is like", _measures, ("measures", "categories")),
    ("The same music again", _twice, ("overview", "twice", "sharing")),
    ("Other datasets", _distances, ("distances",)),
    ("Outliers", _outliers, ("outliers",)),
)


def facts(dataset: Dataset | None) -> str:
    """What the catalogue says that is not measured here."""
    if not dataset or not dataset.facts:
        return ""
    lines = [
        [fact.name.replace("_", " "), value_text(fact.value), fact.source, "" if fact.verified else "not verified"]
        for fact in dataset.facts
        if not fact.name.endswith(OF_DOWNLOADS)
    ]
    said = "From the catalogue, which has sizes and checksums too (`pianogen/datasets.yaml`); not measured here."
    table = markdown_table(["", "value", "source", ""], [[cut(cell, 400) for cell in line] for line in lines])
    return f"{said}\n\n{table}"


def versions(rows: dict[str, list[Row]]) -> str:
    """Of the files, and of the splits that they stand in."""
    found = [["files and their bytes", row["dataset_version"]] for row in rows["dataset_version"]]
    found += [[row["stage"], row["version"]] for row in rows["versions"]]
    return markdown_table(["", "version"], [[what, version[:DIGITS]] for what, version in found])


# Values


def _table(said: str, header: Sequence[str], rows: Sequence[Row]) -> str:
    """A sentence and the rows under it; nothing without rows."""
    if not rows:
        return ""
    return f"{said}\n\n{markdown_table(header, [[_cell(value) for value in row.values()] for row in rows])}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return count(value) if isinstance(value, int) or value is None else cut(str(value))


def number(value: float | None) -> str:
    """About three digits that mean something."""
    text = rounded(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def cut(text: str, longest: int = LONGEST) -> str:
    """The beginning of a long text."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def licence(overview: Row) -> str:
    """As its ingest recorded it."""
    return overview["licence"] or "not stated"


def _unchecked(dataset: Dataset | None, fact: str) -> str:
    facts = {found.name: found for found in dataset.facts} if dataset else {}
    return " (not verified)" if fact in facts and not facts[fact].verified else ""


def _without(row: Row, *names: str) -> Row:
    return {key: value for key, value in row.items() if key not in names}
