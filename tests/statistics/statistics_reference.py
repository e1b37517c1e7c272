"""Every measure once more, from its definition in `pianogen.measured` and `bins`: slow, in sets and piano rolls.

Nothing here is taken from the compiled passes. Seconds are cut into slices wherever a note begins or ends, and of
each slice it is asked which pitches there are; bars, runs and figures are tuples in counters; MusPy's metrics are
computed as MusPy defines them, on piano rolls of ticks.
"""

import cmath
import math
import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen.measured import SCHEMA
from pianogen.statistics import tonality
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.statistics.measures import READS

Row = dict[str, Any]
Weights = dict[str, dict[int, float]]


@dataclass
class Piece:
    """One performance: its rows of every table."""

    facts: Row
    notes: list[Row] = field(default_factory=list)
    controls: list[Row] = field(default_factory=list)
    pedal_presses: list[Row] = field(default_factory=list)
    tempos: list[Row] = field(default_factory=list)
    time_signatures: list[Row] = field(default_factory=list)
    key_signatures: list[Row] = field(default_factory=list)

    @cached_property
    def pitched(self) -> list[Row]:
        return [note for note in self.notes if not note["is_drum"]]

    @property
    def quarter(self) -> int:
        return self.facts["ticks_per_quarter"]

    @cached_property
    def end_tick(self) -> int:
        return max((_off(note) for note in self.notes), default=0)

    @cached_property
    def held(self) -> "list[Slice]":
        spans, sec_of = [], {0: 0.0}
        for note in self.pitched:
            spans.append((note["pitch"], note["onset_tick"], _off(note)))
            sec_of |= {note["onset_tick"]: note["onset_sec"], _off(note): note["offset_sec"]}
        return list(_slices(spans, sec_of))

    @cached_property
    def sounding(self) -> "list[Slice]":
        spans = [(note["pitch"], note["onset_sec"], _sounding_off(note)) for note in self.pitched]
        return list(_slices(spans, {0.0: 0.0} | {time: time for _, *times in spans for time in times}))


def measured_again(tables: dict[str, pa.Table]) -> tuple[dict[str, Row], dict[str, Weights]]:
    """Rows and histograms by performance, as `rows_and_histograms` gives those of `measure`."""
    pieces = {row["performance_id"]: Piece(row) for row in tables["performances"].to_pylist()}
    for name in READS:
        if name != "performances":
            for row in tables[name].to_pylist():
                getattr(pieces[row["performance_id"]], name).append(row)
    rows, histograms = {}, {}
    for performance, piece in pieces.items():
        histograms[performance] = _histograms(piece)
        rows[performance] = _row(piece)
    return rows, histograms


def rows_and_histograms(measured: dict[str, pa.Table]) -> tuple[dict[str, Row], dict[str, Weights]]:
    """What `measure` says, by performance."""
    rows = {row["performance_id"]: row for row in measured["performance_statistics"].to_pylist()}
    histograms: dict[str, Weights] = {name: {measure: {} for measure in HISTOGRAMS} for name in rows}
    for cell in measured["histograms"].to_pylist():
        weights = histograms[cell["performance_id"]][cell["measure"]]
        assert cell["bin"] not in weights
        weights[cell["bin"]] = cell["weight"]
    return rows, histograms


def differences(ours: Row, theirs: Row, within: float = 1e-9) -> dict[str, tuple[Any, Any]]:
    """Columns in which two rows differ, relative to their size or absolutely; keys that fit alike are the same."""
    found = {}
    for name in SCHEMA.names:
        one, other = ours[name], theirs[name]
        if isinstance(one, float) and isinstance(other, float):
            if not math.isclose(one, other, rel_tol=within, abs_tol=within):
                found[name] = (one, other)
        elif one != other or type(one) is not type(other):
            found[name] = (one, other)
    if theirs["key_margin"] is not None and theirs["key_margin"] < within:
        found = {name: pair for name, pair in found.items() if name not in ("key", "key_tonic", "key_mode")}
    return found


def weight_differences(ours: Weights, theirs: Weights, within: float = 1e-9) -> dict[str, tuple[Any, Any]]:
    found = {}
    for name in HISTOGRAMS:
        one, other = ours[name], theirs[name]
        if one.keys() != other.keys() or any(not math.isclose(one[k], other[k], rel_tol=within) for k in one):
            found[name] = (one, other)
    return found


def _row(piece: Piece) -> Row:
    row = {
        "performance_id": piece.facts["performance_id"],
        "dataset": piece.facts["dataset"],
        **_length(piece),
        **_pitch(piece),
        **_key(piece),
        **_velocity(piece),
        **_durations(piece),
        **_polyphony(piece),
        **_hands(piece),
        **_pedals(piece),
        **_metre(piece),
        **_grid(piece),
        **_repetition(piece),
        **_literature(piece),
    }
    assert list(row) == SCHEMA.names
    return row


# Arithmetic


def _off(note: Row) -> int:
    return note["onset_tick"] + note["duration_tick"]


def _sounding_off(note: Row) -> float:
    return note["offset_sec"] + note["held_sec"]


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def _std(values: Sequence[float]) -> float | None:
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / len(values))


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _share(above: float, below: float) -> float | None:
    return above / below if below else None


def _half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


# Groups of columns


def _length(piece: Piece) -> Row:
    num = len(piece.pitched)
    seconds, quarters = piece.facts["duration_sec"], piece.facts["duration_quarters"]
    return {
        "num_notes": num,
        "num_drum_notes": piece.facts["num_drum_notes"],
        "duration_sec": seconds,
        "duration_quarters": quarters,
        "sounding_duration_sec": _sounding_duration(piece),
        "notes_per_sec": _share(num, seconds),
        "notes_per_quarter": _share(num, quarters),
    }


def _sounding_duration(piece: Piece) -> float:
    return max([piece.facts["duration_sec"], *map(_sounding_off, piece.pitched)])


def _pitch(piece: Piece) -> Row:
    pitches = [note["pitch"] for note in piece.pitched]
    steps = [abs(step) for step in _steps(piece)]
    return {
        "pitch_min": min(pitches, default=None),
        "pitch_max": max(pitches, default=None),
        "pitch_mean": _mean(pitches),
        "pitch_std": _std(pitches),
        "melodic_interval_mean": _mean(steps),
        "melodic_step_share": _mean(step in (1, 2) for step in steps),
        "melodic_leap_share": _mean(step > 7 for step in steps),
    }


def _steps(piece: Piece) -> list[int]:
    """Of the top line: the highest of what is struck within 50 ms of its first note."""
    groups: list[tuple[float, list[int]]] = []
    for note in piece.pitched:
        if not groups or note["onset_sec"] - groups[-1][0] > 0.05:
            groups.append((note["onset_sec"], []))
        groups[-1][1].append(note["pitch"])
    return [max(after) - max(before) for (_, before), (_, after) in pairwise(groups)]


def _key(piece: Piece) -> Row:
    seconds = [0.0] * 12
    for note in piece.pitched:
        seconds[note["pitch"] % 12] += note["offset_sec"] - note["onset_sec"]
    if len(set(seconds)) == 1:
        return dict.fromkeys(("key_tonic", "key_mode", "key", "key_correlation", "key_margin"))
    fits = []
    for mode, profile in (("major", tonality.MAJOR), ("minor", tonality.MINOR)):
        for tonic in range(12):
            turned = [profile[(pitch_class - tonic) % 12] for pitch_class in range(12)]
            fits.append((float(np.corrcoef(seconds, turned)[0, 1]), mode, tonic))
    fits.sort(key=lambda fit: -fit[0])
    best, mode, tonic = fits[0]
    return {
        "key_tonic": tonic,
        "key_mode": mode,
        "key": f"{tonality.TONICS[mode][tonic]} {mode}",
        "key_correlation": best,
        "key_margin": best - fits[1][0],
    }


def _velocity(piece: Piece) -> Row:
    velocities = [note["velocity"] for note in piece.pitched]
    return {
        "velocity_min": min(velocities, default=None),
        "velocity_max": max(velocities, default=None),
        "velocity_mean": _mean(velocities),
        "velocity_std": _std(velocities),
        "num_velocities": len(set(velocities)),
    }


def _held(piece: Piece) -> list[float]:
    return [note["offset_sec"] - note["onset_sec"] for note in piece.pitched]


def _heard(piece: Piece) -> list[float]:
    return [_sounding_off(note) - note["onset_sec"] for note in piece.pitched]


def _iois(piece: Piece) -> list[float]:
    moments = {note["onset_tick"]: note["onset_sec"] for note in piece.pitched}
    return [moments[after] - moments[before] for before, after in pairwise(sorted(moments))]


def _durations(piece: Piece) -> Row:
    held, heard, iois = _held(piece), _heard(piece), _iois(piece)
    quarters = [note["duration_tick"] / piece.quarter for note in piece.pitched]
    return {
        "note_duration_sec_mean": _mean(held),
        "note_duration_sec_median": _median(held),
        "note_duration_sec_std": _std(held),
        "note_duration_quarters_mean": _mean(quarters),
        "note_duration_quarters_median": _median(quarters),
        "sounding_note_duration_sec_mean": _mean(heard),
        "sounding_note_duration_sec_median": _median(heard),
        "ioi_sec_mean": _mean(iois),
        "ioi_sec_median": _median(iois),
    }


@dataclass
class Slice:
    """Between two moments at which a note begins or ends."""

    sec: float
    pitches: list[int]
    """Ascending."""


def _slices(spans: list[tuple[int, float, float]], sec_of: Mapping[float, float]) -> Iterator[Slice]:
    """Which pitches there are between neighbouring moments, from (pitch, begin, end) and the seconds of moments."""
    pitch, begin, end = (np.array([span[k] for span in spans], float) for k in range(3))
    for before, after in pairwise(sorted(sec_of)):
        there = pitch[(begin <= before) & (end > before)]
        yield Slice(sec_of[after] - sec_of[before], sorted(set(there.astype(int).tolist())))


def _time_with(slices: Iterable[Slice], at_least: int) -> float:
    return math.fsum(s.sec for s in slices if len(s.pitches) >= at_least)


def _polyphony(piece: Piece) -> Row:
    held, heard = piece.held, piece.sounding
    duration = piece.facts["duration_sec"]
    return {
        "polyphony_mean": _over_time(held, 1, len),
        "polyphony_max": max((len(s.pitches) for s in held), default=0),
        "silence_share": _share(duration - _time_with(held, 1), duration),
        "sounding_polyphony_mean": _over_time(heard, 1, len),
        "sounding_polyphony_max": max((len(s.pitches) for s in heard), default=0),
        "sounding_silence_share": _share(_sounding_duration(piece) - _time_with(heard, 1), _sounding_duration(piece)),
    }


def _over_time(slices: list[Slice], at_least: int, value: Any) -> float | None:
    chosen = [s for s in slices if len(s.pitches) >= at_least]
    return _share(math.fsum(s.sec * value(s.pitches) for s in chosen), math.fsum(s.sec for s in chosen))


def _hands(piece: Piece) -> Row:
    held = piece.held
    return {
        "spread_mean": _over_time(held, 2, spread),
        "spread_max": max((spread(s.pitches) for s in held if s.pitches), default=0),
        "hands_distance_mean": _over_time(held, 2, hands_distance),
        "beyond_two_hands_share": _over_time(held, 1, is_beyond_two_hands),
    }


def spread(pitches: list[int]) -> int:
    return max(pitches) - min(pitches)


def hands_distance(pitches: list[int]) -> float:
    """Between the means of what lies below and above the widest gap, the lowest of equal ones."""
    gaps = [after - before for before, after in pairwise(pitches)]
    at = gaps.index(max(gaps)) + 1
    return statistics.fmean(pitches[at:]) - statistics.fmean(pitches[:at])


def is_beyond_two_hands(pitches: list[int]) -> bool:
    """No cut leaves at most five pitches within 16 semitones on either side."""

    def fits(hand: list[int]) -> bool:
        return len(hand) <= 5 and (not hand or spread(hand) <= 16)

    return not any(fits(pitches[:cut]) and fits(pitches[cut:]) for cut in range(len(pitches) + 1))


def _pedals(piece: Piece) -> Row:
    row: Row = {}
    shares: Row = {}
    end = piece.facts["duration_sec"]
    for pedal in ("sustain", "sostenuto", "soft"):
        presses = [(p["press_sec"], p["lift_sec"]) for p in piece.pedal_presses if p["pedal"] == pedal]
        row[f"num_{pedal}_presses"] = len(presses)
        moments = sorted({min(time, end) for press in presses for time in press})
        down = [
            after - before
            for before, after in pairwise(moments)
            if any(press <= before and after <= lift for press, lift in presses)
        ]
        shares[f"{pedal}_share"] = _share(math.fsum(down), end)
    sustain = [p["lift_sec"] - p["press_sec"] for p in piece.pedal_presses if p["pedal"] == "sustain"]
    return row | shares | {"sustain_press_sec_mean": _mean(sustain)}


def _tempo_spans(piece: Piece) -> list[tuple[float, float]]:
    """Each tempo and the seconds for which it holds before the last note-off."""
    end = piece.facts["duration_sec"]
    begins = [min(tempo["time_sec"], end) for tempo in piece.tempos]
    lengths = [after - before for before, after in pairwise([*begins, end])]
    return [(tempo["tempo_qpm"], sec) for tempo, sec in zip(piece.tempos, lengths, strict=True) if sec > 0]


def _metre(piece: Piece) -> Row:
    seconds, quarters = piece.facts["duration_sec"], piece.facts["duration_quarters"]
    lasting = [tempo for tempo, _ in _tempo_spans(piece)]
    metre = _longest(piece, piece.time_signatures, ("numerator", "denominator"))
    key = _longest(piece, piece.key_signatures, ("sharps", "mode"))
    return {
        "tempo_qpm_first": piece.tempos[0]["tempo_qpm"] if piece.tempos else None,
        "tempo_qpm_mean": _share(60 * quarters, seconds),
        "tempo_qpm_min": min(lasting, default=None),
        "tempo_qpm_max": max(lasting, default=None),
        "num_tempos": len(piece.tempos),
        "time_signature": f"{metre[0]}/{metre[1]}" if metre else None,
        "num_time_signatures": len(piece.time_signatures),
        "key_signature": _signature(*key) if key else None,
        "num_key_signatures": len(piece.key_signatures),
    }


def _longest(piece: Piece, signatures: list[Row], names: tuple[str, str]) -> tuple | None:
    """The values that hold for the most ticks up to the last note-off, of several the first."""
    ordered = sorted(signatures, key=lambda row: row["tick"])
    values = [tuple(row[name] for name in names) for row in ordered]
    begins = [min(row["tick"], piece.end_tick) for row in ordered]
    length: Counter[tuple] = Counter()
    for value, (before, after) in zip(values, pairwise([*begins, piece.end_tick]), strict=True):
        length[value] += after - before
    return max(length, key=lambda value: length[value]) if length else None


def _signature(sharps: int, mode: str) -> str:
    """The tonic, a fifth up for each sharp, from F, C, G, D, A, E, B on."""
    place = sharps + (1 if mode == "major" else 4)
    return "FCGDAEB"[place % 7] + ("#" * (place // 7) if place >= 0 else "b" * -(place // 7)) + f" {mode}"


def _grid(piece: Piece) -> Row:
    if not piece.pitched:
        return {"grid_distance": None, "is_on_grid": None}
    at = [Fraction(note["onset_tick"], piece.quarter) for note in piece.pitched]
    lengths = [
        abs(sum(cmath.exp(2j * math.pi * float(parts * place % 1)) for place in at)) / len(at)
        for parts in (4, 6, 8, 12, 16, 20, 24)
    ]
    return {"grid_distance": 1 - max(lengths), "is_on_grid": 1 - max(lengths) < 0.5}


def _repetition(piece: Piece) -> Row:
    again, note_runs, chord_runs = 0, [0], [0]
    for part in {(note["track"], note["program"]) for note in piece.pitched}:
        notes = [note for note in piece.pitched if (note["track"], note["program"]) == part]
        moments = [
            [note["pitch"] for note in group]
            for _, group in groupby(sorted(notes, key=lambda n: n["onset_tick"]), key=lambda n: n["onset_tick"])
        ]
        again += sum(pitch in before for before, now in pairwise(moments) for pitch in now)
        for struck, group in groupby(moments, key=frozenset):
            (note_runs if len(struck) == 1 else chord_runs).append(len(list(group)))
    pitches = [note["pitch"] for note in sorted(piece.pitched, key=lambda n: (n["onset_tick"], n["pitch"]))]
    intervals = [after - before for before, after in pairwise(pitches)]
    figures = [tuple(intervals[k : k + 8]) for k in range(len(intervals) - 7)]
    bars = bars_of(piece)
    return {
        "repeated_note_run_max": max(note_runs),
        "repeated_chord_run_max": max(chord_runs),
        "repeated_note_share": _share(again, len(piece.pitched)),
        "repeated_figure_share": _share(len(figures) - len(set(figures)), len(figures)),
        "repeated_bar_share": _share(len(bars) - len(set(bars)), len(bars)),
    }


def bar_length(piece: Piece) -> int:
    """Ticks of a bar of the time signature that holds longest."""
    top, bottom = _longest(piece, piece.time_signatures, ("numerator", "denominator")) or (4, 4)
    return max(1, 4 * piece.quarter * top // bottom)


def bars_of(piece: Piece) -> list[frozenset]:
    """Of each bar with notes, how many there are of each pitch at each 24th of a quarter."""
    bars: dict[int, Counter] = defaultdict(Counter)
    length = bar_length(piece)
    for note in piece.pitched:
        number, within = divmod(note["onset_tick"], length)
        bars[number][note["pitch"], _half_up(Fraction(24 * within, piece.quarter))] += 1
    return [frozenset(bar.items()) for bar in bars.values()]


# MusPy's definitions, on piano rolls


def last_tick(piece: Piece) -> int:
    """Where the song ends: the last note-off or control change."""
    return max([piece.end_tick, *(control["tick"] for control in piece.controls)])


def _literature(piece: Piece) -> Row:
    pitches = [note["pitch"] for note in piece.pitched]
    classes = [pitch % 12 for pitch in pitches]
    bar = bar_length(piece)
    held = piano_roll(piece).sum(axis=1)
    return {
        "num_pitches": len(set(pitches)),
        "num_pitch_classes": len(set(classes)),
        "pitch_range": max(pitches) - min(pitches) if pitches else None,
        "pitch_entropy": _entropy(pitches),
        "pitch_class_entropy": _entropy(classes),
        "scale_consistency": max(_in_scale(classes)) if classes else None,
        "polyphony": _mean(held[held > 0].tolist()),
        "polyphony_rate": _mean((held > 2).tolist()),
        "empty_beat_rate": _empty_rate(piece, piece.quarter),
        "empty_measure_rate": _empty_rate(piece, bar),
        "groove_consistency": _groove(piece, bar),
    }


def piano_roll(piece: Piece) -> np.ndarray:
    """Which pitches are held on each tick of the song, shape (num_ticks, 128)."""
    roll = np.zeros((last_tick(piece), 128), bool)
    for note in piece.pitched:
        roll[note["onset_tick"] : _off(note), note["pitch"]] = True
    return roll


def _entropy(values: Sequence[int]) -> float | None:
    shares = [num / len(values) for num in Counter(values).values()]
    return math.fsum(share * math.log2(1 / share) for share in shares) if shares else None


def _in_scale(classes: Sequence[int]) -> Iterator[float]:
    for steps in ({0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 10}):
        for root in range(12):
            yield sum((pitch_class - root) % 12 in steps for pitch_class in classes) / len(classes)


def _empty_rate(piece: Piece, length: int) -> float | None:
    """Stretches of the song that no note touches; a note touches the one in which it ends, too."""
    if last_tick(piece) < 1:
        return None
    touched = set()
    for note in piece.notes:
        touched |= set(range(note["onset_tick"] // length, _off(note) // length + 1))
    return 1 - len(touched) / (last_tick(piece) // length + 1)


def _groove(piece: Piece, bar: int) -> float | None:
    num_bars = last_tick(piece) // bar + 1
    if num_bars < 2:
        return None
    struck = np.zeros((num_bars, bar), bool)
    for note in piece.notes:
        struck[divmod(note["onset_tick"], bar)] = True
    return 1 - float(np.mean(struck[1:] != struck[:-1]))


# Histograms


def _histograms(piece: Piece) -> Weights:
    notes = piece.pitched
    held, heard = piece.held, piece.sounding
    unheard = _sounding_duration(piece) - _time_with(heard, 1)
    return {
        "pitch": _count(note["pitch"] for note in notes),
        "pitch_class": _count(note["pitch"] % 12 for note in notes),
        "velocity": _count(note["velocity"] for note in notes),
        "duration_sec": _count(_edge_bin("duration_sec", sec) for sec in _held(piece)),
        "sounding_duration_sec": _count(_edge_bin("sounding_duration_sec", sec) for sec in _heard(piece)),
        "duration_quarters": _count(
            min(_half_up(Fraction(24 * note["duration_tick"], piece.quarter)), 8 * 24) for note in notes
        ),
        "ioi_sec": _count(_edge_bin("ioi_sec", sec) for sec in _iois(piece)),
        "melodic_interval": _count(min(max(step, -36), 36) + 36 for step in _steps(piece)),
        "polyphony": _polyphony_weights(held, piece.facts["duration_sec"] - _time_with(held, 1)),
        "sounding_polyphony": _polyphony_weights(heard, unheard),
        "onset_position": _count(
            _half_up(Fraction(48 * (note["onset_tick"] % piece.quarter), piece.quarter)) % 48 for note in notes
        ),
        "tempo_qpm": _sum((min(int(tempo // 5), 79), sec) for tempo, sec in _tempo_spans(piece)),
    }


def _count(bins: Iterable[int]) -> dict[int, float]:
    return dict(Counter(bins))


def _sum(weights: Iterable[tuple[int, float]]) -> dict[int, float]:
    parts = defaultdict(list)
    for place, weight in weights:
        parts[place].append(weight)
    return {place: total for place, values in parts.items() if (total := math.fsum(values))}


def _polyphony_weights(slices: list[Slice], silence: float) -> dict[int, float]:
    return _sum([(0, silence), *((min(len(s.pitches), 40), s.sec) for s in slices if s.pitches)])


def _edge_bin(name: str, value: float) -> int:
    edges = HISTOGRAMS[name].low.tolist()
    return max(0, bisect_right(edges, value) - 1)
