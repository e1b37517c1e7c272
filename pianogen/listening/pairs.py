"""Which sample stands beside which, on which side, and which pairs come a second time; all by a seed.

Samples of one name belong together, as two models' continuations of the same prompt do: they are paired first. Each set
stands on either side equally often. Some pairs of the first half come again in the second, with the sides changed: who
hears a difference says the same of them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

SIDES = ("A", "B")


@dataclass(frozen=True)
class Pair:
    """Two samples as they are shown."""

    sample_a: str
    """Of the first set."""
    sample_b: str
    is_swapped: bool
    """The second set's sample is A."""
    repeat_of: int | None = None
    """Number of the pair, from 1, that this one is again."""


def draw_pairs(
    names_a: Sequence[str], names_b: Sequence[str], *, num_pairs: int, num_repeats: int, seed: int
) -> list[Pair]:
    """Pairs in the order in which they are shown.

    Args:
        names_a: of the samples of the first set, without repeats.
        names_b: of the second.
        num_pairs: different ones; fewer where there are not so many.
        num_repeats: of them, how many come twice; half of the pairs at most.
        seed: another one gives other pairs.
    """
    drawn = random.Random(seed)
    found = _different(names_a, names_b, num_pairs, drawn)
    swapped = [i % 2 == 1 for i in range(len(found))]
    drawn.shuffle(swapped)
    pairs = [Pair(a, b, is_swapped) for (a, b), is_swapped in zip(found, swapped, strict=True)]
    half = (len(pairs) + 1) // 2
    again = sorted(drawn.sample(range(half), min(num_repeats, len(pairs) // 2)))
    late = [(drawn.uniform(half, len(pairs)), i) for i in again]
    shown = sorted([*((float(i), i, False) for i in range(len(pairs))), *((at, i, True) for at, i in late)])
    numbers = {i: number for number, (_, i, is_again) in enumerate(shown, start=1) if not is_again}
    return [
        replace(pairs[i], is_swapped=not pairs[i].is_swapped, repeat_of=numbers[i]) if is_again else pairs[i]
        for _, i, is_again in shown
    ]


def _different(
    names_a: Sequence[str], names_b: Sequence[str], number: int, drawn: random.Random
) -> list[tuple[str, str]]:
    """Pairs of names: of one name first, then each sample of either set once, then any."""
    common = sorted(set(names_a) & set(names_b))
    drawn.shuffle(common)
    found = dict.fromkeys((name, name) for name in common)
    rest_a, rest_b = (sorted(set(names) - set(common)) for names in (names_a, names_b))
    drawn.shuffle(rest_a)
    drawn.shuffle(rest_b)
    if rest_a and rest_b:
        most = max(len(rest_a), len(rest_b))
        found |= dict.fromkeys((rest_a[i % len(rest_a)], rest_b[i % len(rest_b)]) for i in range(most))
    number = min(number, len(names_a) * len(names_b))
    all_a, all_b = sorted(names_a), sorted(names_b)
    while len(found) < number:
        found.setdefault((drawn.choice(all_a), drawn.choice(all_b)))
    taken = list(found)[:number]
    drawn.shuffle(taken)
    return taken
