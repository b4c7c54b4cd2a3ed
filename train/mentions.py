"""Fit which emotion words of an explanation are meant, and measure it on unseen explanations.

    python -m train.mentions --texts CSV --truth CSV --wheels DIR [--write JSON]

Five folds of clips: the model is fitted, and its threshold chosen, on four and scored on the
fifth. Beside it stand two lexicons that take every word that they know: of the whole text, and of
its last two sentences. Figures are in percent, on wheels (`train.open_vocabulary`).
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.command import say
from engines.mentions import FEATURES, Weights, fitted, labels_in, mentioned
from train.open_vocabulary import Labels, on_wheels, read_labels
from train.wheels import Wheel, WordsError, read_wheels

FOLDS = 5
_RIDGE = 3.0
_THRESHOLDS = np.arange(0.2, 0.7, 0.05)
Array = npt.NDArray[np.float64]


def main() -> None:
    """Print the table, and write the model of all clips where asked to."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--texts", type=Path, required=True, help="columns name and english")
    asked.add_argument("--truth", type=Path, required=True, help="columns name and openset")
    asked.add_argument("--wheels", type=Path, required=True)
    asked.add_argument("--write", type=Path, help="where the model of all clips goes")
    given = asked.parse_args()
    try:
        _run(given)
    except WordsError as error:
        say("train.mentions", str(error))
        sys.exit(2)


def _run(given: argparse.Namespace) -> None:
    truth, wheels = read_labels(given.truth), read_wheels(given.wheels)
    texts = read_texts(given.texts)
    if missing := sorted(truth.keys() - texts.keys()):
        raise WordsError(given.texts, f"it has no text of clip {missing[0]}")
    print("| words from | F | accuracy | recall | words per clip |\n" + "| --- " * 5 + "|")
    for name, found in compared(texts, truth, wheels).items():
        score = on_wheels(truth, found, wheels).agreement
        count = np.mean([len(words) for words in found.values()])
        shares = " | ".join(f"{100 * v:.1f}" for v in (score.f, score.accuracy, score.recall))
        print(f"| {name} | {shares} | {count:.1f} |")
    if given.write:
        write(given.write, fit(texts, truth, wheels, sorted(truth)))


def compared(
    texts: Mapping[str, str], truth: Labels, wheels: Sequence[Wheel]
) -> dict[str, dict[str, list[str]]]:
    """Return the words of each clip, by what found them."""
    known = wheels[0].lexicon.forms.keys() | set().union(*(wheel.on_it for wheel in wheels))
    return {
        "all words of a lexicon": {n: _known(texts[n], known) for n in truth},
        "those of the last two sentences": {n: _known(_ending(texts[n]), known) for n in truth},
        "ours, five folds": by_folds(texts, truth, wheels),
    }


def by_folds(
    texts: Mapping[str, str], truth: Labels, wheels: Sequence[Wheel]
) -> dict[str, list[str]]:
    """Return the words of each clip, by a model that was fitted without its fold."""
    clips = sorted(truth)
    fold = np.random.default_rng(0).permutation(len(clips)) % FOLDS
    found: dict[str, list[str]] = {}
    for held_out in range(FOLDS):
        weights = fit(
            texts, truth, wheels, [c for c, n in zip(clips, fold, strict=True) if n != held_out]
        )
        for clip in (c for c, n in zip(clips, fold, strict=True) if n == held_out):
            found[clip] = _words(texts[clip], weights)
    return found


def fit(
    texts: Mapping[str, str], truth: Labels, wheels: Sequence[Wheel], clips: Sequence[str]
) -> Weights:
    """Fit the weights, and then the threshold, on clips.

    A mentioned word counts as meant where most wheels that know it have it in a true sector.
    """
    rows = [(clip, *mentioned(texts[clip])) for clip in clips]
    features = np.concatenate([each for _, _, each in rows])
    meant = [_meant(word, truth[clip], wheels) for clip, words, _ in rows for word in words]
    slopes, bias = logistic(features, np.array(meant, np.float64))
    true = {clip: truth[clip] for clip in clips}

    def score(threshold: float) -> float:
        weights = Weights(slopes, bias, threshold)
        found = {clip: _words(texts[clip], weights) for clip in clips}
        return on_wheels(true, found, wheels).agreement.f

    return Weights(slopes, bias, round(float(max(_THRESHOLDS, key=score)), 3))


def logistic(features: Array, meant: Array) -> tuple[Array, float]:
    """Return slopes (F,) and bias of a logistic regression with a ridge on standardised features,
    by Newton's method."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    x = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    ridge = np.diag([*np.full(features.shape[1], _RIDGE), 0.0])
    w = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ w))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge
        w += np.linalg.solve(curvature, x.T @ (meant - p) - ridge @ w)
    slopes = w[:-1] / spread
    return slopes, float(w[-1] - slopes @ mean)


def write(path: Path, weights: Weights) -> None:
    """Write a model as `engines.mentions` ships it."""
    slopes = dict(zip(FEATURES, (round(float(w), 4) for w in weights.slopes), strict=True))
    shown: dict[str, Any] = {"slopes": slopes, "bias": round(weights.bias, 4)}
    path.write_text(json.dumps({**shown, "threshold": weights.threshold}, indent=2) + "\n")


def read_texts(path: Path) -> dict[str, str]:
    """Read a CSV with the columns name and english; raise WordsError."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return {row["name"]: row["english"] or "" for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise WordsError(path, "it needs the columns name and english") from error


def label_texts(texts: Path, output: Path) -> None:
    """Write a CSV with the columns name and openset: the words that each text means."""
    found = [(name, _words(text, fitted())) for name, text in read_texts(texts).items()]
    try:
        with output.open("w", encoding="utf-8", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(["name", "openset"])
            rows.writerows((name, repr(words)) for name, words in found)
    except OSError as error:
        raise WordsError(output, error.strerror or str(error)) from error


def _words(text: str, weights: Weights) -> list[str]:
    return [label.word for label in labels_in(text, weights)]


def _meant(word: str, true: Sequence[str], wheels: Sequence[Wheel]) -> bool:
    known = [
        sector in wheel.sectors(true)
        for wheel in wheels
        if (sector := wheel.sector(word)) is not None
    ]
    return bool(np.mean(known) > 0.5) if known else word in true


def _known(text: str, known: set[str]) -> list[str]:
    return list(dict.fromkeys(w for w in re.findall(r"[a-z][a-z'-]*", text.lower()) if w in known))


def _ending(text: str) -> str:
    sentences = [part for part in re.split(r"(?<=[.!?;])\s+", text.strip()) if part.strip()]
    return " ".join(sentences[-2:])


if __name__ == "__main__":
    main()
