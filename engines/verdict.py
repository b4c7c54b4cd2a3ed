"""The trust policy: opinions of several modalities → one emotion, and whether to trust it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from engines.errors import CredenceError
from engines.fusion import Rule, combine, discount_conflict, largest_conflict
from engines.labels import EMOTIONS, Emotion
from engines.manifest import (
    BrokenBundleError,
    Modality,
    PolicyManifest,
    Threshold,
    check_files,
    read_manifest,
)
from engines.opinion import Opinion

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
        super().__init__(
            f"{path}: this policy was fitted with {kind} engine {expected}, not {found}; "
            f"set engines.policy to none to run without a certified threshold"
        )
        self.path, self.kind, self.expected, self.found = path, kind, expected, found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made public: the emotion, how sure, and whether that is sure enough to act on."""

    emotion: Emotion | None
    """None when no modality had any evidence."""
    confidence: float
    """In [0, 1]: the projected probability of `emotion`; 0 without one."""
    trusted: bool
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """One window, judged: each modality's opinion as far as it is trusted, and their sum."""

    trust: Mapping[Modality, float]
    """By modality, the discount in [0, 1] that was applied before conflict."""
    fused: Opinion
    conflict: float
    """In [0, 1], the largest between any two modalities."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """How opinions are combined and from which confidence on the result is trusted."""

    name: str
    hash: str
    rule: Rule
    reliability: Mapping[Modality, float]
    """In [0, 1], how far each modality is trusted at its best; 1 where none is stated."""
    thresholds: Mapping[str, Threshold | None]

    def judge(self, opinions: Mapping[Modality, Opinion]) -> Judgement:
        """Discount, combine and decide. A missing modality may be left out: it is vacuous."""
        trust = {m: self.reliability.get(m, 1.0) for m in opinions}
        views = [opinions[m].discount(trust[m]) for m in opinions] or [_NOTHING]
        fused = combine(discount_conflict(views), self.rule)
        present = [m for m, opinion in opinions.items() if opinion.uncertainty < 1.0]
        return Judgement(
            trust=MappingProxyType(trust),
            fused=fused,
            conflict=float(largest_conflict(views)),
            verdict=self._decide(fused, present),
        )

    def _decide(self, fused: Opinion, present: list[Modality]) -> Verdict:
        if not present or fused.uncertainty >= 1.0:
            return Verdict(None, 0.0, False, Reason.NO_EVIDENCE)
        best = int(fused.projected.argmax())
        confidence = float(fused.projected[best])
        threshold = self.thresholds.get("+".join(sorted(present)))
        if threshold is None:
            reason = Reason.UNCERTIFIED
        elif confidence < threshold.confidence:
            reason = Reason.BELOW_THRESHOLD
        else:
            reason = Reason.CERTIFIED
        return Verdict(EMOTIONS[best], confidence, reason is Reason.CERTIFIED, reason)


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
    return Policy(manifest.name, digest, manifest.rule, manifest.reliability, manifest.thresholds)
