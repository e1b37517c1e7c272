"""Runs of ids as one, beside plain definitions, the library and MidiTok."""

import json
import math
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import figure, notes
from corpora import improvise
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers import subwords
from pianogen.tokenizers.base import KNOWN, SPECIAL_TOKENS, PieceTokenizer, TokenBlock, make_tokenizer
from pianogen.tokenizers.subwords import Subwords, learn
from pianogen.tokenizers.subwords_segmentation import expected_counts, trie_of
from pianogen.tokenizers.subwords_unigram import digamma, seed_runs

PROJECT = Path(__file__).parents[2]
FIRST = len(SPECIAL_TOKENS)
BAR = FIRST
TONES = 5


class Letters(PieceTokenizer):
    """A base scheme of few ids: the pitches from 60, and a bar every so many notes."""

    def __init__(self, *, notes_in_bar: int = 4) -> None:
        self.name = "test_subwords:Letters"
        self.options = {"notes_in_bar": notes_in_bar}
        tones = tuple(f"Tone_{i}" for i in range(TONES))
        self.vocab = (*SPECIAL_TOKENS, *(("Bar_None",) if notes_in_bar else ("Nothing_None",)), *tones)
        self.pitch_range = (60, 60 + TONES - 1)
        self.carries = frozenset({"pitch"})

    def encode(self, notes: NoteColumns) -> np.ndarray:
        found = []
        for k, pitch in enumerate(notes.pitch.tolist()):
            if self.options["notes_in_bar"] and k % self.options["notes_in_bar"] == 0:
                found.append(BAR)
            if 60 <= pitch < 60 + TONES:
                found.append(BAR + 1 + pitch - 60)
        return np.array(found, self.dtype)

    def decode(self, tokens: np.ndarray) -> NoteColumns:
        return notes(*[(k, 59 + int(t) - BAR, 1) for k, t in enumerate(tokens) if BAR < t <= BAR + TONES])


class Pairs(Letters):
    """Tokens that are no ids."""

    width = 2


SPLIT, WHOLE = Letters(), Letters(notes_in_bar=0)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(KNOWN, "subwords", "pianogen.tokenizers.subwords:Subwords")


def block(*sequences: list[int]) -> TokenBlock:
    values = np.array([i for one in sequences for i in one], np.uint16)
    return TokenBlock(values, np.cumsum([0, *map(len, sequences)]))


def lists(tokens: TokenBlock) -> list[list[int]]:
    return [one.tolist() for one in tokens]


def words_of(sequences: list[list[int]], starts: set[int]) -> list[list[int]]:
    """Sequences cut before each id of `starts`."""
    words = []
    for one in sequences:
        for k, i in enumerate(one):
            if k == 0 or i in starts:
                words.append([])
            words[-1].append(i)
    return words


def plain_bpe(sequences: list[list[int]], starts: set[int], num_base: int, vocab_size: int) -> list[str]:
    """The merges, by counting all pairs anew each time."""
    words = words_of(sequences, starts)
    runs = {(i,): i for i in range(num_base)}
    found = []
    while len(runs) < vocab_size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts or max(counts.values()) < 2:
            break
        left, right = min(counts, key=lambda pair: (-counts[pair], pair))
        of_id = {i: run for run, i in runs.items()}
        new = runs.setdefault(of_id[left] + of_id[right], len(runs))
        words = [merged(word, left, right, new) for word in words]
        found.append(f"{left} {right}")
    return found


def merged(word: list[int], left: int, right: int, new: int) -> list[int]:
    found = []
    for i in word:
        # What is new came of a merge, and is not merged again by the same one.
        if found and found[-1] == (left, False) and i == right:
            found[-1] = (new, True)
        else:
            found.append((i, False))
    return [i for i, _ in found]


def plain_shortened(word: list[int], learned: list[str], num_base: int) -> list[int]:
    """The lowest merge that is possible, wherever it is leftmost, until there is none."""
    pairs = [tuple(map(int, text.split())) for text in learned]
    runs = [(i,) for i in range(num_base)]
    ids = {}
    for left, right in pairs:
        run = runs[left] + runs[right]
        if run not in runs:
            runs.append(run)
        ids[left, right] = runs.index(run)
    word = list(word)
    while possible := [(pairs.index(pair), k) for k, pair in enumerate(pairwise(word)) if pair in ids]:
        _, k = min(possible)
        word[k : k + 2] = [ids[word[k], word[k + 1]]]
    return word


sequences_of_letters = st.lists(st.lists(st.integers(BAR, BAR + TONES), max_size=40), max_size=6)
motifs = st.lists(st.sampled_from([[4, 5, 6], [3, 4, 5, 6, 7], [3, 8, 8, 8], [6, 6]]), max_size=20)
repetitious = st.lists(motifs.map(lambda parts: [i for part in parts for i in part]), max_size=5)


@settings(deadline=None)
@given(st.one_of(sequences_of_letters, repetitious), st.integers(9, 30), st.sampled_from([SPLIT, WHOLE]))
def test_merges_and_ids_are_those_of_the_plain_definition(sequences, vocab_size, base):
    coder = learn(base, block(*sequences), vocab_size=vocab_size)
    starts = {BAR} if base is SPLIT else set()
    learned = plain_bpe(sequences, starts, 9, vocab_size)
    assert coder.options["learned"] == learned
    plain = [[i for word in words_of([one], starts) for i in plain_shortened(word, learned, 9)] for one in sequences]
    assert lists(coder.shorten(block(*sequences))) == plain


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@settings(deadline=None)
@given(
    train=repetitious,
    other=st.one_of(sequences_of_letters, repetitious),
    vocab_size=st.integers(9, 40),
    base=st.sampled_from([SPLIT, WHOLE]),
)
def test_expanding_gives_the_base_ids_back(model, train, other, vocab_size, base):
    coder = learn(base, block(*train), model=model, vocab_size=vocab_size)
    assert len(coder.vocab) <= vocab_size
    short = coder.shorten(block(*other))
    assert lists(coder.expand(short)) == other
    assert lists(short) == [lists(coder.shorten(block(one)))[0] for one in other]
    assert len(short.values) <= sum(map(len, other))


def segmentations(word: tuple[int, ...], scores: dict[tuple[int, ...], float]) -> list[tuple[float, list]]:
    """Every way to cut a word into tokens, with its log-probability."""
    if not word:
        return [(0.0, [])]
    return [
        (scores[word[:n]] + score, [word[:n], *rest])
        for n in range(1, len(word) + 1)
        if word[:n] in scores
        for score, rest in segmentations(word[n:], scores)
    ]


@settings(deadline=None)
@given(st.lists(st.integers(4, 6), min_size=1, max_size=9), st.integers(0, 2**32))
def test_unigram_finds_the_likeliest_segmentation_and_the_expected_counts(word, seed):
    rng = np.random.default_rng(seed)
    runs = sorted({tuple(rng.integers(4, 7, rng.integers(2, 5)).tolist()) for _ in range(8)})
    runs = [*((i,) for i in range(9)), *runs]
    scores = np.round(-rng.gamma(2, 2, len(runs)) - 0.1, 3)
    learned = [f"{' '.join(map(str, run))} {score}" for run, score in zip(runs, scores, strict=True)]
    coder = Subwords(base={"name": WHOLE.name, **WHOLE.options}, model="unigram", vocab_size=40, learned=learned)
    table = dict(zip(runs, scores.tolist(), strict=True))
    every = segmentations(tuple(word), table)
    found = [runs[i] for i in coder.shorten(block(word)).values]
    assert sum(table[run] for run in found) == pytest.approx(max(score for score, _ in every))

    expected = Counter()
    total = math.log(sum(math.exp(score) for score, _ in every))
    for score, parts in every:
        for run in parts:
            expected[run] += math.exp(score - total)
    trie = trie_of(runs, 9)
    counts = expected_counts(np.array(word), np.array([0, len(word)]), 9, scores, *trie)
    assert counts.tolist() == pytest.approx([expected[run] for run in runs], abs=1e-9)


@settings(deadline=None)
@given(repetitious)
def test_unigram_begins_with_the_runs_that_are_met_again_and_go_on_differently(sequences):
    ids = np.array([i for one in sequences for i in one], np.int64)
    if not len(ids):
        return
    words = np.cumsum([0, *(len(one) for one in sequences if one)])
    runs, counts = seed_runs(ids, words, 10_000)
    plain = Counter(
        tuple(one[a : a + n]) for one in sequences for a in range(len(one)) for n in range(2, 18) if a + n <= len(one)
    )
    follows = Counter()
    for run, count in plain.items():
        follows[run[:-1]] = max(follows[run[:-1]], count)
    wanted = {run: n for run, n in plain.items() if len(run) <= 16 and n >= 2 and follows[run] < n}
    assert dict(zip(runs, counts.tolist(), strict=True)) == wanted
    covered = [len(run) * count for run, count in zip(runs, counts, strict=True)]
    assert covered == sorted(covered, reverse=True)


def test_digamma_is_the_derivative_of_log_gamma():
    x = np.array([0.5, 0.7, 1.0, 3.3, 6.0, 1e3, 1e7])
    slope = [(math.lgamma(v * (1 + 1e-5)) - math.lgamma(v * (1 - 1e-5))) / (2e-5 * v) for v in x[:-1]]
    assert digamma(x)[:-1].tolist() == pytest.approx(slope, rel=1e-5)
    assert digamma(np.array([1.0]))[0] == pytest.approx(-0.5772156649015329, abs=1e-9)
    assert digamma(x)[-1] == pytest.approx(math.log(1e7), rel=1e-8)


def corpus(seed: int, num: int = 12) -> list[NoteColumns]:
    return [*(figure(seed + k, 60, 120) for k in range(num)), improvise(seed, 200)]


def remi_tokens(seed: int) -> tuple[Any, TokenBlock]:
    base = make_tokenizer({"name": "remi"})
    return base, base.encode_block(music_block(corpus(seed)))


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_learning_sees_only_what_it_is_given(model):
    base, train = remi_tokens(0)
    learned = learn(base, train, model=model, vocab_size=400)
    for seed in (50, 90):
        test = base.encode_block(music_block(corpus(seed)))
        everything = TokenBlock(
            np.concatenate((train.values, test.values)), np.append(train.edges, train.edges[-1] + test.edges[1:])
        )
        part = TokenBlock(everything.values[: train.edges[-1]], everything.edges[: len(train.edges)])
        again = learn(base, part, model=model, vocab_size=400)
        assert again.options == learned.options
        assert again.version == learned.version
        assert learn(base, everything, model=model, vocab_size=400).options != learned.options


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_options_make_the_same_tokenizer_again(model, tmp_path):
    from pianogen.tokenizers.base import load_tokenizer, save_tokenizer

    base, train = remi_tokens(0)
    coder = learn(base, train, model=model, vocab_size=400)
    save_tokenizer(coder, tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.vocab == coder.vocab
    assert again.version == coder.version
    music = music_block(corpus(7))
    assert lists(again.encode_block(music)) == lists(coder.encode_block(music))


def test_of_much_music_some_is_drawn_by_its_seed():
    sequences = block(*([4 + k % 5] * (k % 4) * 3 for k in range(40)))
    some = subwords._drawn(sequences, 60, 1)
    assert 60 <= len(some.values) < 72
    assert lists(some) == lists(subwords._drawn(sequences, 60, 1)) != lists(subwords._drawn(sequences, 60, 2))
    rest = iter(lists(sequences))
    assert all(one in rest for one in lists(some))
    assert lists(subwords._drawn(sequences, len(sequences.values), 1)) == lists(sequences)
    assert learn(WHOLE, sequences, most_ids=60, seed=1).options == learn(WHOLE, some).options


@pytest.mark.parametrize("split", ["bar", "none"])
def test_merges_and_ids_are_the_librarys_own(split):
    from tokenizers import Tokenizer as Library
    from tokenizers import models, trainers

    def text_of(ids):
        return "".join(chr(0xE000 + int(i)) for i in ids)

    base, train = remi_tokens(0)
    starts = {base.vocab.index("Bar_None")} if split == "bar" else set()
    alphabet = [text_of([i]) for i in range(len(base.vocab))]
    library = Library(models.BPE(vocab={text: i for i, text in enumerate(alphabet)}, merges=[]))
    trainer: Any = trainers.BpeTrainer(vocab_size=700, min_frequency=2, show_progress=False, initial_alphabet=alphabet)
    library.train_from_iterator((text_of(word) for word in words_of(lists(train), starts)), trainer=trainer)
    learned = json.loads(library.to_str())["model"]
    coder = learn(base, train, vocab_size=700, split=split)
    merges = [" ".join(str(learned["vocab"][text]) for text in pair) for pair in learned["merges"]]
    assert coder.options["learned"] == merges
    other = base.encode_block(music_block(corpus(30)))
    for one, short in zip(lists(other), lists(coder.shorten(other)), strict=True):
        assert short == [i for word in words_of([one], starts) for i in library.encode(text_of(word)).ids]


def test_a_run_lies_within_a_bar():
    base, train = remi_tokens(0)
    for model in ("bpe", "unigram"):
        coder = learn(base, train, model=model, vocab_size=600)
        assert coder.options["split"] == "bar"
        assert any(token.startswith("Bar_None+") for token in coder.vocab)
        assert not any("+Bar_None" in token for token in coder.vocab)
        assert coder.vocab[: len(base.vocab)] == base.vocab
        # Unigram drops what it expects less than once in two: this music has few runs besides.
        assert (600 if model == "bpe" else 500) <= len(coder.vocab) == len(set(coder.vocab)) <= 600


def test_the_page_of_the_scheme_shows_what_is_encoded():
    text = " ".join((PROJECT / "docs/tokenizers/subwords.md").read_text(encoding="utf-8").split())
    chords = [60, 64, 67, 64] * 4 + [60, 65, 69, 65] * 2
    music = notes(*[(k / 2, pitch, 0.5) for k, pitch in enumerate(chords)])
    base = make_tokenizer({"name": "remi"})
    coder = learn(base, base.encode_block(music_block([music])), vocab_size=len(base.vocab) + 6)
    assert [f"`{token}`" in text for token in coder.vocab[len(base.vocab) :]] == [True] * 6
    assert " ".join(coder.vocab[i] for i in coder.encode(music.take(slice(0, 4)))) in text


def test_two_ways_to_a_run_share_its_id():
    options: dict[str, Any] = {"base": {"name": WHOLE.name, **WHOLE.options}, "vocab_size": 20}
    coder = Subwords(**options, learned=["4 5", "5 6", "9 6", "4 10"])
    assert len(coder.vocab) == 12
    assert coder.vocab[-1] == "Tone_0+Tone_1+Tone_2"
    assert coder.shorten(block([4, 5, 6])).values.tolist() == [11]


def test_what_the_base_says_of_music_holds():
    base, train = remi_tokens(0)
    coder = learn(base, train, vocab_size=400)
    assert (coder.pitch_range, coder.carries, coder.width) == (base.pitch_range, base.carries, 1)
    columns = improvise(5, 60)
    back, plain = coder.decode(coder.encode(columns)), base.decode(base.encode(columns))
    for name in ("pitch", "velocity", "onset_tick", "duration_tick"):
        assert np.array_equal(getattr(back, name), getattr(plain, name))
    with pytest.raises(ValueError, match="have to be transposed before"):
        coder.transpose(coder.encode(columns), 1)


def test_bars_are_those_of_the_base_that_a_run_begins_with():
    for settings_of_base in ({"name": "remi"}, {"name": "tsd"}, {"name": "jsb"}):
        base = make_tokenizer(settings_of_base)
        tokens = base.encode_block(music_block(corpus(0)))
        coder = learn(base, tokens, vocab_size=len(base.vocab) + 150, split="none")
        num_found = 0
        for one, short in zip(lists(tokens), lists(coder.shorten(tokens)), strict=True):
            begins = np.cumsum([0, *(len(coder.runs[i]) for i in short)])
            bars = set(base.bar_starts(np.array(one, base.dtype)).tolist())
            found = coder.bar_starts(np.array(short, coder.dtype))
            assert begins[found].tolist() == [at for at in begins[:-1].tolist() if at in bars]
            num_found += len(found)
        assert num_found
    assert learn(make_tokenizer({"name": "craykh"}), block(), vocab_size=400).bar_starts(np.arange(9)) is None


def test_voices_stay_in_their_range():
    base = make_tokenizer({"name": "jsb"})
    music = music_block(corpus(0))
    tokens = base.encode_block(music)
    coder = learn(base, tokens, vocab_size=len(base.vocab) + 50)
    expected = base.semitone_bounds(music, None)
    assert np.array_equal(coder.semitone_bounds(music, None), expected)
    assert np.array_equal(coder.semitone_bounds(None, coder.shorten(tokens)), expected)


def test_special_ids_keep_their_places():
    coder = learn(WHOLE, block([4, 5, 4, 5, 4, 5]), vocab_size=10)
    sequence = [1, 4, 5, 2, 0, 0, 1, 4, 2]
    assert coder.shorten(block(sequence)).values.tolist() == [1, 9, 2, 0, 0, 1, 4, 2]
    assert lists(coder.expand(coder.shorten(block(sequence)))) == [sequence]


@given(st.lists(st.integers(0, 2000), max_size=60))
@settings(deadline=None)
def test_any_ids_decode(ids):
    coder = learn(SPLIT, block([3, 4, 5, 3, 4, 5, 6]), vocab_size=12)
    assert lists(coder.expand(block(ids))) == [[int(i) for t in ids if t < len(coder.vocab) for i in coder.runs[t]]]
    coder.decode(np.array(ids, np.uint16))


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_nothing_to_learn_from_leaves_the_base(model):
    coder = learn(SPLIT, block(), model=model)
    assert coder.vocab == SPLIT.vocab
    assert len(coder.encode(notes())) == len(coder.decode(coder.encode(notes()))) == 0
    assert coder.encode(notes((0, 60, 1), (1, 61, 1))).tolist() == [3, 4, 5]
    assert lists(coder.encode_block(music_block([]))) == []
    assert isinstance(coder.decode_block(block()), MusicBlock)
    assert learn(SPLIT, block([], [4]), model=model).vocab == SPLIT.vocab


def test_ids_that_the_base_does_not_have_are_refused():
    coder = learn(SPLIT, block([4, 5]), vocab_size=12)
    with pytest.raises(ValueError, match="ids of the base lie in 0-8, found 4 to 9"):
        coder.shorten(block([4, 9]))


LETTERS = {"name": "test_subwords:Letters"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "remi"}, r"base must be the settings of a tokenizer, found 'remi'"),
        ({"base": {"name": "abc"}}, r"tokenizer 'abc' is not known"),
        ({"base": {"name": "test_subwords:Pairs"}}, r"the base must have ids"),
        ({"base": LETTERS, "model": "words"}, r"model must be bpe or unigram, found 'words'"),
        ({"base": LETTERS, "split": "beat"}, r"split must be bar or none, found 'beat'"),
        ({"base": {**LETTERS, "notes_in_bar": 0}, "split": "bar"}, r"split bar needs a base with tokens of bars"),
        ({"base": LETTERS, "vocab_size": 8}, r"whole number from 9, .* found 8"),
        ({"base": LETTERS, "vocab_size": 9.5}, r"found 9.5"),
        ({"base": LETTERS, "learned": ["4 9"]}, r"two ids learned before, found '4 9'"),
        ({"base": LETTERS, "learned": ["4 -1"]}, r"two ids learned before, found '4 -1'"),
        ({"base": LETTERS, "learned": ["4 5 6"]}, r"two ids learned before, found '4 5 6'"),
        ({"base": LETTERS, "learned": ["4 5"], "vocab_size": 9}, r"10 tokens were learned, vocab_size is 9"),
        ({"base": LETTERS, "learned": ["4 99 -1"], "model": "unigram"}, r"base ids and a log-prob.*found '4 99 -1'"),
        ({"base": LETTERS, "learned": ["-1.5"], "model": "unigram"}, r"base ids and a log-probability, found '-1.5'"),
        ({"base": LETTERS, "learned": ["4 5 nan"], "model": "unigram"}, "base ids and a log-prob.*found '4 5 nan'"),
        (
            {"base": LETTERS, "learned": ["4 5 -1", "4 5 -2"], "model": "unigram"},
            "a run must not be learned twice, found '4 5 -2' again",
        ),
        ({"base": LETTERS, "learned": 5}, "learned must be a list of strings, found 5"),
        ({"base": LETTERS, "learned": "4 5"}, "learned must be a list of strings, found '4 5'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        make_tokenizer({"name": "subwords", **options})


def test_the_version_follows_the_base_and_what_was_learned():
    versions = {
        learn(base, block([4, 5, 4, 5]), model=model, vocab_size=size).version
        for base in (SPLIT, Letters(notes_in_bar=3))
        for model in ("bpe", "unigram")
        for size in (9, 10)
    }
    assert len(versions) == 8


def test_the_version_follows_every_module_of_the_scheme():
    modules = {f"pianogen.tokenizers.{path.stem}" for path in (PROJECT / "pianogen/tokenizers").glob("subwords_*.py")}
    assert set(Subwords.code) == modules


def test_real_files_come_back_and_are_as_short_as_miditoks(real_music):
    from miditok import REMI, TokenizerConfig

    base = make_tokenizer({"name": "remi"})
    music = [columns.take(slice(0, 1000)) for columns in islice(real_music.values(), 40)]
    train, other = (base.encode_block(music_block(music[k::2])) for k in range(2))
    bar = base.vocab.index("Bar_None")
    miditok = REMI(
        TokenizerConfig(
            pitch_range=(21, 108),
            num_velocities=32,
            beat_res={(0, 4): 8, (4, 12): 4},
            special_tokens=["PAD", "BOS", "EOS"],
            use_time_signatures=any(token.startswith("TimeSig") for token in base.vocab),
            use_pitchdrum_tokens=False,
        )
    )
    assert tuple(sorted(miditok.vocab, key=miditok.vocab.get)) == base.vocab

    def texts(tokens: TokenBlock) -> list[list[str]]:
        return [
            [str(miditok._ids_to_bytes(word, as_one_str=True)) for word in words_of([one], {bar})]
            for one in lists(tokens)
        ]

    miditok.train(vocab_size=1000, model="BPE", iterator=texts(train))
    num_of_miditok = sum(len(miditok._model.encode(words, is_pretokenized=True).ids) for words in texts(other) if words)
    num = {}
    for model in ("bpe", "unigram"):
        coder = learn(base, train, model=model, vocab_size=1000)
        short = coder.shorten(other)
        assert lists(coder.expand(short)) == lists(other)
        num[model] = len(short.values)
    assert num["bpe"] == pytest.approx(num_of_miditok, rel=0.01)
    # The likeliest tokens, not the fewest.
    assert num["unigram"] < 1.12 * num_of_miditok
    assert num["bpe"] < 0.8 * len(other.values)
    assert json.dumps(coder.options)
