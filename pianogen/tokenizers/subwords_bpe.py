"""Byte-pair encoding: which ids are joined, learned and read."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from pianogen.errors import SettingsError

FIRST_CHARACTER = 0xE000
"""The character that stands for id 0 where the library learns: of Unicode's private use."""
MOST_IDS = 0x10FFFF - FIRST_CHARACTER
LONGEST_WORD = 1000
"""Longer words are cut where the library learns: its time for a merge grows with the words that it is in."""
MIN_COUNT = 2
"""How often a pair must be met to be joined."""


def learn_bpe(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> list[str]:
    """The merges that the library `tokenizers` learns, as pairs of ids."""
    from tokenizers import Tokenizer as Library
    from tokenizers import models, trainers

    if not len(ids):
        return []
    characters = [chr(FIRST_CHARACTER + i) for i in range(num_base)]
    library = Library(models.BPE(vocab={c: i for i, c in enumerate(characters)}, merges=[]))
    trainer: Any = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=MIN_COUNT, show_progress=False, initial_alphabet=characters
    )
    beginnings = np.concatenate([np.arange(a, b, LONGEST_WORD) for a, b in itertools.pairwise(words)])
    text = (ids.astype("<u4") + FIRST_CHARACTER).tobytes().decode("utf-32-le")
    library.train_from_iterator((text[a:b] for a, b in itertools.pairwise([*beginnings, len(ids)])), trainer=trainer)
    found = json.loads(library.to_str())["model"]
    id_of = found["vocab"]
    return [f"{id_of[left]} {id_of[right]}" for left, right in found["merges"]]


def runs_of_merges(learned: Sequence[str], num_base: int) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
    """The base ids of each id; the pairs to merge, the first one first; the id that each becomes."""
    runs: list[tuple[int, ...]] = [(i,) for i in range(num_base)]
    id_of = {run: i for i, run in enumerate(runs)}
    pairs, joined = [], []
    for text in learned:
        try:
            left, right = map(int, text.split())
            if left < 0 or right < 0:
                raise ValueError
            run = runs[left] + runs[right]
        except (ValueError, IndexError, AttributeError):
            raise SettingsError(f"tokenizer subwords: a merge must be two ids learned before, found {text!r}") from None
        # Two ways to one run lead to one id.
        if run not in id_of:
            id_of[run] = len(runs)
            runs.append(run)
        pairs.append((left, right))
        joined.append(id_of[run])
    return runs, np.array(pairs, np.int64).reshape(-1, 2), np.array(joined, np.int64)
