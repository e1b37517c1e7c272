"""What each token says of music, so that a likelihood can be told attribute by attribute.

A token says several things at once: that another note begins now, and which. So it is taken apart into decisions, each
of which leaves fewer ids than the one before: that it is a pitch and not a time, which pitch it is. The nats of a
decision are ln of the mass of the ids left before it less that of those left after it, by what the model says at that
place, and those of all decisions add up to the token's own. Which attribute a decision belongs to:

- *onset*: that a note begins, now or after how long. *pitch*: which one. *velocity*, *pedal*, *tempo*, *metre*,
  *program*: what tokens of that name say.
- *duration*: what a duration token says, and that and when a note ends, where notes end by tokens of their own.
- Time that passes belongs to the next note, note-off or press of the pedal, whichever it leads to.
- *end*: that the piece is over, with the time before. *segmentation*: of subwords, where one ends. *other*: what no
  rule here knows.

Schemes whose tokens are named by kind (`Pitch_60`): that it is of its kind is one decision, which of them is another.
In `performance` a velocity token or none before a note says the same, so that both are of velocity. Schemes whose ids
say what sounds on a step (`jsb`, `craykh`): that a pitch goes on, or does not, is of its duration; that another begins
is of the onset, and which of the pitch. Subwords are taken apart into the base's tokens, each of which is told by all
ids whose run begins so.
"""

from typing import NamedTuple

import numpy as np

from pianogen.tokenizers.base import ATTRIBUTES, EOS_ID, LayeredTokenizer, TokenBlock, Tokenizer
from pianogen.tokenizers.craykh import SPACE_ID, Craykh
from pianogen.tokenizers.jsb import VOICES, Jsb
from pianogen.tokenizers.note_chord import NoteChord

END, SEGMENTATION, OTHER = "end", "segmentation", "other"
TOLD = (*ATTRIBUTES, END, SEGMENTATION, OTHER)
"""What a decision may belong to; numbers of attributes are places in it."""
_PLACE = {name: place for place, name in enumerate(TOLD)}
_PITCH, _ONSET, _DURATION, _VELOCITY, _PEDAL = (_PLACE[name] for name in ATTRIBUTES[:5])
_END, _SEGMENTATION, _OTHER = _PLACE[END], _PLACE[SEGMENTATION], _PLACE[OTHER]

_TIME = ("Bar", "Position", "TimeShift", "Rest", "MicroTiming")
_BEGINS = ("Pitch", "NoteOn", "PitchIntervalTime", "PitchIntervalChord", "Chord")
_OF_KIND = {
    **dict.fromkeys(_BEGINS, ("onset", "pitch")),
    "Program": ("onset", "program"),
    "Pattern": ("onset", "onset"),
    "Velocity": ("velocity", "velocity"),
    "Duration": ("duration", "duration"),
    "NoteOff": ("duration", "duration"),
    "Pedal": ("pedal", "pedal"),
    "PedalOn": ("pedal", "pedal"),
    "PedalOff": ("pedal", "pedal"),
    "Tempo": ("tempo", "tempo"),
    "TimeSig": ("metre", "metre"),
    "EOS": (END, END),
}
"""By the name of a token before its underscore: what its kind belongs to, and what its value does."""


class Decisions(NamedTuple):
    """What a sequence of ids is taken apart into; decisions of one token stand one after the other.

    The ids that a decision leaves are ranges of places in `order`.
    """

    last: np.ndarray
    """Attribute of the decision that leaves the token alone, int8, shape (num_tokens,)."""
    token: np.ndarray
    """Of the other decisions, of which token they are, ascending, int64, shape (num_decisions,),"""
    attribute: np.ndarray
    """and of which attribute, int8."""
    edges: np.ndarray
    """Ranges of decision i are edges[i] to edges[i + 1], int64, shape (num_decisions + 1,)."""
    low: np.ndarray
    """First place of each range, int64,"""
    high: np.ndarray
    """and the one after its last."""


class Attribution:
    """How the ids of a scheme are taken apart.

    Args:
        tokenizer: whose tokens are ids.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        if tokenizer.width != 1:
            raise ValueError(f"tokens of {tokenizer.name} are rows; the model that draws them takes them apart")
        self._parts = _parts_of(tokenizer)
        self.order = self._parts.order
        """Ids by place: what decisions leave are ranges of it, shape (num_ids,)."""

    def decisions(self, ids: np.ndarray) -> Decisions:
        """Of a whole sequence, BOS and EOS included or not."""
        return self._parts.decisions(np.asarray(ids).astype(np.int64))


def _parts_of(tokenizer: Tokenizer) -> "_Kinds | _Voices | _Frames | _Whole | _Runs":
    if isinstance(tokenizer, LayeredTokenizer):
        return _Runs(tokenizer)
    if isinstance(tokenizer, Jsb):
        return _Voices(tokenizer)
    if isinstance(tokenizer, Craykh):
        return _Frames(tokenizer)
    return _Whole(tokenizer) if isinstance(tokenizer, NoteChord) else _Kinds(tokenizer)


def _joined(num_tokens: int, last: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray | int, list]]) -> Decisions:
    """Decisions of all tokens by token; those of one token in the order of `parts`.

    Args:
        num_tokens: of the sequence.
        last: see `Decisions`.
        parts: for some tokens each: which, the attribute of their decision, and ranges as pairs of arrays (low, high),
            shape (num_of_them,) each; ranges that are empty do no harm.
    """
    token = np.concatenate([np.empty(0, np.int64), *(tokens for tokens, _, _ in parts)])
    attribute = np.concatenate([np.empty(0, np.int8), *(np.broadcast_to(a, t.shape) for t, a, _ in parts)])
    counts = np.concatenate([np.empty(0, np.int64), *(np.full(len(t), len(r), np.int64) for t, _, r in parts)])
    low, high = (
        np.concatenate(
            [
                np.empty(0, np.int64),
                *(np.stack([pair[side] for pair in ranges], -1).ravel() for tokens, _, ranges in parts if len(tokens)),
            ]
        )
        for side in (0, 1)
    )
    return _by_token(Decisions(last.astype(np.int8), token, attribute.astype(np.int8), _edges(counts), low, high))


def _by_token(found: Decisions) -> Decisions:
    """The same in the order of tokens."""
    order = np.argsort(found.token, kind="stable")
    counts = np.diff(found.edges)[order]
    edges = _edges(counts)
    rows = np.arange(edges[-1]) + np.repeat(found.edges[:-1][order] - edges[:-1], counts)
    return Decisions(found.last, found.token[order], found.attribute[order], edges, found.low[rows], found.high[rows])


def _edges(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


class _Kinds:
    """Tokens named by kind and value."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        names = [name.partition("_")[0] for name in tokenizer.vocab]
        # The notes of drums are named as others are.
        names = [name.removesuffix("Drum") for name in names]
        kinds = list(dict.fromkeys(names))
        # A velocity that goes without saying is told by the note that follows at once: they stand side by side.
        self.saves_velocity = tokenizer.name == "performance"
        if self.saves_velocity:
            kinds.remove("Velocity")
            kinds.insert(kinds.index("NoteOn"), "Velocity")
        kind = np.array([kinds.index(name) for name in names])
        self.order = np.argsort(kind, kind="stable")
        first, end = (np.searchsorted(kind[self.order], np.arange(len(kinds)), side) for side in ("left", "right"))
        self.low, self.high = first[kind], end[kind]
        told = [_OF_KIND.get(name, (OTHER, OTHER)) for name in kinds]
        self.of_kind, self.of_value = (np.array([_PLACE[pair[side]] for pair in told])[kind] for side in (0, 1))
        self.is_time = np.isin(names, _TIME)
        event = {**dict.fromkeys((*_BEGINS, "Pattern", "Program"), _ONSET), "NoteOff": _DURATION, "EOS": _END}
        event |= dict.fromkeys(("Pedal", "PedalOn", "PedalOff"), _PEDAL)
        self.event = np.array([event.get(name, -1) for name in kinds])[kind]
        """What time that leads to each id belongs to; -1: it goes on to another."""
        self.is_velocity, self.is_note = (np.array(names) == name for name in ("Velocity", "NoteOn"))

    def decisions(self, ids: np.ndarray) -> Decisions:
        """See `Attribution`."""
        last = np.where(self.is_time[ids], self._leads_to(ids), self.of_value[ids])
        own_kind = np.where(self.is_time[ids], last, self.of_kind[ids])
        parts = []
        if self.saves_velocity:
            press = np.flatnonzero(self.is_velocity[ids] | self.is_note[ids])
            was_told = np.zeros(len(ids), bool)
            was_told[1:] = self.is_velocity[ids[:-1]]
            attribute = np.where(was_told[press], _VELOCITY, _ONSET)
            low, high = self.low[self.is_velocity].min(), self.high[self.is_note].max()
            parts.append((press, attribute, [(np.full(len(press), low), np.full(len(press), high))]))
            own_kind[press] = _VELOCITY
        # Where kind and value are of one attribute, they need not be told apart.
        two = np.flatnonzero(own_kind != last)
        parts.append((two, own_kind[two], [(self.low[ids[two]], self.high[ids[two]])]))
        return _joined(len(ids), last, parts)

    def _leads_to(self, ids: np.ndarray) -> np.ndarray:
        """Attribute of the event that follows each token, END where there is none."""
        event = self.event[ids]
        following = np.where(event >= 0, np.arange(len(ids)), len(ids))
        following = np.minimum.accumulate(following[::-1])[::-1]
        return np.append(event, _END)[following]


class _Whole:
    """Tokens that say pitches and nothing else."""

    def __init__(self, tokenizer: NoteChord) -> None:
        self.order = np.arange(len(tokenizer.vocab))

    def decisions(self, ids: np.ndarray) -> Decisions:
        """See `Attribution`."""
        return _joined(len(ids), np.where(ids == EOS_ID, _END, _PITCH), [])


class _Voices:
    """What voices do on steps."""

    def __init__(self, tokenizer: Jsb) -> None:
        names = tokenizer.vocab
        num_ids = len(names)
        self.order = np.arange(num_ids)
        self.rest = names.index("Rest")
        # With onsets a pitch that goes on has an id of its own.
        held = {name.removeprefix("Hold_"): i for i, name in enumerate(names) if name.startswith("Hold_")}
        self.goes_on = np.array([held.get(name.partition("_")[2], i) for i, name in enumerate(names)])
        """Id by which a voice goes on with what each id says."""
        self.begins = np.array([num for num in range(num_ids) if names[num].startswith("Pitch_")])

    def decisions(self, ids: np.ndarray) -> Decisions:
        """See `Attribution`."""
        num_voices, num_ids = len(VOICES), len(self.order)
        # Places of steps count from the first token that is one.
        first = int(np.argmax(ids > EOS_ID)) if (ids > EOS_ID).any() else 0
        before = np.full(len(ids), self.rest)
        before[first + num_voices :] = ids[first : max(first, len(ids) - num_voices)]
        before[before <= EOS_ID] = self.rest
        going_on = self.goes_on[before]
        is_step, sang = ids > EOS_ID, before != self.rest
        stays = is_step & sang & (ids == going_on)
        changes = np.flatnonzero(is_step & sang & ~stays)
        begins = np.flatnonzero(is_step & ~stays & (ids != self.rest))
        last = np.full(len(ids), _OTHER)
        last[ids == EOS_ID] = _END
        last[stays] = _DURATION
        last[is_step & (ids == self.rest)] = _ONSET
        last[begins] = _PITCH
        zeros = np.zeros(len(changes), np.int64)
        others = [(zeros, going_on[changes]), (going_on[changes] + 1, zeros + num_ids)]
        # A pitch that another voice's step would hold begins all the same.
        low, end = np.full(len(begins), self.begins[0]), np.full(len(begins), num_ids)
        middle = np.where(sang[begins], going_on[begins], num_ids)
        new = [(low, middle), (np.minimum(middle + 1, num_ids), end)]
        return _joined(len(ids), last, [(changes, _DURATION, others), (begins, _ONSET, new)])


class _Frames:
    """Characters of the pitches that sound in frames."""

    def __init__(self, tokenizer: Craykh) -> None:
        self.order = np.arange(len(tokenizer.vocab))

    def decisions(self, ids: np.ndarray) -> Decisions:
        """See `Attribution`."""
        num_pitches = len(self.order) - (SPACE_ID + 1)
        frame = np.cumsum(ids == SPACE_ID) - (ids == SPACE_ID) + 1
        is_pitch = ids > SPACE_ID
        sounds = np.zeros((int(frame.max(initial=0)) + 1, num_pitches), bool)
        pitch = ids - (SPACE_ID + 1)
        sounds[frame[is_pitch], pitch[is_pitch]] = True
        before = sounds[frame - 1]
        goes_on = is_pitch & before[np.arange(len(ids)), pitch * is_pitch]
        begins = np.flatnonzero(is_pitch & ~goes_on)
        # A frame that leaves out what sounded says that it ended.
        ended = (before & ~sounds[frame]).any(axis=1)
        last = np.full(len(ids), _OTHER)
        last[ids == EOS_ID] = _END
        last[ids == SPACE_ID] = np.where(ended, _DURATION, _ONSET)[ids == SPACE_ID]
        last[goes_on] = _DURATION
        last[begins] = _PITCH
        # Ranges of the pitches that did not sound.
        free = np.zeros((len(begins), num_pitches + 2), np.int8)
        free[:, 1:-1] = ~before[begins]
        step = np.diff(free, axis=1)
        row, low = np.nonzero(step == 1)
        _, high = np.nonzero(step == -1)
        edges = _edges(np.bincount(row, minlength=len(begins)))
        first = SPACE_ID + 1
        return Decisions(
            last.astype(np.int8), begins, np.full(len(begins), _ONSET, np.int8), edges, low + first, high + first
        )


class _Runs:
    """Runs of another scheme's ids: each base id is told by all ids whose run begins so.

    Ids are ordered by their runs, as words in a dictionary: those that begin alike are one range, and the run that is
    no longer than the beginning stands first in it. Beginnings are numbered nodes.
    """

    def __init__(self, tokenizer: LayeredTokenizer) -> None:
        self.expand = tokenizer.expand
        self.base = _parts_of(tokenizer.base)
        num_base = len(tokenizer.base.vocab)
        rank = np.empty(num_base, np.int64)
        rank[self.base.order] = np.arange(num_base)
        num_ids = len(tokenizer.vocab)
        runs = tokenizer.expand(TokenBlock(np.arange(num_ids), np.arange(num_ids + 1)))
        ranks = [tuple(rank[runs[i].astype(np.int64)].tolist()) for i in range(num_ids)]
        ordered = sorted(range(num_ids), key=ranks.__getitem__)
        self.order = np.array(ordered)
        nodes: dict[tuple[int, ...], int] = {(): 0}
        low, high = [0], [num_ids]
        for place, i in enumerate(ordered):
            for length in range(1, len(ranks[i]) + 1):
                node = nodes.setdefault(ranks[i][:length], len(nodes))
                if node == len(low):
                    low.append(place)
                    high.append(place)
                high[node] = place + 1
        self.low, self.high = np.array(low), np.array(high)
        self.num_base = num_base
        children = sorted((nodes[run[:-1]] * num_base + run[-1], node) for run, node in nodes.items() if run)
        self.child_key, self.child = (np.array(column) for column in zip(*children, strict=True))
        """Node and rank of the base id that follows it as one number, ascending; the node that they lead to."""
        self.num_whole = np.bincount([nodes[run] for run in ranks], minlength=len(nodes))
        """Ids whose run is that of each node, and no longer."""
        self.node_edges = _edges(np.array([len(run) for run in ranks]))
        self.nodes = np.array([nodes[run[:length]] for run in ranks for length in range(1, len(run) + 1)])
        """Nodes on the way to each id, by `node_edges`."""

    def decisions(self, ids: np.ndarray) -> Decisions:
        """See `Attribution`."""
        lengths = np.diff(self.node_edges)[ids]
        first = _edges(lengths)
        token = np.repeat(np.arange(len(ids)), lengths)
        inside = np.arange(first[-1]) - first[:-1][token]
        after = self.nodes[self.node_edges[ids][token] + inside]
        before = np.where(inside > 0, np.concatenate(([0], after[:-1])), 0)
        base_ids = self.expand(TokenBlock(ids, np.array([0, len(ids)]))).values.astype(np.int64)
        base = self.base.decisions(base_ids)
        # Between one base id and the next: that the run goes on.
        on = np.flatnonzero(inside > 0)
        goes_on = (self.low[before[on]] + self.num_whole[before[on]], self.high[before[on]])
        places = self._places(before[base.token[np.repeat(np.arange(len(base.token)), np.diff(base.edges))]], base)
        each = (self.low[after], self.high[after])
        # Of each base id in turn: that the run goes on, the base's own decisions, and the one that leaves the base id.
        at = np.concatenate((on * 3, base.token * 3 + 1, np.arange(len(base_ids)) * 3 + 2))
        attribute = np.concatenate((np.full(len(on), _SEGMENTATION), base.attribute, base.last)).astype(np.int8)
        ones = np.ones(len(on) + len(base_ids), np.int64)
        counts = np.concatenate((ones[: len(on)], np.diff(base.edges), ones[len(on) :]))
        low, high = (np.concatenate((goes_on[side], places[side], each[side])) for side in (0, 1))
        last = np.full(len(ids), _SEGMENTATION, np.int8)
        found = _by_token(Decisions(last, at, attribute, _edges(counts), low, high))
        return found._replace(token=token[found.token // 3])

    def _places(self, node: np.ndarray, base: Decisions) -> tuple[np.ndarray, np.ndarray]:
        """Where runs stand that go on from each node with base ids of each range."""

        def place(rank: np.ndarray) -> np.ndarray:
            i = np.searchsorted(self.child_key, node * self.num_base + rank)
            is_there = i < np.searchsorted(self.child_key, (node + 1) * self.num_base)
            return np.where(is_there, self.low[self.child[np.minimum(i, len(self.child) - 1)]], self.high[node])

        return place(base.low), place(base.high)
