"""The tables of one block of the ingest to the statistics of its performances, which `pianogen.measured` defines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen.measured import HISTOGRAMS as HISTOGRAM_SCHEMA
from pianogen.measured import SCHEMA
from pianogen.owners import Owners
from pianogen.statistics import beats, counted_notes, polyphony, repetition, tonality
from pianogen.statistics.bins import HISTOGRAMS, MOST

READS = {
    "performances": [
        "performance_id", "dataset", "ticks_per_quarter", "num_notes", "num_drum_notes", "duration_sec",
        "duration_quarters",
    ],
    "notes": [
        "performance_id", "track", "program", "is_drum", "pitch", "velocity", "onset_tick", "duration_tick",
        "onset_sec", "offset_sec", "held_sec",
    ],
    "controls": ["performance_id", "tick"],
    "pedal_presses": ["performance_id", "pedal", "press_sec", "lift_sec"],
    "tempos": ["performance_id", "time_sec", "tempo_qpm"],
    "time_signatures": ["performance_id", "tick", "numerator", "denominator"],
    "key_signatures": ["performance_id", "tick", "sharps", "mode"],
}  # fmt: skip
"""Tables and columns of an ingest that are measured."""

PEDALS = ("sustain", "sostenuto", "soft")
ON_GRID = 0.5
Tables = Mapping[str, pa.Table]
Columns = dict[str, Any]


def measure(tables: Tables) -> dict[str, pa.Table]:
    """`performance_statistics` and `histograms` of the performances of one block.

    Args:
        tables: those of READS with the columns named there; `notes` in the lake's order.

    Returns:
        Both tables, rows in the order of `performances`.
    """
    performances = tables["performances"]
    rows = {name: performances[name].to_numpy() for name in performances.column_names[2:]}
    owner = Owners(performances["performance_id"])
    num_notes = rows["num_notes"].astype(np.int64) + rows["num_drum_notes"]
    every = {name: _readable(tables["notes"][name]) for name in tables["notes"].column_names[1:]}
    every_edges = np.append(0, np.cumsum(num_notes))
    assert every_edges[-1] == tables["notes"].num_rows
    quarter = rows["ticks_per_quarter"].astype(np.int64)
    end_tick = beats.last_ticks(every_edges, every["onset_tick"], every["duration_tick"])
    metre = _signatures(owner, tables["time_signatures"], end_tick, ("numerator", "denominator"))
    bar = _bar_ticks(metre["value"], quarter)
    # MusPy's songs last to the last control change, where that comes after the notes.
    control_tick = _readable(tables["controls"]["tick"])
    last_control = beats.last_ticks(owner.edges(tables["controls"]), control_tick, np.zeros_like(control_tick))
    last_tick = np.maximum(end_tick, last_control)
    metric = beats.beats_and_bars(every_edges, every["onset_tick"], every["duration_tick"], last_tick, quarter, bar)

    notes = counted_notes.without_drums(every_edges, every.pop("is_drum"), *every.values())
    counts, sums, class_sec = counted_notes.count_notes(notes, quarter)
    total: Columns = dict(zip(counted_notes.SUMS, sums.T, strict=True))
    counted = _split(counts)
    counted["pitch_class"] = _classes(counted["pitch"])
    held_sec, held_ticks, hands = polyphony.pitches_together(
        np.ones(owner.num, bool), notes.edges, notes.pitch, notes.onset_tick, notes.offset_tick, notes.onset_sec,
        notes.offset_sec, True,
    )  # fmt: skip
    begin, end = notes.onset_sec, notes.sounding_offset_sec
    sounding_sec, _, _ = polyphony.pitches_together(
        notes.has_pedal, notes.edges, notes.pitch, begin, end, begin, end, False
    )
    sounding_sec[~notes.has_pedal] = held_sec[~notes.has_pedal]
    again = repetition.repetitions(notes.edges, notes.pitch, notes.part, notes.onset_tick, quarter, bar)
    # What no key or string fills up to the end is silence.
    sounding_duration_sec = np.maximum(rows["duration_sec"], total["sounding_end_sec"])
    for seconds, duration in ((held_sec, rows["duration_sec"]), (sounding_sec, sounding_duration_sec)):
        seconds[:, 0] = np.maximum(0, duration - seconds[:, 1:].sum(axis=1))
    tempo_sec, tempos = _tempos(owner, tables["tempos"], rows["duration_sec"])
    counted |= {"polyphony": _most(held_sec), "sounding_polyphony": _most(sounding_sec), "tempo_qpm": tempo_sec}

    measured: Columns = {
        **_length(rows, counted, sounding_duration_sec),
        **_pitch(counted, total),
        **_key(class_sec),
        **_velocity(counted),
        **_durations(counted, total, quarter),
        **_polyphony(held_sec, held_ticks, sounding_sec),
        **_hands(held_sec, dict(zip(polyphony.HANDS, hands.T, strict=True))),
        **_pedals(owner, tables["pedal_presses"], rows["duration_sec"]),
        **tempos,
        "tempo_qpm_mean": _ratio(60 * rows["duration_quarters"], rows["duration_sec"]),
        **_named_signatures(owner, tables["key_signatures"], end_tick, metre),
        **_grid(counted, total),
        **_repetition(counted, again),
        **_literature(counted, held_ticks, last_tick, metric, bar),
    }
    columns = [owner.ids, performances["dataset"], *(measured[name] for name in SCHEMA.names[2:])]
    arrays = [_array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return {
        "performance_statistics": pa.Table.from_arrays(arrays, schema=SCHEMA),
        "histograms": _histogram_table(owner.ids, counted),
    }


# Numbers for the compiled passes


def _readable(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers of one kind for the compiled passes, whether they had to be copied or not: to be read alone."""
    values = column.to_numpy()
    values.flags.writeable = False
    return values


# Groups of columns, as in `pianogen.measured`


def _length(rows: Columns, counted: Columns, sounding_duration_sec: np.ndarray) -> Columns:
    num_notes = counted["pitch"].sum(axis=1)
    return {
        "num_notes": num_notes,
        "num_drum_notes": rows["num_drum_notes"],
        "duration_sec": rows["duration_sec"],
        "duration_quarters": rows["duration_quarters"],
        "sounding_duration_sec": sounding_duration_sec,
        "notes_per_sec": _ratio(num_notes, rows["duration_sec"]),
        "notes_per_quarter": _ratio(num_notes, rows["duration_quarters"]),
    }


def _pitch(counted: Columns, total: Columns) -> Columns:
    low, high = _extremes(counted["pitch"])
    mean, spread = _moments(counted["pitch"])
    return {
        "pitch_min": low,
        "pitch_max": high,
        "pitch_range": high - low,
        "pitch_mean": mean,
        "pitch_std": spread,
        "melodic_interval_mean": _ratio(total["interval_size"], total["num_intervals"]),
        "melodic_step_share": _ratio(total["num_interval_steps"], total["num_intervals"]),
        "melodic_leap_share": _ratio(total["num_interval_leaps"], total["num_intervals"]),
    }


def _key(class_sec: np.ndarray) -> Columns:
    # Rounded, so that keys that fit alike but for the last bits do: of those the first counts.
    correlations = np.round(tonality.key_correlations(class_sec), 12)
    is_known = ~np.isnan(correlations[:, 0])
    fits = np.where(np.isnan(correlations), -1, correlations)
    ranked = np.sort(fits, axis=1)
    best = np.argmax(fits, axis=1)
    modes = [tonality.MODES[k // 12] if known else None for k, known in zip(best, is_known, strict=True)]
    return {
        "key_tonic": np.where(is_known, best % 12, np.nan),
        "key_mode": modes,
        "key": [None if mode is None else tonality.key_name(k % 12, mode) for k, mode in zip(best, modes, strict=True)],
        "key_correlation": np.where(is_known, ranked[:, -1], np.nan),
        "key_margin": np.where(is_known, ranked[:, -1] - ranked[:, -2], np.nan),
    }


def _velocity(counted: Columns) -> Columns:
    low, high = _extremes(counted["velocity"])
    mean, spread = _moments(counted["velocity"])
    return {
        "velocity_min": low,
        "velocity_max": high,
        "velocity_mean": mean,
        "velocity_std": spread,
        "num_velocities": (counted["velocity"] > 0).sum(axis=1),
    }


def _durations(counted: Columns, total: Columns, quarter: np.ndarray) -> Columns:
    num_notes = counted["pitch"].sum(axis=1)
    return {
        "note_duration_sec_mean": _ratio(total["duration_sec"], num_notes),
        "note_duration_sec_median": _where(num_notes, total["duration_sec_median"]),
        "note_duration_sec_std": np.sqrt(_ratio(total["duration_sec_squares"], num_notes)),
        "note_duration_quarters_mean": _ratio(total["duration_ticks"], num_notes * quarter),
        "note_duration_quarters_median": _where(num_notes, total["duration_ticks_median"] / quarter),
        "sounding_note_duration_sec_mean": _ratio(total["sounding_duration_sec"], num_notes),
        "sounding_note_duration_sec_median": _where(num_notes, total["sounding_duration_sec_median"]),
        "ioi_sec_mean": _ratio(total["ioi_sec"], total["num_iois"]),
        "ioi_sec_median": _where(total["num_iois"], total["ioi_sec_median"]),
    }


def _polyphony(held_sec: np.ndarray, held_ticks: np.ndarray, sounding_sec: np.ndarray) -> Columns:
    """From the time with each number of pitches."""
    return {
        "polyphony_mean": _mean_number(held_sec),
        "polyphony_max": _greatest_number(held_ticks),
        "silence_share": _ratio(held_sec[:, 0], held_sec.sum(axis=1)),
        "sounding_polyphony_mean": _mean_number(sounding_sec),
        "sounding_polyphony_max": _greatest_number(sounding_sec),
        "sounding_silence_share": _ratio(sounding_sec[:, 0], sounding_sec.sum(axis=1)),
    }


def _hands(held_sec: np.ndarray, hands: Columns) -> Columns:
    with_two = held_sec[:, 2:].sum(axis=1)
    return {
        "spread_mean": _ratio(hands["spread_sec"], with_two),
        "spread_max": hands["spread_max"],
        "hands_distance_mean": _ratio(hands["hands_sec"], with_two),
        "beyond_two_hands_share": _ratio(hands["beyond_sec"], held_sec[:, 1:].sum(axis=1)),
    }


def _mean_number(time: np.ndarray) -> np.ndarray:
    """Mean number of pitches, over the time in which there is one."""
    return _ratio((time * np.arange(time.shape[1])).sum(axis=1), time[:, 1:].sum(axis=1))


def _greatest_number(time: np.ndarray) -> np.ndarray:
    return np.where(time > 0, np.arange(time.shape[1]), 0).max(axis=1)


def _most(seconds: np.ndarray) -> np.ndarray:
    """The histogram, whose last bin has what is more."""
    return np.concatenate([seconds[:, :MOST], seconds[:, MOST:].sum(axis=1, keepdims=True)], axis=1)


def _pedals(owner: Owners, presses: pa.Table, end_sec: np.ndarray) -> Columns:
    measured: Columns = {}
    owners = owner.of(presses)
    down, up = presses["press_sec"].to_numpy(), presses["lift_sec"].to_numpy()
    kinds = presses["pedal"].combine_chunks().dictionary_encode()
    number = kinds.indices.to_numpy()
    place = {name: k for k, name in enumerate(kinds.dictionary.to_pylist())}
    for pedal in PEDALS:
        chosen = np.flatnonzero(number == place.get(pedal, -1))
        order = chosen[np.lexsort((up[chosen], down[chosen], owners[chosen]))]
        whose, begin, end = owners[order], down[order], up[order]
        num = np.bincount(whose, minlength=owner.num)
        measured[f"num_{pedal}_presses"] = num
        measured[f"{pedal}_share"] = _ratio(beats.pressed_sec(whose, begin, end, end_sec), end_sec)
        if pedal == "sustain":
            length = np.bincount(whose, weights=end - begin, minlength=owner.num)
            measured["sustain_press_sec_mean"] = _ratio(length, num)
    return measured


def _tempos(owner: Owners, tempos: pa.Table, end_sec: np.ndarray) -> tuple[np.ndarray, Columns]:
    owners = owner.of(tempos)
    time, tempo = tempos["time_sec"].to_numpy(), tempos["tempo_qpm"].to_numpy()
    order = np.lexsort((np.arange(len(owners)), owners))
    owners, time, tempo = owners[order], time[order], tempo[order]
    seconds, extremes = beats.seconds_at_tempo(owners, time, tempo, end_sec)
    first = np.full(owner.num, np.nan)
    first[owners[::-1]] = tempo[::-1]
    return seconds, {
        "tempo_qpm_first": first,
        "tempo_qpm_min": extremes[:, 0],
        "tempo_qpm_max": extremes[:, 1],
        "num_tempos": np.bincount(owners, minlength=owner.num),
    }


def _signatures(owner: Owners, table: pa.Table, end_tick: np.ndarray, names: Sequence[str]) -> Columns:
    """Of each performance the values that hold longest, in ticks, and how many signatures it has."""
    # Several tracks may state signatures, each in its order; of those at one tick the last holds.
    order = np.lexsort((table["tick"].to_numpy(), owner.of(table)))
    owners = owner.of(table)[order]
    begins = np.minimum(table["tick"].to_numpy()[order], end_tick[owners])
    ends = end_tick[owners]
    has_next = np.flatnonzero(owners[1:] == owners[:-1])
    ends[has_next] = begins[has_next + 1]
    columns = [table[name].combine_chunks().dictionary_encode().take(pa.array(order)) for name in names]
    value = np.zeros(len(owners), np.int64)
    for column in columns:
        value = value * len(column.dictionary) + column.indices.to_numpy()
    # Of values that hold equally long the first counts.
    which, first, place = np.unique(np.stack((owners, value)), axis=1, return_index=True, return_inverse=True)
    length = np.bincount(place.ravel(), weights=ends - begins, minlength=len(first))
    longest = first[np.lexsort((-first, length, which[0]))]
    found: list[tuple | None] = [None] * owner.num
    chosen = np.full(owner.num, -1)
    chosen[owners[longest]] = longest
    is_there = np.flatnonzero(chosen >= 0)
    values = zip(*(column.take(pa.array(chosen[is_there])).to_pylist() for column in columns), strict=True)
    for i, one in zip(is_there.tolist(), values, strict=True):
        found[i] = one
    return {"value": found, "num": np.bincount(owners, minlength=owner.num)}


def _named_signatures(owner: Owners, keys: pa.Table, end_tick: np.ndarray, metre: Columns) -> Columns:
    key = _signatures(owner, keys, end_tick, ("sharps", "mode"))
    return {
        "time_signature": [None if value is None else f"{value[0]}/{value[1]}" for value in metre["value"]],
        "num_time_signatures": metre["num"],
        "key_signature": [None if value is None else tonality.signature_name(*value) for value in key["value"]],
        "num_key_signatures": key["num"],
    }


def _bar_ticks(metres: Sequence[tuple[int, int] | None], quarter: np.ndarray) -> np.ndarray:
    over = [(4, 4) if metre is None else metre for metre in metres]
    return np.array(
        [max(1, 4 * int(q) * top // bottom) for (top, bottom), q in zip(over, quarter, strict=True)], np.int64
    )


def _grid(counted: Columns, total: Columns) -> Columns:
    distance = _where(counted["pitch"].sum(axis=1), total["grid_distance"])
    return {"grid_distance": distance, "is_on_grid": _nullable(distance < ON_GRID, np.isnan(distance))}


def _repetition(counted: Columns, again: np.ndarray) -> Columns:
    sums = dict(zip(repetition.SUMS, again.T, strict=True))
    return {
        "repeated_note_run_max": sums["note_run"],
        "repeated_chord_run_max": sums["chord_run"],
        "repeated_note_share": _ratio(sums["num_again"], counted["pitch"].sum(axis=1)),
        "repeated_figure_share": _ratio(sums["num_figures"] - sums["num_new_figures"], sums["num_figures"]),
        "repeated_bar_share": _ratio(sums["num_bars"] - sums["num_new_bars"], sums["num_bars"]),
    }


def _literature(
    counted: Columns, held_ticks: np.ndarray, last_tick: np.ndarray, metric: np.ndarray, bar_ticks: np.ndarray
) -> Columns:
    sums = dict(zip(beats.SUMS, metric.T, strict=True))
    has_length = last_tick >= 1
    # The places that two neighbouring bars are compared at: MusPy's bars are rows of ticks.
    num_places = np.where(sums["num_bars"] > 1, (sums["num_bars"] - 1) * bar_ticks, 0)
    return {
        "num_pitches": (counted["pitch"] > 0).sum(axis=1),
        "num_pitch_classes": (counted["pitch_class"] > 0).sum(axis=1),
        "pitch_entropy": _entropy(counted["pitch"]),
        "pitch_class_entropy": _entropy(counted["pitch_class"]),
        "scale_consistency": tonality.scale_shares(counted["pitch_class"]),
        "polyphony": _mean_number(held_ticks),
        "polyphony_rate": _ratio(held_ticks[:, 3:].sum(axis=1), last_tick),
        "empty_beat_rate": _where(has_length, sums["num_empty_beats"] / sums["num_beats"]),
        "empty_measure_rate": _where(has_length, sums["num_empty_bars"] / sums["num_bars"]),
        "groove_consistency": 1 - _ratio(sums["num_differences"], num_places),
    }


# Arithmetic


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient; NaN where nothing is below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _where(is_there: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(is_there > 0, values, np.nan)


def _moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the population, of values that are counted by their size."""
    num, values = counts.sum(axis=1), np.arange(counts.shape[1])
    mean = _ratio(counts @ values, num)
    squares = (counts * (values - mean[:, None]) ** 2).sum(axis=1)
    return mean, np.sqrt(_ratio(squares, num))


def _entropy(counts: np.ndarray) -> np.ndarray:
    share = _ratio(counts, counts.sum(axis=1, keepdims=True))
    # Not minus the sum, which of one value is -0.
    return np.abs((share * np.log2(np.where(share > 0, share, 1))).sum(axis=1))


def _extremes(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last bin of each row that is not empty."""
    is_there = counts.sum(axis=1) > 0
    low = np.argmax(counts > 0, axis=1)
    high = counts.shape[1] - 1 - np.argmax(counts[:, ::-1] > 0, axis=1)
    return _where(is_there, low), _where(is_there, high)


def _classes(by_pitch: np.ndarray) -> np.ndarray:
    classes = np.zeros((len(by_pitch), 12), by_pitch.dtype)
    for pitch in range(128):
        classes[:, pitch % 12] += by_pitch[:, pitch]
    return classes


# Tables


def _split(counts: np.ndarray) -> Columns:
    """The histograms that stand side by side, by name."""
    return {
        name: counts[:, first : first + HISTOGRAMS[name].num_bins]
        for name, first in counted_notes.FIRST_BIN.items()
        if name in HISTOGRAMS
    }


def _nullable(values: np.ndarray, is_null: np.ndarray) -> pa.Array:
    return pa.array(values, mask=is_null)


def _array(column: Any, kind: pa.DataType) -> Any:
    """A column of its type; NaN, which measures of nothing are, is null."""
    if isinstance(column, pa.ChunkedArray):
        return column
    if isinstance(column, pa.Array):
        return column.cast(kind)
    if not isinstance(column, np.ndarray):
        return pa.array(column, kind)
    if column.dtype.kind == "f":
        is_null = np.isnan(column)
        values = np.where(is_null, 0, column)
        return pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=is_null)
    return pa.array(column.astype(kind.to_pandas_dtype()), kind)


def _histogram_table(ids: pa.Array, counted: Columns) -> pa.Table:
    """The bins that are not empty, by performance, measure and bin."""
    names = list(HISTOGRAMS)
    dense = np.concatenate([counted[name].astype(np.float64) for name in names], axis=1)
    sizes = [HISTOGRAMS[name].num_bins for name in names]
    measure_of = np.repeat(np.arange(len(names), dtype=np.int32), sizes)
    bin_of = np.concatenate([np.arange(size, dtype=np.int16) for size in sizes])
    which, place = np.nonzero(dense)
    performance = pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), ids)
    measure_name = pa.DictionaryArray.from_arrays(pa.array(measure_of[place]), pa.array(names))
    columns = [performance, measure_name, pa.array(bin_of[place]), pa.array(dense[which, place])]
    fields = [f.with_type(c.type) for f, c in zip(HISTOGRAM_SCHEMA, columns, strict=True)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
