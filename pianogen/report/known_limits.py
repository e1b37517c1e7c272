"""What a dataset cannot tell, in words that its numbers choose."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

FEW = 100
"""Performances, below which a percentile rests on a handful."""
NOT_MEASURED = {
    "pitch_bend": "pitch bends",
    "key_pressure": "aftertouch",
    "channel_pressure": "aftertouch",
    "system_exclusive": "system exclusive messages",
}
"""Kinds of messages that change the sound, and that nothing here reads."""


def known_limits(
    overview: Row,
    *,
    medians: Mapping[str, float | None],
    means: Mapping[str, float | None],
    categories: Sequence[Row] = (),
    messages: Sequence[Row] = (),
    leaks: Sequence[Row] = (),
    num_files_published: int | None = None,
) -> list[str]:
    """Sentences on what is missing, odd, or not to be relied on; plain text without names out of files.

    Args:
        overview: the dataset's row of `dataset_overview`.
        medians: p50 of `measure_summaries`, by measure; all performances, all splits.
        means: mean of the same.
        categories: its rows of `category_distribution` of the measure time_signature, split all.
        messages: its rows of `message_kinds`.
        leaks: its rows of `split_leakage`, standing published.
        num_files_published: files that the dataset has by its publisher, where that is known.
    """
    parts = (
        _size(overview, num_files_published),
        _dynamics_and_pedal(overview),
        _time(overview, medians, categories),
        _what_is_counted(overview, means, messages),
        _twice(overview, leaks),
    )
    return [sentence for part in parts for sentence in part]


def _size(overview: Row, num_files_published: int | None) -> Iterator[str]:
    if overview["non_commercial"]:
        yield "Its licence forbids commercial use, of the music and of what is derived from it."
    if num_files_published and overview["num_files"] < num_files_published:
        yield f"A part: {overview['num_files']:,} of the {num_files_published:,} files that were published are here."
    if overview["num_rejections"]:
        share = _percent(overview["num_rejections"] / overview["num_files"])
        yield f"{overview['num_rejections']:,} of its files ({share}) could not be read as music and are left out."
    if 0 < overview["num_performances"] < FEW:
        yield f"Small: with {overview['num_performances']:,} performances the outer percentiles rest on a few of them."
    if overview["num_performances"] and not overview["num_composers"] and not overview["num_works"]:
        yield "Nothing says whose music it is: works and composers are not told apart, only music that is the same."


def _dynamics_and_pedal(overview: Row) -> Iterator[str]:
    dynamic, pedalled = overview["dynamic_share"], overview["with_pedal_share"]
    if dynamic == 0:
        yield "No dynamics: within each performance all notes have one velocity."
    elif dynamic is not None and dynamic < 0.9:
        yield f"Dynamics in part: {_percent(1 - dynamic)} of the performances have a single velocity."
    if pedalled == 0:
        yield "No sustain pedal: notes sound as long as their keys are held."
    elif pedalled is not None and pedalled < 0.9:
        yield f"Pedal in part: {_percent(1 - pedalled)} of the performances never press the sustain pedal."


def _time(overview: Row, medians: Mapping[str, float | None], categories: Sequence[Row]) -> Iterator[str]:
    on_grid = overview["on_grid_share"]
    if on_grid is not None and on_grid >= 0.9:
        yield "Score-like: onsets lie on the file's grid, so that its timing says nothing of how it is played."
    elif on_grid is not None and on_grid <= 0.1:
        yield (
            "Played freely: the file's quarters and bars are not the music's. Measures in quarters and bars, tempo and "
            "time signatures describe the file."
        )
    elif on_grid is not None:
        yield f"Mixed: {_percent(on_grid)} of the performances lie on their file's grid, as scores do; others do not."
    unsaid = sum(row["share"] for row in categories if row["measure"] == "time_signature" and row["value"] is None)
    if unsaid >= 0.05:
        yield f"{_percent(unsaid)} of the performances state no time signature; their bars are counted as 4/4."
    if medians.get("num_tempos") == 1 and on_grid is not None and on_grid > 0.1:
        yield "Half of the files or more state one tempo for the whole piece."


def _what_is_counted(overview: Row, means: Mapping[str, float | None], messages: Sequence[Row]) -> Iterator[str]:
    drums = overview["num_drum_notes"]
    if drums:
        whole = drums + (overview["num_notes"] or 0)
        yield f"{drums:,} drum notes ({_percent(drums / whole)} of all) are kept and not measured."
    beyond = means.get("beyond_two_hands_share") or 0
    if beyond >= 0.05:
        yield f"{_percent(beyond)} of the time, keys are held that two hands cannot reach: not all is for one player."
    unread: dict[str, float] = {}
    for row in messages:
        if (name := NOT_MEASURED.get(row["kind"])) and row["performance_share"] >= 0.01:
            unread[name] = max(unread.get(name, 0), row["performance_share"])
    for name, share in sorted(unread.items()):
        yield f"{_percent(share)} of the MIDI files hold {name}, which are not measured."


def _twice(overview: Row, leaks: Sequence[Row]) -> Iterator[str]:
    num, copies = overview["num_performances"], overview["num_copies"] or 0
    if num and copies / num >= 0.01:
        yield f"{copies:,} performances ({_percent(copies / num)}) are copies of others in it."
    repeated = num - copies - (overview["num_first"] if overview["num_first"] is not None else num - copies)
    if num and repeated / num >= 0.01:
        yield f"{repeated:,} more ({_percent(repeated / num)}) are other renditions or parts of music that it has."
    for row in leaks:
        if row["num_leaking"]:
            yield (
                f"Its published split leaks: {row['num_leaking']:,} of {row['num_held_out']:,} performances of "
                f"{row['split']} have the same music in {row['other_split']}."
            )


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 or 0.9 < share < 1 else f"{100 * share:.0f} %"
