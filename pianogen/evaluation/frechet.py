"""The Fréchet distance of two sets of pieces, over whatever embedding they are given in.

    frechet_distance = |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^(1/2))       squared units of the embedding

m and C are mean and covariance of the sets: the squared 2-Wasserstein distance between two normal distributions. The
covariance is that of the sample (n - 1), shrunk towards a multiple of the unit matrix by Ledoit and Wolf's share, so
that a set of fewer pieces than the embedding has numbers has one as well; `shrinkage=0` leaves it as it is. The
distance of small sets is too large, by about the inverse of their size: compare sets of equal size alone.

With CLaMP 2's embedding and `shrinkage=0` this is the formula of the Frechet Music Distance. The embedding is not part
of this project, and nothing here has been run with it.

Source: Dowson and Landau, J. Multivariate Analysis 12 (1982); Ledoit and Wolf, "A well-conditioned estimator for
large-dimensional covariance matrices" (2004); Retkowski, Stepniak and Modrzejewski, "Frechet Music Distance" (2024).
"""

import numpy as np


def frechet_distance(one: np.ndarray, other: np.ndarray, shrinkage: float | None = None) -> float:
    """Fréchet distance of two sets of vectors.

    Args:
        one: embeddings, shape (num_pieces, width), two pieces at least.
        other: the same.
        shrinkage: share of the unit matrix in each covariance, 0-1; None: Ledoit and Wolf's.

    Raises:
        ValueError: fewer than two pieces, other widths, or numbers that are none.
    """
    for values in (one, other):
        if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(f"embeddings need two rows of finite numbers at least, found shape {values.shape}")
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"embeddings need one width, found {one.shape[1]} and {other.shape[1]}")
    first, second = (covariance(values, shrinkage) for values in (one, other))
    difference = one.mean(axis=0) - other.mean(axis=0)
    # tr (AB)^(1/2) is tr (A^(1/2) B A^(1/2))^(1/2), of which the root is that of a symmetric matrix.
    root = _square_root(first)
    product = np.linalg.eigvalsh(root @ second @ root)
    distance = difference @ difference + np.trace(first) + np.trace(second) - 2 * np.sqrt(product.clip(min=0)).sum()
    return max(0.0, float(distance))


def covariance(values: np.ndarray, shrinkage: float | None = None) -> np.ndarray:
    """Covariance of rows, shrunk; arguments as of `frechet_distance`."""
    num, width = values.shape
    centred = values - values.mean(axis=0)
    sample = centred.T @ centred / (num - 1)
    level = np.trace(sample) / width
    share = _ledoit_wolf_share(centred) if shrinkage is None else shrinkage
    return (1 - share) * sample + share * level * np.eye(width)


def _ledoit_wolf_share(centred: np.ndarray) -> float:
    """How much of the unit matrix is best, 0-1: their formula, of the covariance of the population."""
    num, width = centred.shape
    population = centred.T @ centred / num
    spread = ((population - np.trace(population) / width * np.eye(width)) ** 2).sum()
    noise = (((centred**2).sum(axis=1) ** 2).sum() / num - (population**2).sum()) / num
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 0.0


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
