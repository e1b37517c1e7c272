"""Pianist learns the chorales: a minute of the benchmark."""

from benchmarks.jsb import HELD_OUT, mixture, pieces_of, prepare, settings_of, train

TRIVIAL = 0.762
"""Nats per token of a model that knows how often a voice stays, and how far it goes."""


def test_after_a_minute_it_knows_more_than_that_voices_stay(real_data, tmp_path):
    settings = settings_of(tmp_path, "standard")
    trained = train(prepare(real_data / "jsb", settings), settings, seed=1, steps=80)
    for split, number in zip(HELD_OUT, (76, 77), strict=True):
        pieces = pieces_of(trained.shards, split)
        assert len(pieces) == number
        alone = mixture([trained], pieces, [""], [0])["nats"]
        assert 0.3 < alone < TRIVIAL
        # The mean of probabilities is at least as good as the mean of their logarithms.
        backwards = mixture([trained], pieces, ["TABS"], [0])["nats"]
        assert mixture([trained], pieces, ["SBAT", "TABS"], [0])["nats"] <= (alone + backwards) / 2
