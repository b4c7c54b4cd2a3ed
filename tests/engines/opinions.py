"""Opinions that are sure of an emotion, as engines might give them."""

import numpy as np

from engines.engine import Answer
from engines.fusion import averaging
from engines.labels import EMOTIONS, Emotion
from engines.opinion import Opinion


def sure_of(*emotions: Emotion, strength: float = 20.0) -> Opinion:
    """Return an opinion for each row."""
    evidence = np.zeros((len(emotions), len(EMOTIONS)))
    for row, emotion in zip(evidence, emotions, strict=True):
        row[EMOTIONS.index(emotion)] = strength
    return Opinion.from_evidence(evidence)


def answer(rows: Opinion) -> Answer:
    each = [Opinion(b, u) for b, u in zip(rows.belief, rows.uncertainty, strict=True)]
    return Answer(averaging(each), rows, np.ones((len(each), 4), np.float32))


def one(emotion: Emotion, strength: float = 20.0) -> Opinion:
    return answer(sure_of(emotion, strength=strength)).opinion
