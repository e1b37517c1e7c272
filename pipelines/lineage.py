"""Which columns the columns of statistics are computed from, by the groups of `pianogen.measured`.

Named are columns that hold values, not those by which rows are found. A column of an asset's first table stands by its
own name, one of another table after the table's: `num_notes`, `notes.pitch`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from pianogen.measured import GROUPS

_HELD = ("notes.is_drum", "notes.onset_sec", "notes.offset_sec")
_SOUNDING = (*_HELD, "notes.held_sec")
_TICKS = ("notes.is_drum", "notes.onset_tick", "notes.duration_tick")
_BARS = ("notes.onset_tick", "ticks_per_quarter", "time_signatures.tick", "time_signatures.numerator",
         "time_signatures.denominator")  # fmt: skip
_LAST = ("notes.onset_tick", "notes.duration_tick", "controls.tick")
_PRESSES = ("pedal_presses.pedal", "pedal_presses.press_sec", "pedal_presses.lift_sec")

_BY_GROUP = {
    "": (),
    "length": (),
    "pitch": ("notes.is_drum", "notes.pitch"),
    "key": (*_HELD, "notes.pitch"),
    "velocity": ("notes.is_drum", "notes.velocity"),
    "durations": _HELD,
    "polyphony": (*_HELD, "notes.pitch", "notes.onset_tick", "notes.duration_tick"),
    "hands": (*_HELD, "notes.pitch", "notes.onset_tick", "notes.duration_tick"),
    "pedals": (*_PRESSES, "duration_sec"),
    "tempo and metre": ("tempos.time_sec", "tempos.tempo_qpm", "duration_sec"),
    "grid": ("notes.is_drum", "notes.onset_tick", "ticks_per_quarter"),
    "repetition": ("notes.is_drum", "notes.pitch", "notes.track", "notes.program", "notes.onset_tick"),
    "of the literature": ("notes.is_drum", "notes.pitch"),
}
"""What the measures of a group come from, where `_BY_COLUMN` does not say otherwise; of the asset `performances`."""

_BY_COLUMN = {
    "performance_id": ("performance_id",),
    "dataset": ("dataset",),
    "num_notes": ("notes.is_drum",),
    "num_drum_notes": ("num_drum_notes",),
    "duration_sec": ("duration_sec",),
    "duration_quarters": ("duration_quarters",),
    "sounding_duration_sec": ("notes.is_drum", "notes.offset_sec", "notes.held_sec", "duration_sec"),
    "notes_per_sec": ("notes.is_drum", "duration_sec"),
    "notes_per_quarter": ("notes.is_drum", "duration_quarters"),
    **dict.fromkeys(
        ("melodic_interval_mean", "melodic_step_share", "melodic_leap_share"),
        ("notes.is_drum", "notes.pitch", "notes.onset_sec"),
    ),
    "note_duration_quarters_mean": ("notes.is_drum", "notes.duration_tick", "ticks_per_quarter"),
    "note_duration_quarters_median": ("notes.is_drum", "notes.duration_tick", "ticks_per_quarter"),
    "sounding_note_duration_sec_mean": _SOUNDING,
    "sounding_note_duration_sec_median": _SOUNDING,
    "ioi_sec_mean": ("notes.is_drum", "notes.onset_sec", "notes.onset_tick"),
    "ioi_sec_median": ("notes.is_drum", "notes.onset_sec", "notes.onset_tick"),
    "polyphony_max": ("notes.pitch", *_TICKS),
    "spread_max": ("notes.pitch", *_TICKS),
    "silence_share": (*_HELD, *_TICKS[1:], "duration_sec"),
    "sounding_polyphony_mean": (*_SOUNDING, "notes.pitch"),
    "sounding_polyphony_max": (*_SOUNDING, "notes.pitch"),
    "sounding_silence_share": (*_SOUNDING, "duration_sec"),
    "num_sustain_presses": ("pedal_presses.pedal",),
    "num_sostenuto_presses": ("pedal_presses.pedal",),
    "num_soft_presses": ("pedal_presses.pedal",),
    "sustain_press_sec_mean": _PRESSES,
    "tempo_qpm_first": ("tempos.tempo_qpm",),
    "tempo_qpm_mean": ("duration_quarters", "duration_sec"),
    "num_tempos": ("tempos.performance_id",),
    "time_signature": (*(f"time_signatures.{name}" for name in ("tick", "numerator", "denominator")),
                       "notes.onset_tick", "notes.duration_tick"),
    "num_time_signatures": ("time_signatures.performance_id",),
    "key_signature": (*(f"key_signatures.{name}" for name in ("tick", "sharps", "mode")),
                      "notes.onset_tick", "notes.duration_tick"),
    "num_key_signatures": ("key_signatures.performance_id",),
    "repeated_figure_share": ("notes.is_drum", "notes.pitch", "notes.onset_tick"),
    "repeated_bar_share": ("notes.is_drum", "notes.pitch", "notes.duration_tick", *_BARS),
    "polyphony": ("notes.pitch", *_TICKS),
    "polyphony_rate": ("notes.pitch", *_TICKS, "controls.tick"),
    "empty_beat_rate": (*_LAST, "ticks_per_quarter"),
    "empty_measure_rate": (*_LAST, *_BARS),
    "groove_consistency": (*_LAST, *_BARS),
}  # fmt: skip

_COUNTED_FROM = {
    "clusters": ("cluster_id", "is_representative", "completeness"),
    "duplicate_pairs": ("relation",),
}
"""What decides how a performance counts, by asset; see the view `counted_performances`."""
_KEYS = {
    "dataset": {"performances": ("dataset",)},
    "split": {"splits": ("split",)},
    "counted": _COUNTED_FROM,
    "measure": {"statistics": ("histograms.measure",)},
}
_HISTOGRAMS = {"statistics": ("histograms.bin", "histograms.weight"), **_COUNTED_FROM, "splits": ("split",)}


def measured_from(column: str) -> tuple[str, ...]:
    """Columns of the asset `performances` from which a column of `performance_statistics` is computed."""
    if column in _BY_COLUMN:
        return tuple(dict.fromkeys(_BY_COLUMN[column]))
    return next(_BY_GROUP[name] for name, group in GROUPS.items() if column in {one.name for one in group})


def of_statistics() -> dg.TableColumnLineage:
    """Of `performance_statistics`."""
    columns = [column.name for group in GROUPS.values() for column in group]
    return _lineage({column: {"performances": measured_from(column)} for column in columns})


def of_distances() -> dg.TableColumnLineage:
    """Of `distances`."""
    sides = {f"{name}_{side}": _KEYS[name] for name in ("dataset", "split", "counted") for side in "ab"}
    distances = dict.fromkeys(("jensen_shannon_bits", "wasserstein"), _HISTOGRAMS)
    return _lineage({**sides, "measure": _KEYS["measure"], **distances})


def of_dataset_statistics(columns: Iterable[str]) -> dg.TableColumnLineage:
    """Of `dataset_statistics`: each column is of the measure whose name it begins with."""
    measures = sorted((column.name for group in GROUPS.values() for column in group), key=len, reverse=True)
    found = {}
    for column in columns:
        source = {"duration_hours": "duration_sec", "num_performances": "performance_id"}.get(column)
        source = source or next((measure for measure in measures if column.startswith(measure)), None)
        if source:
            found[column] = {"statistics": (source,)}
    return _lineage(found)


def of_round_trips() -> dg.TableColumnLineage:
    """Of `round_trips`; what train holds decides what is learned, and through it everything but the source's notes."""
    notes = ("notes.is_drum", "notes.pitch")
    times = (*notes, *(f"notes.{name}" for name in ("onset_tick", "duration_tick", "onset_sec", "offset_sec")))
    played = (*times, "notes.velocity", "ticks_per_quarter", "tempos.tick", "tempos.tempo_qpm")
    tokens = (*played, *(f"time_signatures.{name}" for name in ("tick", "numerator", "denominator")),
              *(f"pedal_presses.{name}" for name in ("pedal", "press_sec", "lift_sec")))  # fmt: skip
    sources = {"performance_id": ("performance_id",), "num_notes": ("notes.is_drum",), "num_unencodable": notes}
    figures = ("num_decoded", "num_matched", "num_same_pitch", "num_tokens", "num_unknown",
               "residual_bits", "onset_error_sec", "onset_shift_sec", "duration_error_sec",
               "velocity_error")  # fmt: skip
    found = {column: {"performances": names} for column, names in sources.items()}
    return _lineage(found | {column: {"performances": tokens, "splits": ("split",)} for column in figures})


def _lineage(sources: Mapping[str, Mapping[str, Sequence[str]]]) -> dg.TableColumnLineage:
    return dg.TableColumnLineage({column: list(_deps(by_asset)) for column, by_asset in sources.items()})


def _deps(by_asset: Mapping[str, Sequence[str]]) -> Iterator[dg.TableColumnDep]:
    for asset, columns in by_asset.items():
        for column in columns:
            yield dg.TableColumnDep(asset_key=asset, column_name=column)
