"""BPE and Unigram over REMI: what learning takes, how much shorter music gets, and how fast, beside their peers.

    python -m benchmarks.subwords                 the files in ../shared/data
    python -m benchmarks.subwords FOLDER          the MIDI files below FOLDER
    python -m benchmarks.subwords --every 1       the peers on every file, not on one in ten
    python -m benchmarks.subwords --split none    words are performances, not bars

One file in twelve is learned from, the others are encoded, with one core: the best of three. The peers get the same
ids as text, made beforehand, and train on the same files: the library `tokenizers`, by itself and with the vocabulary
that was learned here, and MidiTok's `train` and `encode_token_ids` of sequences of ids, which cuts bars by itself.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import folder_to_read, load
from benchmarks.tokenizers import best_of_three, read_files
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.tokenizers.base import TokenBlock, make_tokenizer, token_block
from pianogen.tokenizers.subwords import Subwords, learn

VOCAB_SIZE = 3000
LEARNED = 12
"""One file in so many is learned from."""
FIRST_CHARACTER = 0xE000
"""That stands for id 0, of Unicode's private use."""


def words_of(ids: np.ndarray, bar: int | None) -> list[str]:
    """The bars of one performance, or all of it, as text, a character for each id."""
    begins = np.flatnonzero(ids == bar)
    edges = [0, *begins[begins > 0].tolist(), len(ids)]
    text = (ids.astype("<u4") + FIRST_CHARACTER).tobytes().decode("utf-32-le")
    return [text[a:b] for a, b in pairwise(edges)]


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def library_of(coder: Subwords) -> Any:
    """The library's model with the same vocabulary."""
    from tokenizers import Tokenizer, models

    runs = [[int(i) for i in token] for token in coder.runs]
    texts = ["".join(chr(FIRST_CHARACTER + i) for i in run) for run in runs]
    if coder.options["model"] == "bpe":
        pairs: list[Any] = [tuple(texts[int(i)] for i in pair.split()) for pair in coder.options["learned"]]
        return Tokenizer(models.BPE(vocab={text: i for i, text in enumerate(texts)}, merges=pairs))
    return Tokenizer(models.Unigram(vocab=list(zip(texts, coder.scores.tolist(), strict=True)), unk_id=0))


def trained_library(model: str, words: Sequence[Sequence[str]], num_base: int) -> float:
    """Seconds that the library takes to train by itself."""
    from tokenizers import Tokenizer, models, trainers

    alphabet = [chr(FIRST_CHARACTER + i) for i in range(num_base)]
    if model == "bpe":
        library = Tokenizer(models.BPE())
        trainer: Any = trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE, min_frequency=2, show_progress=False, initial_alphabet=alphabet
        )
    else:
        library = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=VOCAB_SIZE, show_progress=False, initial_alphabet=alphabet)
    return seconds_of(lambda: library.train_from_iterator((word for one in words for word in one), trainer=trainer))[0]


def miditok_of(base_vocab: tuple[str, ...]) -> Any:
    """MidiTok's REMI of the same ids."""
    from miditok import REMI, TokenizerConfig

    remi = REMI(TokenizerConfig(pitch_range=(21, 108), special_tokens=["PAD", "BOS", "EOS"], use_pitchdrum_tokens=False,
                                use_time_signatures=False))  # fmt: skip
    ids: Any = remi.vocab
    assert tuple(sorted(ids, key=ids.get)) == base_vocab
    return remi


def print_table(train: MusicBlock, other: MusicBlock, every: int, split: str) -> None:
    from miditok.classes import TokSequence

    base = make_tokenizer({"name": "remi"})
    bar, num_base = base.vocab.index("Bar_None") if split == "bar" else None, len(base.vocab)
    given, tokens = base.encode_block(train), base.encode_block(other)
    words_of_train = [words_of(one, bar) for one in given]
    num_notes, num_learned = len(other.pitch), len(train.pitch)
    chosen = [i for i in range(every // 2, len(tokens), every) if len(tokens[i])]
    some: TokenBlock = token_block([tokens[i] for i in chosen], base)
    notes_of_some = sum(int(other.note_edges[i + 1] - other.note_edges[i]) for i in chosen)
    texts = [words_of(one, bar) for one in some]
    print(
        f"learned from {len(train):,} files, {num_learned:,} notes; "
        f"encoded: {len(other):,} files, {num_notes:,} notes; "
        f"by the peers: {len(chosen):,} files, {notes_of_some:,} notes\n"
    )
    rows = []
    for model in ("bpe", "unigram"):
        learn(base, some, model=model, vocab_size=num_base + 50, split=split)  # compiles
        learning, coder = seconds_of(
            lambda model=model: learn(base, given, model=model, vocab_size=VOCAB_SIZE, split=split)
        )
        short = coder.shorten(tokens)
        whole = num_notes / best_of_three(lambda coder=coder: coder.encode_block(other))
        alone = num_notes / best_of_three(lambda coder=coder: coder.shorten(tokens))
        library = library_of(coder)
        training = trained_library(model, words_of_train, num_base)
        encoding, found = seconds_of(
            lambda library=library: [library.encode(words, is_pretokenized=True).ids for words in texts]
        )
        ours = coder.shorten(some)
        num_other = sum(ours[i].tolist() != ids for i, ids in enumerate(found))
        miditok = miditok_of(base.vocab)
        strings = [
            [str(miditok._ids_to_bytes([ord(c) - FIRST_CHARACTER for c in word], as_one_str=True)) for word in words]
            for words in words_of_train
        ]
        name = "BPE" if model == "bpe" else "Unigram"
        training_of_miditok, _ = seconds_of(
            lambda miditok=miditok, name=name, strings=strings: miditok.train(
                vocab_size=VOCAB_SIZE, model=name, iterator=strings
            )
        )
        sequences = [TokSequence(ids=one.tolist()) for one in some]
        for sequence in sequences:
            miditok.complete_sequence(sequence, complete_bytes=True)
        encoding_of_miditok, _ = seconds_of(
            lambda miditok=miditok, sequences=sequences: miditok.encode_token_ids(sequences)
        )
        fast, slow = notes_of_some / encoding, notes_of_some / encoding_of_miditok
        tokens_of_miditok = sum(len(sequence.ids) for sequence in sequences) / notes_of_some
        cells = [
            f"{learning:.1f}", f"{training:.1f}", f"{training / learning:.1f}",
            f"{training_of_miditok:.1f}", f"{training_of_miditok / learning:.1f}",
            f"{len(tokens.values) / num_notes:.2f}", f"{len(short.values) / num_notes:.2f}", f"{tokens_of_miditok:.2f}",
            f"{whole:,.0f}", f"{alone:,.0f}",
            f"{fast:,.0f}", f"{alone / fast:.1f}", f"{slow:,.0f}", f"{alone / slow:.0f}",
            f"{len(found)}", f"{num_other}",
        ]  # fmt: skip
        rows.append(f"| {model} | {' | '.join(cells)} |")
    # At last: MidiTok's training writes empty lines.
    print(
        "| model | learned, s | tokenizers: trained | x | MidiTok: trained | x | tokens a note, base | here | MidiTok "
        "| encoded with base, notes/s | base's ids alone | tokenizers: encoded | x | MidiTok: encoded | x "
        "| files compared | other ids than tokenizers |"
    )
    print("|---|" + "---:|" * 16)
    print("\n".join(rows))


def main() -> None:
    # One core for the peers, as here.
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=10, help="the peers encode one file in this many")
    parser.add_argument("--split", choices=("bar", "none"), default="bar", help="words are bars, or performances")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "subwords")
    print(f"load before: {load()}\n")
    music = read_files(folder)
    np.random.default_rng(6).shuffle(music)  # pyright: ignore[reportArgumentType]
    other = music_block([one for k, one in enumerate(music) if k % LEARNED])
    print_table(music_block(music[::LEARNED]), other, args.every, args.split)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
