"""Pairs looked at note by note: all their shingles, and the share of notes that one has where the other has them."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pianogen import parallel
from pianogen.dedupe.alignment import NUM_FIGURES, Alignment, Columns, align, align_with_anchors
from pianogen.dedupe.corpus import Corpus, columns_of, first_of
from pianogen.dedupe.gathered_notes import FineShingles, GatheredNotes, fine_shingles, gather_notes
from pianogen.dedupe.matched_notes import share_of_matched_notes
from pianogen.dedupe.relations import RelationConfig, has_few_windows
from pianogen.lake import Lake
from pianogen.settings import Settings

_PAIRS_PER_LOOK = 512


class SecondLooks(NamedTuple):
    """What the notes of pairs say; a row for each, ascending by `pair` where they are kept."""

    pair: np.ndarray
    """A number made of the digests of both."""
    num_smaller: np.ndarray
    num_smaller_top: np.ndarray
    matched: np.ndarray
    matched_class: np.ndarray
    figures: np.ndarray


def no_second_looks() -> SecondLooks:
    """None at all."""
    whole = np.empty(0, np.int64)
    return SecondLooks(np.empty(0, np.uint64), whole, whole, np.empty(0), np.empty(0), np.empty((0, NUM_FIGURES)))


def look_at_pairs(
    lake: Lake,
    corpus: Corpus,
    a: np.ndarray,
    b: np.ndarray,
    relations: RelationConfig,
    settings: Settings,
    known: SecondLooks,
    progress: parallel.Progress | None = None,
) -> SecondLooks:
    """Look at pairs note by note.

    Args:
        lake: whose performances these are.
        corpus: their fingerprints.
        a: numbers of the first of each pair,
        b: and of the second.
        relations: which of them are asked for pitch classes too.
        settings: number of workers and backend.
        known: looks that need not be done again.
        progress: told of steps done and all.

    Returns:
        A row for each pair, in their order.
    """
    digests = corpus.facts["notes_digest"]
    pair = _pair_numbers(digests[a], digests[b])
    at = np.searchsorted(known.pair, pair).clip(max=max(len(known.pair) - 1, 0))
    is_known = known.pair[at] == pair if len(known.pair) else np.zeros(len(pair), bool)
    new = np.flatnonzero(~is_known)
    # Performances that hang together one after the other: their shingles are then made once, not once a pair.
    new = new[np.lexsort((b[new], a[new], _components(len(corpus.ids), a[new], b[new])[a[new]]))]
    gather_notes(lake, corpus, np.unique(np.concatenate((a[new], b[new]))), settings)
    parts = [new[i : i + _PAIRS_PER_LOOK] for i in range(0, len(new), _PAIRS_PER_LOOK)]
    tasks = [_Look(corpus.folder, relations, a[rows], b[rows]) for rows in parts]
    seen = parallel.map_blocks(_look_again, tasks, settings, progress)
    columns = []
    for name, kept in zip(SecondLooks._fields[1:], known[1:], strict=True):
        column = np.empty((len(pair), *kept.shape[1:]), kept.dtype)
        column[is_known] = kept[at[is_known]]
        if len(new):
            column[new] = np.concatenate([part[name] for part in seen])
        columns.append(column)
    return SecondLooks(pair, *columns)


def _components(num: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each of `num` performances the least number among those that pairs connect it with."""
    least = np.arange(num)
    while True:
        lower = np.minimum(least[a], least[b])
        found = least.copy()
        np.minimum.at(found, least[a], lower)
        np.minimum.at(found, least[b], lower)
        found = found[found]
        if np.array_equal(found, least):
            return found
        least = found


def _pair_numbers(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One number for two digests in this order; two pairs share one once in 10^19."""
    with np.errstate(over="ignore"):
        return a * np.uint64(0x9E3779B97F4A7C15) + (b ^ (b >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class _Look:
    folder: Path
    relations: RelationConfig
    a: np.ndarray
    b: np.ndarray


class _Seen(NamedTuple):
    alignment: Alignment
    matched: float
    matched_class: float

    def margin(self, relations: RelationConfig) -> float:
        """By how much more notes are matched than a pair of this kind needs."""
        is_exact = self.alignment.residual_sec <= relations.exact_sec
        return self.matched - (relations.min_matched_exact if is_exact else relations.min_matched)


_SURE = 0.95
"""With so many notes matched the other way round is not looked at."""


def _seen(
    one: FineShingles, other: FineShingles, notes: np.ndarray, others: np.ndarray, relations: RelationConfig
) -> _Seen:
    alignment, at_a, at_b = align_with_anchors(one.columns, other.columns)
    if not alignment.num_anchors:
        return _Seen(alignment, np.nan, np.nan)
    overlay = notes, others, alignment, at_a, at_b
    matched, by_class = share_of_matched_notes(*overlay, exact_sec=relations.exact_sec), np.nan
    # Where hands have changed places, pitches have too.
    if has_few_windows(np.array([alignment], float), relations)[0]:
        by_class = share_of_matched_notes(*overlay, exact_sec=relations.exact_sec, by_class=True)
    return _Seen(alignment, matched, by_class)


def _look_again(task: _Look) -> dict[str, np.ndarray]:
    gathered, num = GatheredNotes(task.folder), len(task.a)
    out = SecondLooks(
        np.empty(0, np.uint64),
        np.zeros(num, np.int64),
        np.zeros(num, np.int64),
        np.full(num, np.nan),
        np.full(num, np.nan),
        np.zeros((num, NUM_FIGURES)),
    )
    kept = KeptShingles(task.folder)
    for k, (a, b) in enumerate(zip(task.a.tolist(), task.b.tolist(), strict=True)):
        nearby = _look_nearby(kept, gathered, a, b)
        if nearby is not None and _is_nothing(nearby, task.relations):
            out.figures[k] = nearby
            continue
        one, other = gathered.shingles_of(a), gathered.shingles_of(b)
        out.num_smaller[k] = min(one.num_distinct, other.num_distinct)
        out.num_smaller_top[k] = min(one.num_top_lines, other.num_top_lines)
        notes, others = gathered.of(a), gathered.of(b)
        seen = _seen(one, other, notes, others, task.relations)
        if seen.alignment.num_anchors >= task.relations.min_anchors and not seen.matched >= _SURE:
            # Of a repeat the chain may take either turn, as the one or the other leads.
            back = _seen(other, one, others, notes, task.relations)
            if back.margin(task.relations) > seen.margin(task.relations):
                seen = back._replace(alignment=back.alignment.turned())
        out.figures[k] = seen.alignment
        out.matched[k], out.matched_class[k] = seen.matched, seen.matched_class
    gathered.forget()
    return out._asdict()


_NEARBY = 4
"""Times the notes of a short performance, on each side, that are its neighbourhood in a long one."""
_MUCH_LONGER = 20
"""Times the notes of the short one that the long one has."""
_MAX_PLACES = 3
"""That the two share; of more, chance is no longer the likeliest reason."""


class KeptShingles:
    """Shingles of the index, by the number of a performance."""

    def __init__(self, folder: Path) -> None:
        self._first = first_of(folder)
        self._columns = columns_of(folder)

    def of(self, number: int) -> Columns:
        """Its columns."""
        rows = slice(self._first[number], self._first[number + 1])
        shingle, kind, onset_sec, pitch, is_mirrored = self._columns
        return shingle[rows], kind[rows], onset_sec[rows], pitch[rows], is_mirrored[rows]


def _look_nearby(kept: KeptShingles, gathered: GatheredNotes, a: int, b: int) -> Alignment | None:
    """The alignment of a short performance with what is near the few places that a long one shares with it.

    Most of them share a shingle by chance, which this tells for a tenth of the time that all shingles of the long one
    take. None where they are of a length, or share more.
    """
    notes = gathered.of(a), gathered.of(b)
    short, long = (0, 1) if notes[0].shape[1] <= notes[1].shape[1] else (1, 0)
    num, num_long = notes[short].shape[1], notes[long].shape[1]
    if num_long < _MUCH_LONGER * num:
        return None
    columns = kept.of(a), kept.of(b)
    onset_sec = columns[long][2][np.isin(columns[long][0], columns[short][0])]
    if not 0 < len(onset_sec) <= _MAX_PLACES:
        return None
    is_near = np.zeros(num_long, bool)
    for place in np.searchsorted(notes[long][1], onset_sec):
        is_near[max(place - _NEARBY * num, 0) : place + (_NEARBY + 1) * num] = True
    if _NEARBY * is_near.sum() > num_long:
        return None
    some = fine_shingles(notes[long][:, is_near]).columns
    fine = gathered.shingles_of((a, b)[short]).columns
    return align(*((fine, some) if short == 0 else (some, fine)))


def _is_nothing(nearby: Alignment, relations: RelationConfig) -> bool:
    return nearby.num_anchors < relations.min_anchors and nearby.num_top_lines < relations.min_melody
