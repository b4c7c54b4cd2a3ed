"""Subjective-logic opinions: belief in each class, and the uncertainty that is left.

Notation as in Jøsang, *Subjective Logic* (2016): K classes, evidence e ≥ 0, base rate a,
S = Σe + K, belief b = e / S, uncertainty u = K / S, projected probability p = b + a·u.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEAST_UNCERTAINTY = 1e-6
"""No finite evidence makes certain: evidence is scaled down until u is at least this."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """Belief masses and uncertainty of one opinion, or of a batch of them.

    Σ belief + uncertainty = 1 in every row. The base rate is uniform, 1/K.
    """

    belief: Array
    """(..., K) in [0, 1]."""
    uncertainty: Array
    """(...) in [1e-6, 1]; 1 is vacuous: nothing is known."""

    @classmethod
    def from_evidence(cls, evidence: npt.ArrayLike) -> Self:
        """Turn evidence (..., K) ≥ 0 into an opinion; ValueError if negative or not finite."""
        e = np.asarray(evidence, dtype=np.float64)
        if not (np.isfinite(e).all() and (e >= 0).all()):
            raise ValueError("evidence must be finite and not negative")
        classes = e.shape[-1]
        most = classes / LEAST_UNCERTAINTY - classes
        e = np.minimum(e, 1e100)  # so that the sum cannot overflow
        total = e.sum(axis=-1, keepdims=True)
        e = e * np.minimum(1.0, most / np.maximum(total, 1.0))
        strength = e.sum(axis=-1, keepdims=True) + classes
        return cls(belief=e / strength, uncertainty=(classes / strength)[..., 0])

    @classmethod
    def vacuous(cls, classes: int) -> Self:
        """Return the opinion of someone who saw nothing."""
        return cls.from_evidence(np.zeros(classes))

    @property
    def evidence(self) -> Array:
        """(..., K) the evidence that this opinion rests on, e = K·b / u."""
        evidence: Array = self.belief.shape[-1] * self.belief / self.uncertainty[..., None]
        return evidence

    @property
    def projected(self) -> Array:
        """(..., K) the probability of each class, uncertainty shared out by base rate."""
        probability: Array = self.belief + self.uncertainty[..., None] / self.belief.shape[-1]
        return probability

    def discount(self, trust: npt.ArrayLike) -> Self:
        """Believe this opinion only as far as its source is trusted (Jøsang 2016, ch. 14).

        ``trust`` in [0, 1] scales belief, b' = t·b, u' = 1 - t·(1 - u); 0 leaves it vacuous.
        """
        t = np.asarray(trust, dtype=np.float64)
        if not ((t >= 0) & (t <= 1)).all():
            raise ValueError(f"trust must lie in [0, 1], not {trust!r}")
        return type(self)(self.belief * t[..., None], 1.0 - t * (1.0 - self.uncertainty))
