"""What LDDU must beat: one logistic regression a label, and TER's fused verdict with thresholds."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from engines.opinion import Opinion
from engines.verdict import Policy
from train.checks import Floats, Indices
from train.multilabel.encode import Encoded
from train.multilabel.judge import one
from train.multilabel.matched import Moments
from train.multilabel.metrics import scores
from train.views import Look

Feature = Literal["sequence", "embedding"]
"""The mean of what LDDU is given too, or the encoder's own summary, which LDDU is not given."""

STRENGTHS: Final = (0.001, 0.003, 0.01)
"""Of the data against the penalty, C."""


def logistic(train: Moments, valid: Moments, feature: Feature) -> list[Pipeline]:
    """Return a logistic regression for each label, of the strength that is best on `valid`."""
    fitted = [_fit(train, feature, strength) for strength in STRENGTHS]

    def score(models: list[Pipeline]) -> float:
        said = probability(models, valid, feature)
        return scores(valid.sets, said >= one(said, valid.sets))["micro_f1"]

    return max(fitted, key=score)


def probability(models: list[Pipeline], seen: Moments, feature: Feature) -> npt.NDArray[np.float32]:
    """Return the probability (N, L) of each label."""
    x = features(seen, feature)
    return np.stack([m.predict_proba(x)[:, 1] for m in models], axis=1).astype(np.float32)


def features(seen: Moments, feature: Feature) -> Floats:
    """Return (N, F): each modality's mean vector, 0 where it is absent, and whether it is there."""
    columns = []
    for kind, pool in seen.pools.items():
        entries = seen.entries[kind]
        means = _means(pool.encoded, feature)
        there = (entries >= 0)[:, None]
        columns += [np.where(there, means[entries], 0.0), there.astype(np.float64)]
    return np.concatenate(columns, axis=1)


def fused(policy: Policy, seen: Moments) -> Opinion:
    """Return TER's fused opinion (N, 7), each sample trusted as far as its quality allows."""
    looks = {k: _present(p.encoded.look, seen.entries[k]) for k, p in seen.pools.items()}
    opinions = {kind: look.opinion for kind, look in looks.items()}
    return policy.weigh(opinions, {kind: look.quality for kind, look in looks.items()}).fused


def _fit(train: Moments, feature: Feature, strength: float) -> list[Pipeline]:
    x = features(train, feature)
    return [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(x, y)
        for y in train.sets.T
    ]


def _means(encoded: Encoded, feature: Feature) -> Floats:
    if feature == "embedding":
        return encoded.embedding.astype(np.float64)
    rows = encoded.sequences
    count = rows.any(axis=2).sum(axis=1, keepdims=True)
    return np.asarray(rows.sum(axis=1, dtype=np.float64) / np.maximum(count, 1))


def _present(look: Look, entries: Indices) -> Look:
    """Return what is believed of entries, nothing of those that are absent."""
    seen, absent = look.at(np.maximum(entries, 0)), entries < 0
    belief = np.where(absent[:, None], 0.0, seen.opinion.belief)
    uncertainty = np.where(absent, 1.0, seen.opinion.uncertainty)
    return Look(Opinion(belief, uncertainty), seen.quality)
