"""How much of a piece is copied from the training music, in whatever key and at whatever tempo.

Windows of ten notes that stand in train as well, and in few works of it, are seeds (`window_index`). Those that agree
on one transposition and move forward in both are chained (`dedupe.alignment`); where the chain is torn, or changes its
pace, a passage ends. The notes of a passage are then laid on the notes of the training performance, through the times
of the seeds. A passage is a copy when all of these hold (`CopyConfig`):

- at least 24 notes of the piece, over three seconds or more, are notes of the other,
- these are at least three quarters of what the piece has there, and at least 0.6 of what the other has there,
- it holds at least ten different windows that are not common property: a scale, a trill or an Alberti bass goes on for
  long and is a few windows, over and over; a window is common property when it stands in more than five works,
- its pace is between a third and three times that of the other.

A copy then goes on to both sides as long as its notes do.

    copied_share        notes of copies / notes of the piece                                    share 0-1
    longest_copy_notes  notes of the longest copy, by notes                                     notes
    longest_copy_sec    its time, first onset to last note-off                                  seconds
    num_copies          number of copies

A note counts once, as a copy from the performance that shares most of the windows there. `longest_copy_sec` is 0 where
there is no copy; `copied_share` of no notes is null. How often other music is taken for a copy, and what is found:
docs/judging.md.

Source: seeds that are chained and then verified, as in BLAST (Altschul et al., J. Mol. Biol. 215, 1990); the base line
of held-out music as in the originality report of Yin et al., "A good algorithm does not steal: it imitates"
(EvoMUSART 2021), which compares windows of fixed length by the share of points that agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pianogen.dedupe.alignment import MAX_GAP_SEC, Columns, align_with_anchors
from pianogen.dedupe.matched_notes import MATCH_SEC
from pianogen.evaluation.window_index import Melody, Places, WindowIndex, in_chords, places_of

MAX_DROP = 4
"""Notes that may fail where a passage is followed beyond its windows."""


@dataclass(frozen=True, kw_only=True)
class CopyConfig:
    """What is a copy."""

    max_works: int = 5
    """A window that stands in more works is common property."""
    min_notes: int = 24
    min_sec: float = 3.0
    """First onset to last: a run up the keyboard is over sooner, and many works have the same one."""
    min_windows: int = 10
    """Different ones."""
    min_share: float = 0.75
    """Of the piece's notes in the passage."""
    min_share_of_source: float = 0.6
    """Of the training performance's notes there."""
    max_pace: float = 3.0
    """Between the two; its inverse as well."""
    max_gap_sec: float = 2.5
    """Between seeds of one passage, in seconds of the faster one."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A passage of a piece that stands in train."""

    notes: np.ndarray
    """Numbers of the copied notes of the piece, as they were given."""
    start_sec: float
    """First onset in the piece,"""
    end_sec: float
    """and last note-off."""
    share: float
    """Of the notes of the passage, that are copied."""
    owner: int
    """Number of the training performance in the index."""
    source_start_sec: float
    source_end_sec: float
    """Onset of the last note there."""
    semitones: int
    """The piece is the source, transposed up by this."""
    tempo_ratio: float
    """Seconds of the piece per second of the source."""

    @property
    def num_notes(self) -> int:
        """Notes of the piece that are copied."""
        return len(self.notes)

    @property
    def duration_sec(self) -> float:
        """First onset to last note-off."""
        return self.end_sec - self.start_sec


def find_copies(
    pieces: Sequence[Melody],
    index: WindowIndex,
    config: CopyConfig = CopyConfig(),
) -> list[list[Copy]]:
    """Copies in each piece, by where they begin.

    Args:
        pieces: notes of each, ordered by onset; times in seconds.
        index: of the training music.
        config: what is a copy.
    """
    ordered = [in_chords(*piece) for piece in pieces]
    windows = [places_of(melody, k) for k, (melody, _) in enumerate(ordered)]
    wanted = np.unique(np.concatenate([np.empty(0, np.uint64), *(places.window for places in windows)]))
    found = index.find(wanted, config.max_works)
    candidates = [_candidates(places, found, config) for places in windows]
    melodies = index.melodies({owner for seeds in candidates for owner in seeds})
    copies = []
    for (melody, order), places, seeds in zip(ordered, windows, candidates, strict=True):
        piece = _Piece(melody, order, places, config)
        for owner, seeds_there in seeds.items():
            piece.look_at(owner, melodies[owner], seeds_there)
        copies.append(sorted(piece.copies, key=lambda copy: (copy.start_sec, copy.end_sec)))
    return copies


def copied_shares(copies: Sequence[Copy], num_notes: int) -> Mapping[str, float | int | None]:
    """The measures of the header by name."""
    longest = longest_copy(copies)
    return {
        "copied_share": sum(copy.num_notes for copy in copies) / num_notes if num_notes else None,
        "longest_copy_notes": longest.num_notes if longest else 0,
        "longest_copy_sec": longest.duration_sec if longest else 0.0,
        "num_copies": len(copies),
    }


def longest_copy(copies: Sequence[Copy]) -> Copy | None:
    """The one of most notes; of equal ones the first."""
    return max(copies, key=lambda copy: copy.num_notes, default=None)


def _candidates(places: Places, found: Places, config: CopyConfig) -> dict[int, Places]:
    """Training performances that share enough windows with a piece, those that share most first, and where."""
    own = np.unique(places.window)
    begin, end = np.searchsorted(found.window, own), np.searchsorted(found.window, own, side="right")
    rows = np.arange((end - begin).sum()) + np.repeat(begin - np.cumsum(end - begin) + end - begin, end - begin)
    rows = rows[np.argsort(found.owner[rows], kind="stable")]
    shared = found.take(rows)
    # A window may have several places in a performance, one after the other.
    is_new = (np.diff(shared.owner, prepend=-1) != 0) | (np.diff(shared.window.view(np.int64), prepend=0) != 0)
    owners, edges = np.unique(shared.owner, return_index=True)
    counts = np.add.reduceat(is_new.astype(np.int64), edges) if len(edges) else edges
    parts = dict(zip(owners.tolist(), np.split(rows, edges[1:]), strict=len(owners) > 0)) if len(owners) else {}
    ranked = sorted(zip((-counts).tolist(), owners.tolist(), strict=True))
    return {owner: found.take(parts[owner]) for count, owner in ranked if -count >= config.min_windows}


class _Piece:
    """A piece and the copies found in it so far."""

    def __init__(self, melody: Melody, order: np.ndarray, places: Places, config: CopyConfig) -> None:
        self.melody, self.order, self.places, self.config = melody, order, places, config
        self.is_copied = np.zeros(len(melody.pitch), bool)
        self.copies: list[Copy] = []

    def look_at(self, owner: int, source: Melody, seeds: Places) -> None:
        """Add what is copied from one training performance, the longest chain first, until none is left."""
        tried = np.zeros(len(self.places.window), bool)
        shared = np.isin(self.places.window, seeds.window)
        while True:
            # Where a copy was found already there is nothing new.
            is_new = ~(self.is_copied[self.places.first] & self.is_copied[self.places.last])
            rows = np.flatnonzero(shared & is_new & ~tried)
            if len(np.unique(self.places.window[rows])) < self.config.min_windows:
                return
            own = self.places.take(rows)
            alignment, at_piece, at_source = align_with_anchors(
                _columns(own, self.melody), _columns(seeds.take(np.isin(seeds.window, own.window)), source)
            )
            if alignment.num_anchors < 2:
                return
            before = tried.sum()
            onset = self.melody.onset_sec[self.places.first].astype(np.float32)
            for passage in _passages(at_piece, at_source, alignment.tempo_ratio, self.config.max_gap_sec):
                times = at_piece[passage], at_source[passage]
                within = np.zeros(len(tried), bool)
                within[rows] = (onset[rows] >= times[0][0]) & (onset[rows] <= times[0][-1])
                tried |= within
                self._add(owner, source, np.flatnonzero(within), *times, alignment.semitones, alignment.tempo_ratio)
            if tried.sum() == before:
                return

    def _add(
        self,
        owner: int,
        source: Melody,
        rows: np.ndarray,
        at_piece: np.ndarray,
        at_source: np.ndarray,
        semitones: int,
        tempo_ratio: float,
    ) -> None:
        """Add a passage, if it is a copy."""
        config = self.config
        if len(np.unique(self.places.window[rows])) < config.min_windows:
            return
        pace = (at_source[-1] - at_source[0]) / (at_piece[-1] - at_piece[0]) if len(at_piece) > 2 else tempo_ratio
        if not 1 / config.max_pace <= pace <= config.max_pace:
            return
        first, end = self.places.first[rows].min(), self.places.last[rows].max() + 1
        pitch = self.melody.pitch[first:end] + semitones
        there = _carried_over(self.melody.onset_sec[first:end], at_piece, at_source, pace)
        begin, behind = np.searchsorted(source.onset_sec, [there[0] - MATCH_SEC, there[-1] + MATCH_SEC])
        reach_sec = MATCH_SEC * max(1.0, pace)
        others = source.pitch[begin:behind], source.onset_sec[begin:behind]
        if begin == behind:
            return
        at = _nearest(pitch, there, *others)
        is_same = (at >= 0) & (np.abs(others[1][at] - there) <= reach_sec) & ~self.is_copied[first:end]
        num = int(is_same.sum())
        if num < config.min_notes or num < config.min_share * len(pitch):
            return
        if len(np.unique(at[is_same])) < config.min_share_of_source * (behind - begin):
            return
        copied = first + np.flatnonzero(is_same)
        if self.melody.onset_sec[copied[-1]] - self.melody.onset_sec[copied[0]] < config.min_sec:
            return
        of_source = begin + at[is_same]
        for step in (-1, 1):
            more, more_of_source = self._further(source, copied, of_source, semitones, pace, step)
            copied, of_source = np.append(copied, more), np.append(of_source, more_of_source)
        order = np.argsort(copied)
        copied, of_source = copied[order], of_source[order]
        self.is_copied[copied] = True
        self.copies.append(
            Copy(
                notes=np.sort(self.order[copied]),
                start_sec=float(self.melody.onset_sec[copied[0]]),
                end_sec=float(self.melody.offset_sec[copied].max()),
                share=len(copied) / (copied[-1] + 1 - copied[0]),
                owner=owner,
                source_start_sec=float(source.onset_sec[of_source].min()),
                source_end_sec=float(source.onset_sec[of_source].max()),
                semitones=-semitones,
                tempo_ratio=float(1 / pace),
            )
        )

    def _further(
        self, source: Melody, copied: np.ndarray, of_source: np.ndarray, semitones: int, pace: float, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Notes beyond one end of a passage that go on as it does, and the notes of the source that they are.

        A note that goes on counts for one that does not; where `MAX_DROP` more have failed than the best so far, the
        best is the end (X-drop).
        """
        k = int(copied.max() if step > 0 else copied.min())
        sec, sec_there = self.melody.onset_sec[k], source.onset_sec[of_source[np.flatnonzero(copied == k)[0]]]
        reach_sec = MATCH_SEC * max(1.0, pace)
        found: list[tuple[int, int]] = []
        score = best = num = 0
        k += step
        while 0 <= k < len(self.melody.pitch) and not self.is_copied[k] and score > best - MAX_DROP:
            if abs(self.melody.onset_sec[k] - sec) * min(1.0, pace) > MAX_GAP_SEC:
                break
            there = sec_there + (self.melody.onset_sec[k] - sec) * pace
            begin, end = np.searchsorted(source.onset_sec, [there - reach_sec, there + reach_sec])
            those = begin + np.flatnonzero(source.pitch[begin:end] == self.melody.pitch[k] + semitones)
            if len(those):
                other = int(those[np.argmin(np.abs(source.onset_sec[those] - there))])
                found.append((k, other))
                sec, sec_there, score = self.melody.onset_sec[k], source.onset_sec[other], score + 1
            else:
                score -= 1
            if score > best:
                best, num = score, len(found)
            k += step
        pairs = np.array(found[:num], np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]


def _columns(places: Places, melody: Melody) -> Columns:
    """Places as what `alignment` asks for; mirror images are other windows already."""
    onset = melody.onset_sec[places.first].astype(np.float32)
    order = np.lexsort((onset, places.window))
    kind, is_mirrored = np.zeros(len(order), np.uint8), np.zeros(len(order), np.bool_)
    return places.window[order], kind, onset[order], places.pitch[order].astype(np.uint8), is_mirrored


def _passages(at_piece: np.ndarray, at_source: np.ndarray, ratio: float, max_gap_sec: float) -> list[np.ndarray]:
    """Numbers of the anchors of each stretch that goes on at one pace without a gap."""
    step, step_there = np.diff(at_piece), np.diff(at_source) / ratio
    difference, faster = np.abs(step - step_there), min(1.0, ratio)
    is_torn = (np.maximum(step, step_there) * faster > max_gap_sec) | (
        (difference * faster > 0.5) & (difference > 0.6 * np.maximum(step, step_there))
    )
    return np.split(np.arange(len(at_piece)), np.flatnonzero(is_torn) + 1)


def _carried_over(sec: np.ndarray, at_piece: np.ndarray, at_source: np.ndarray, pace: float) -> np.ndarray:
    """Times of the piece as times of the source: through the anchors, and on at their pace behind the last one."""
    inside = np.interp(sec, at_piece, at_source)
    return np.where(sec > at_piece[-1], at_source[-1] + (sec - at_piece[-1]) * pace, inside)


def _nearest(pitch: np.ndarray, sec: np.ndarray, pitches: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Of each note the number of the nearest of others at its pitch, -1 where none has it."""
    found = np.full(len(pitch), -1)
    for value in np.unique(pitch):
        those = np.flatnonzero(pitches == value)
        if not len(those):
            continue
        here = np.flatnonzero(pitch == value)
        right = np.searchsorted(onsets[those], sec[here]).clip(1, max(len(those) - 1, 1)).clip(max=len(those) - 1)
        left = np.maximum(right - 1, 0)
        is_left = np.abs(onsets[those[left]] - sec[here]) <= np.abs(onsets[those[right]] - sec[here])
        found[here] = those[np.where(is_left, left, right)]
    return found
