"""The trust policy: opinions of several modalities → one emotion, and whether to trust it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.fusion import Rule, combine, discount_conflict, largest_conflict
from engines.labels import EMOTIONS, Emotion
from engines.manifest import (
    BrokenBundleError,
    Curve,
    Modality,
    PolicyManifest,
    Threshold,
    check_files,
    read_manifest,
)
from engines.opinion import Array, Opinion
from engines.quality import MEASURES, Quality

MODALITIES: Final[tuple[Modality, ...]] = ("face", "voice", "text")


class Reason(StrEnum):
    """Why a verdict is trusted or not."""

    CERTIFIED = "certified"
    BELOW_THRESHOLD = "below_threshold"
    UNCERTIFIED = "uncertified"
    NO_EVIDENCE = "no_evidence"


class PolicyMismatchError(CredenceError):
    """A policy was fitted with other engines than those that run."""

    def __init__(self, path: Path, kind: str, *, expected: str, found: str) -> None:
        if expected == "none":
            problem = f"this policy knows no {kind} engine; set engines.{kind} to none"
        else:
            problem = f"this policy was fitted with {kind} engine {expected}, not {found}; name it"
        super().__init__(
            f"{path}: {problem}, or set engines.policy to none to run without a certified threshold"
        )
        self.path, self.kind, self.expected, self.found = path, kind, expected, found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made public: the emotion, how sure, and whether that is sure enough to act on."""

    emotion: Emotion | None
    """None when no modality had any evidence."""
    confidence: float
    """In [0, 1]: the probability that `emotion` is right, as far as the policy is calibrated, and
    the projected probability where it is not; 0 without an emotion."""
    trusted: bool
    reason: Reason
    threshold: Threshold | None = None
    """What the policy certifies for the present modalities, reached or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """One window, judged: each modality's opinion as far as it is trusted, and their sum."""

    trust: Mapping[Modality, float]
    """By modality, the discount in [0, 1] that was applied before conflict: its reliability times
    the least that its quality allows."""
    fused: Opinion
    conflict: float
    """In [0, 1], the largest between any two modalities."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Opinions of one sample or of a batch (...), discounted and combined."""

    trust: Mapping[Modality, Array]
    """(...) or one for all."""
    fused: Opinion
    conflict: Array
    """(...)"""


@dataclass(frozen=True, slots=True)
class Policy:
    """How opinions are combined and from which confidence on the result is trusted."""

    name: str
    hash: str
    rule: Rule
    reliability: Mapping[Modality, float]
    """In [0, 1], how far each modality is trusted at its best; 1 where none is stated."""
    thresholds: Mapping[str, Threshold | None]
    quality: Mapping[Modality, Mapping[str, Curve]] = field(default_factory=dict)
    """By measure, the trust at each of its values."""
    calibration: Mapping[str, Curve] = field(default_factory=dict)
    """By present modalities, the confidence at each highest projected probability."""

    def judge(
        self,
        opinions: Mapping[Modality, Opinion],
        qualities: Mapping[Modality, Quality] = MappingProxyType({}),
        shared: float = 1.0,
    ) -> Judgement:
        """Discount, combine and decide. A missing modality may be left out: it is vacuous.

        ``shared`` in [0, 1] is how far what is combined is of one time. It discounts the sum
        (Shafer 1976), so the less there is, the less is trusted; a discount of one modality would
        take its dissent away, too. Ours.
        """
        weighed = self.weigh(opinions, qualities)
        fused = weighed.fused.discount(shared) if shared < 1.0 else weighed.fused
        present = [m for m, opinion in opinions.items() if opinion.uncertainty < 1.0]
        return Judgement(
            trust=MappingProxyType({m: float(t) for m, t in weighed.trust.items()}),
            fused=fused,
            conflict=float(weighed.conflict),
            verdict=self._decide(fused, present),
        )

    def weigh(
        self,
        opinions: Mapping[Modality, Opinion],
        qualities: Mapping[Modality, Mapping[str, npt.ArrayLike]],
    ) -> Weighed:
        """Discount and combine one sample, or a batch of them at once."""
        trust = {m: self._trust(m, qualities.get(m, {})) for m in opinions}
        views = [opinions[m].discount(trust[m]) for m in opinions] or [_NOTHING]
        return Weighed(trust, combine(discount_conflict(views), self.rule), largest_conflict(views))

    def _trust(self, modality: Modality, quality: Mapping[str, npt.ArrayLike]) -> Array:
        """Reliability times the least of what the measures allow; what was not measured is free.

        The least, since measures overlap (a far face is small and blurred): a product would
        count one fault twice. Ours.
        """
        curves = self.quality.get(modality, {})
        allowed = [read_off(curve, quality[m]) for m, curve in curves.items() if m in quality]
        least = np.min(allowed, axis=0) if allowed else 1.0
        return np.asarray(self.reliability.get(modality, 1.0) * least)

    def _decide(self, fused: Opinion, present: list[Modality]) -> Verdict:
        if not present or fused.uncertainty >= 1.0:
            return Verdict(None, 0.0, False, Reason.NO_EVIDENCE)
        best = int(fused.projected.argmax())
        together = joined(present)
        confidence = float(fused.projected[best])
        if curve := self.calibration.get(together):
            confidence = float(read_off(curve, confidence))
        threshold = self.thresholds.get(together)
        if threshold is None:
            reason = Reason.UNCERTIFIED
        elif confidence < threshold.confidence:
            reason = Reason.BELOW_THRESHOLD
        else:
            reason = Reason.CERTIFIED
        trusted = reason is Reason.CERTIFIED
        return Verdict(EMOTIONS[best], confidence, trusted, reason, threshold)


UNCERTIFIED: Final = Policy(
    "none", "none", Rule.DEMPSTER, MappingProxyType({}), MappingProxyType({})
)
"""What runs when no policy is given: opinions are combined, nothing is trusted."""

_NOTHING = Opinion.vacuous(len(EMOTIONS))


def open_policy(path: Path, engines: Mapping[Modality, str]) -> Policy:
    """Open the policy in a folder for engines with these hashes.

    Raises BrokenBundleError if it is damaged and PolicyMismatchError if one of the engines is
    not the one that the policy was fitted with. A policy may know more engines than run.
    """
    manifest, digest = read_manifest(path)
    if not isinstance(manifest, PolicyManifest):
        raise BrokenBundleError(path, f"this is a {manifest.kind} bundle, where a policy is wanted")
    check_files(path, manifest.files)
    for kind, found in engines.items():
        expected = manifest.engines.get(kind, "none")
        if found != expected:
            raise PolicyMismatchError(path, kind, expected=expected, found=found)
    for kind, curves in manifest.quality.items():
        if unknown := curves.keys() - MEASURES[kind].keys():
            raise BrokenBundleError(
                path,
                f"quality.{kind} has no measure {min(unknown)}, only {', '.join(MEASURES[kind])};"
                f" fit the policy again",
            )
    return Policy(
        name=manifest.name,
        hash=digest,
        rule=manifest.rule,
        reliability=manifest.reliability,
        thresholds=manifest.thresholds,
        quality=manifest.quality,
        calibration=manifest.calibration,
    )


def joined(kinds: Iterable[Modality]) -> str:
    """Return the key by which a policy knows a set of modalities: sorted and joined by +."""
    return "+".join(sorted(kinds))


def read_off(curve: Curve, x: npt.ArrayLike) -> Array:
    """Return the height (...) of a curve at places (...); beyond its ends, that of the end."""
    height: Array = np.interp(np.asarray(x, dtype=np.float64), *curve)
    return height
