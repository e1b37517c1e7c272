"""The Fréchet distance beside closed forms and scipy's root; and what is said where the embedding is missing."""

import numpy as np
import pytest

from pianogen.evaluation.frechet import covariance, frechet_distance


def normal(seed: int, num: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


def test_in_one_dimension_it_is_the_difference_of_means_and_of_deviations():
    one, other = normal(0, 50, 1), 3 * normal(1, 40, 1) + 2
    expected = (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    assert frechet_distance(one, other, shrinkage=0) == pytest.approx(expected)


def test_of_a_set_moved_it_is_the_square_of_the_way_and_of_a_set_scaled_that_of_its_deviation():
    one = normal(2, 60, 5)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    way = np.arange(5.0)
    assert frechet_distance(one, one + way) == pytest.approx(way @ way)
    centred = one - one.mean(axis=0)
    expected = np.trace(covariance(centred, 0)) * (1 - 2) ** 2
    assert frechet_distance(centred, 2 * centred, shrinkage=0) == pytest.approx(expected)


def test_where_covariances_do_not_commute_it_is_that_of_scipys_root():
    linalg = pytest.importorskip("scipy.linalg", reason="scipy comes with `make bench`")
    one, other = normal(3, 80, 6), normal(4, 70, 6)
    first, second = np.cov(one.T), np.cov(other.T)
    way = one.mean(axis=0) - other.mean(axis=0)
    root = linalg.sqrtm(first @ second).real
    expected = way @ way + np.trace(first + second - 2 * root)
    assert frechet_distance(one, other, shrinkage=0) == pytest.approx(expected)
    assert frechet_distance(other, one, shrinkage=0) == pytest.approx(expected)


def test_the_shrinkage_is_that_of_ledoit_and_wolf():
    """The formula once more, piece by piece (their lemma 3.2 to 3.4)."""
    values = normal(5, 12, 8)
    centred = values - values.mean(axis=0)
    sample = sum(np.outer(row, row) for row in centred) / 12
    level = np.trace(sample) / 8
    d2 = np.sum((sample - level * np.eye(8)) ** 2) / 8
    b2 = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in centred) / 12**2 / 8
    share = min(b2, d2) / d2
    assert 0 < share < 1
    unbiased = sample * 12 / 11
    expected = (1 - share) * unbiased + share * np.trace(unbiased) / 8 * np.eye(8)
    assert covariance(values) == pytest.approx(expected)


def test_fewer_pieces_than_the_embedding_has_numbers_have_a_distance():
    one, other = normal(6, 5, 40), normal(6, 5, 40) + 1
    assert frechet_distance(one, other) == pytest.approx(40)


@pytest.mark.parametrize(
    "one, other", [(np.zeros((1, 3)), np.zeros((4, 3))), (np.full((4, 3), np.nan), np.zeros((4, 3)))]
)
def test_sets_that_have_no_covariance_are_refused(one, other):
    with pytest.raises(ValueError, match="two rows of finite numbers at least"):
        frechet_distance(one, other)


def test_embeddings_of_two_models_are_refused():
    with pytest.raises(ValueError, match="one width, found 3 and 4"):
        frechet_distance(np.zeros((4, 3)), np.zeros((4, 4)))


def test_equal_pieces_have_no_spread_and_a_distance_all_the_same():
    assert frechet_distance(np.zeros((4, 3)), np.ones((4, 3))) == pytest.approx(3)
