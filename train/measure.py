"""What a trained network is worth on people never trained on, and the head fitted to them.

Heads are fitted on held-out people. So that no figure comes from people that the head was fitted
on, the figures are cross-fitted: people are dealt into five folds, and a head fitted on four
judges the fifth. The exported head is fitted on all of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.fusion import averaging
from engines.opinion import Opinion
from train import pictures, prepare, trust
from train.calibrate import correction, dilution, temperature
from train.density import Gaussians
from train.metrics import rank_correlation, scores
from train.models import build_head
from train.models.calibrated import COMMON, distance, signs
from train.models.edl import evidence_of
from train.prepare import Held
from train.recipe import CalibratedHead, EdlHead, Recipe
from train.results import Results

_FOLDS: Final = 5
Figures = dict[str, float | None]
Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What the network said to every row of a corpus' held-out samples."""

    held: Held
    logits: Tensor
    """(M, 7)"""
    embedding: Tensor
    """(M, D)"""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What heads say to a corpus' samples, and a plain softmax beside them."""

    belief: Float
    """(N, 7) projected probability."""
    confidence: Float
    """(N,) 1 - u"""
    softmax: Float
    """(N, 7) softmax(logits / T), averaged over a sample's rows: the baseline."""


def finished(
    recipe: Recipe, heard: list[Heard], known: Gaussians, run: Path
) -> tuple[nn.Module, Results]:
    """Fit the head, draw the pictures into the run's folder, and return head and results."""
    fitted = fit_head(recipe.head, _together(heard), known)
    judged = _cross_fitted(recipe.head, heard, known)
    metrics: dict[str, Figures] = {}
    for part, said in zip(heard, judged, strict=True):
        _draw(run, part.held, said)
        everyone = np.ones(len(part.held.truth), dtype=np.bool_)
        metrics[part.held.name] = _figures(part.held, said, everyone)
        for stratum in sorted(set(part.held.strata) - {part.held.name}):
            of = np.array([s == stratum for s in part.held.strata])
            metrics[stratum] = _figures(part.held, said, of)
    results = Results(
        temperature=float(fitted["temperature"]),
        n=sum(len(part.held.truth) for part in heard),
        metrics=metrics,
    )
    return build_head(recipe.head, fitted), results


def decisions(heard: Heard) -> npt.NDArray[np.int64]:
    """Return the class (N,) that the network takes each sample for, before any head is fitted."""
    p = _per_sample(torch.softmax(heard.logits, dim=1), heard.held)
    return np.asarray(p.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of all corpora, with the class of each."""

    logits: Tensor
    embedding: Tensor
    truth: npt.NDArray[np.int64]

    def where(self, chosen: Bools) -> "Rows":
        """Return the chosen ones (M,) of them."""
        mask = torch.from_numpy(chosen)
        return Rows(self.logits[mask], self.embedding[mask], self.truth[chosen])


def fit_head(head: CalibratedHead | EdlHead, rows: Rows, known: Gaussians) -> dict[str, Tensor]:
    """Return what `build_head` needs, fitted on rows of people never trained on.

    ``known`` is what was trained on, from which the head `calibrated` takes the distance.
    """
    right = rows.logits.argmax(dim=1).numpy() == rows.truth
    if isinstance(head, EdlHead):
        total = evidence_of(rows.logits.double(), head.evidence).sum(dim=1)
        return {"temperature": torch.tensor(dilution(total.numpy(), rows.logits.shape[1], right))}
    heat = temperature(rows.logits.double().numpy(), rows.truth)
    seen = signs(torch.softmax(rows.logits / heat, dim=1)).double().numpy()
    centres, whiten = (torch.tensor(x, dtype=torch.float32) for x in (known.centres, known.whiten))
    far = distance(rows.embedding, centres, whiten)
    weights = correction(seen, seen[:, 1], right)
    return {
        "temperature": torch.tensor(heat),
        "weights": torch.tensor(weights, dtype=torch.float32),
        "centres": centres,
        "whiten": whiten,
        "tail": torch.stack([far.quantile(COMMON), far.std(correction=0).clamp(min=1e-6)]),
    }


@torch.inference_mode()
def _cross_fitted(
    head: CalibratedHead | EdlHead, heard: list[Heard], known: Gaussians
) -> list[Judged]:
    rows, folds = _together(heard), _folds(heard)
    evidence, softmax = torch.empty_like(rows.logits), torch.empty_like(rows.logits)
    for fold in np.unique(folds):
        others, own = rows.where(folds != fold), torch.from_numpy(folds == fold)
        fitted = build_head(head, fit_head(head, others, known))
        evidence[own] = fitted(rows.logits[own], rows.embedding[own])
        heat = temperature(others.logits.double().numpy(), others.truth)
        softmax[own] = torch.softmax(rows.logits[own] / heat, dim=1)
    sizes = [len(part.logits) for part in heard]
    parts = zip(heard, torch.split(evidence, sizes), torch.split(softmax, sizes), strict=True)
    return [_judged(part.held, e, p) for part, e, p in parts]


def _judged(held: Held, evidence: Tensor, softmax: Tensor) -> Judged:
    """Average the rows of each sample, as an engine does."""
    opinions = [
        averaging([Opinion.from_evidence(e) for e in evidence[own].numpy()])
        for own in prepare.owners(held)
    ]
    return Judged(
        np.stack([opinion.projected for opinion in opinions]),
        np.array([1 - opinion.uncertainty for opinion in opinions]),
        _per_sample(softmax, held),
    )


def _per_sample(rows: Tensor, held: Held) -> Float:
    """Return the mean (N, 7) of every sample's rows (M, 7)."""
    return np.stack([rows[own].double().mean(dim=0).numpy() for own in prepare.owners(held)])


def _together(heard: list[Heard]) -> Rows:
    return Rows(
        torch.cat([part.logits for part in heard]),
        torch.cat([part.embedding for part in heard]),
        np.concatenate([part.held.truth[part.held.owner] for part in heard]),
    )


def _folds(heard: list[Heard]) -> npt.NDArray[np.int64]:
    """Return the fold (M,) of every row: people are dealt in the order that they appear."""
    people = [part.held.people[i] for part in heard for i in part.held.owner]
    order = {who: i % _FOLDS for i, who in enumerate(dict.fromkeys(people))}
    return np.array([order[who] for who in people])


def _figures(held: Held, said: Judged, of: Bools) -> Figures:
    """Return the figures of some samples (N,): decisions, trust, and softmax's beside it."""
    truth, guess = held.truth[of], said.belief[of].argmax(axis=1)
    figures: Figures = {**scores(truth, guess)}
    figures |= _trust(truth, said.belief[of], said.confidence[of])
    plain = _trust(truth, said.softmax[of], said.softmax[of].max(axis=1))
    figures |= {f"softmax_{name}": value for name, value in plain.items()}
    votes = held.targets[of].astype(np.float64)
    if (votes.max(axis=1) < 1).any():
        entropy = -(votes * np.log(votes.clip(1e-12))).sum(axis=1)
        figures["rater_entropy_correlation"] = rank_correlation(-said.confidence[of], entropy)
    return figures


def _trust(truth: npt.NDArray[np.int64], p: Float, confidence: Float) -> Figures:
    right = p.argmax(axis=1) == truth
    return {
        "ece": trust.ece(right, confidence),
        "nll": trust.nll(p, truth),
        "error_auroc": trust.error_auroc(right, confidence),
        "aurc": trust.aurc(right, confidence),
    }


def _draw(run: Path, held: Held, said: Judged) -> None:
    guess, name = said.belief.argmax(axis=1), held.name.replace("/", "-")
    right = guess == held.truth
    pictures.reliability_diagram(run / f"{name}-reliability.png", right, said.confidence)
    pictures.risk_coverage_curve(run / f"{name}-risk.png", right, said.confidence)
    pictures.confusion_matrix(run / f"{name}-confusion.png", held.truth, guess)
