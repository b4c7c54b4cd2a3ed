"""What was trained on, as one Gaussian a class: far from all of them is strange."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Gaussians:
    """Class-conditional Gaussians of one covariance, in coordinates where it is the identity."""

    centres: Float
    """(classes that were seen, D), whitened."""
    whiten: Float
    """(D, D): embedding @ whiten has the identity as its covariance within a class."""


def gaussians(embeddings: Float, targets: Float) -> Gaussians:
    """Fit them to embeddings (N, D) with targets (N, K), every row of sum 1 (Lee et al. 2018)."""
    share = targets.sum(axis=0)
    centres = (targets.T @ embeddings)[share > 0] / share[share > 0, None]
    weights = share[share > 0] / len(embeddings)
    within = embeddings.T @ embeddings / len(embeddings) - (centres.T * weights) @ centres
    whiten = np.linalg.inv(np.linalg.cholesky(shrunk(within, len(embeddings)))).T
    return Gaussians(centres @ whiten, np.ascontiguousarray(whiten))


def shrunk(covariance: Float, n: int) -> Float:
    """Pull a covariance (D, D) of n samples towards a multiple of the identity.

    By the oracle approximating shrinkage of Chen et al. 2010, as scikit-learn writes it; at
    least a millionth, so that what never varied can still be divided by.
    """
    size = len(covariance)
    power, mean = float((covariance**2).mean()), float(np.trace(covariance)) / size
    spare = (n + 1) * (power - mean**2 / size)
    share = min(1.0, (power + mean**2) / spare) if spare > 0 else 1.0
    share = max(share, 1e-6)
    even = (1 - share) * covariance + (share * mean + 1e-12) * np.eye(size)
    return np.asarray((even + even.T) / 2)
