"""The engines that judge together, and how others take their place while cameras run."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar, overload

import structlog

from engines.engine import BUNDLES, Engine, open_engine
from engines.errors import CredenceError
from engines.manifest import Kind, Modality
from engines.multilabel import MultilabelEngine
from engines.verdict import UNCERTIFIED, Policy, open_policy
from streamer import config

log = structlog.get_logger()

AnyEngine = TypeVar("AnyEngine", Engine, MultilabelEngine)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """The engines that run, and the policy over them."""

    engines: Mapping[Modality, Engine]
    policy: Policy
    policy_path: Path | None = None
    """The folder that the policy was opened from, if any."""
    multilabel: MultilabelEngine | None = None
    """Tells several emotions at once from what the engines make of a window, where wanted."""

    @property
    def everyone(self) -> dict[Kind, Engine | MultilabelEngine]:
        """Every engine that runs, by what it is for."""
        everyone: dict[Kind, Engine | MultilabelEngine] = dict(self.engines.items())
        if self.multilabel:
            everyone["multilabel"] = self.multilabel
        return everyone

    @property
    def hashes(self) -> dict[Kind, str]:
        """The hash of each engine, by what it is for."""
        return {kind: engine.hash for kind, engine in self.everyone.items()}


def open_ensemble(settings: config.Engines, *, multilabel: bool = False) -> Ensemble:
    """Open every engine that is configured; raise a CredenceError that says what is wrong.

    With ``multilabel`` several emotions are told, too.
    """
    chosen: dict[Modality, str] = {
        "face": settings.face,
        "voice": settings.voice,
        "text": settings.text,
    }
    engines = {
        kind: open_on(settings.device, folder, kind)
        for kind, choice in chosen.items()
        if (folder := folder_of(choice, kind))
    }
    ensemble = with_policy(engines, folder_of(settings.policy, "policy"))
    if not multilabel:
        return ensemble
    folder = folder_of(settings.multilabel, "multilabel")
    if folder is None:
        raise CredenceError(
            "engines.multilabel is none, so nobody tells several emotions; name an engine there,"
            " or set recognition.multilabel to false"
        )
    several = open_on(settings.device, folder, "multilabel")
    several.check_encoders({kind: engine.hash for kind, engine in engines.items()})
    return replace(ensemble, multilabel=several)


@overload
def open_on(device: str | None, folder: Path, kind: Literal["multilabel"]) -> MultilabelEngine: ...
@overload
def open_on(device: str | None, folder: Path, kind: Modality) -> Engine: ...
def open_on(device: str | None, folder: Path, kind: Kind) -> Engine | MultilabelEngine:
    """Open a bundle for a device, as `open_engine` does, and log what there is to know."""
    return open_engine(folder, kind, device, tell=log.info, lost=log.warning)


def warn_of_lacking(ensemble: Ensemble) -> None:
    """Log what runs an engine that has to go without its plan, or the GPU that is asked for."""
    for kind, engine in ensemble.everyone.items():
        if engine.lacking:
            log.warning(f"engine {kind} runs on {engine.choice}")


def with_policy(engines: Mapping[Modality, Engine], path: Path | None) -> Ensemble:
    """Open the policy in a folder, fitted with these engines; None trusts nothing."""
    if path is None:
        return Ensemble(engines, UNCERTIFIED)
    hashes = {kind: engine.hash for kind, engine in engines.items()}
    return Ensemble(engines, open_policy(path, hashes), path)


def folder_of(choice: str, name: str) -> Path | None:
    """Return where the bundle lies that is configured as `shipped`, `none` or a path."""
    if choice == "none":
        return None
    return BUNDLES / name if choice == "shipped" else Path(choice)


@dataclass(slots=True, eq=False)
class Trial:
    """New engines until each has judged: should one fail before, those before are put back."""

    before: Ensemble
    unproven: set[Kind]
    ended: "asyncio.Future[Exception | None]"
    """What failed, if anything did. Cancelled when others are seated before it ends."""

    def end(self, failed: Exception | None = None) -> None:
        """Settle how it went."""
        if not self.ended.done():
            self.ended.set_result(failed)


@dataclass(slots=True, eq=False)
class Panel:
    """Who judges for all cameras of a process. Each window is judged by one ensemble throughout:
    the one that sits when its judging begins."""

    sitting: Ensemble
    device: str | None = None
    """Where newcomers run, as `open_engine` takes it."""
    hears_words: bool = True
    """Whether there are words to judge. Else a text engine has nothing to prove itself on."""
    without_emotions: int = 0
    """How often the multilabel engine failed: for an update and its final, twice."""
    _trial: Trial | None = field(default=None, init=False)
    _complained: str = field(default="", init=False)
    _wrap: Callable[[Ensemble], Ensemble] = field(default=lambda same: same, init=False)

    def wrap(self, each: Callable[[Ensemble], Ensemble]) -> None:
        """Let ``each`` make of who sits, and of all who are seated later, who sits instead.

        What it has made before it returns with the same engines.
        """
        self._wrap = each
        self.sitting = each(self.sitting)

    def seat(self, newcomer: Ensemble) -> Trial:
        """Let others judge from the next window on; needs a running loop."""
        newcomer, before = self._wrap(newcomer), self.sitting
        if self._trial:  # those who are themselves on trial are nothing to go back to
            before = self._trial.before
            self._trial.ended.cancel()
        unproven = {
            kind
            for kind, engine in newcomer.everyone.items()
            if engine is not before.everyone.get(kind) and (kind != "text" or self.hears_words)
        }
        trial = Trial(before, unproven, asyncio.get_running_loop().create_future())
        self.sitting, self._trial = newcomer, trial
        self._end_if_proven(trial)
        return trial

    def judged(self, ensemble: Ensemble, kinds: Collection[Kind]) -> None:
        """Note that these engines of an ensemble have judged a window."""
        if self._trial and ensemble is self.sitting:
            self._trial.unproven.difference_update(kinds)
            self._end_if_proven(self._trial)

    def instead_of(
        self, failed: Ensemble, kinds: Collection[Kind], error: Exception
    ) -> Ensemble | None:
        """Return who judges the window, with which an ensemble failed, of what these engines judge.

        Engines on trial give way to those before them. None where nobody can judge it: engines
        that have judged before are not at fault.
        """
        if failed is not self.sitting:
            return self.sitting
        if (trial := self._trial) is None or trial.unproven.isdisjoint(kinds):
            return None
        self.sitting, self._trial = trial.before, None
        log.warning(
            f"the new engines failed, those before them judge again: {error}",
            error=type(error).__name__,
            **self.sitting.hashes,
        )
        trial.end(error)
        return self.sitting

    def spares(self, failed: Ensemble, error: Exception) -> bool:
        """Tell whether a window goes on without several emotions, as their engine failed.

        Not while that is on trial, or others sit by now: those judge the window. The first failure
        of an engine is said.
        """
        on_trial = self._trial and "multilabel" in self._trial.unproven
        if failed is not self.sitting or on_trial:
            return False
        self.without_emotions += 1
        if (hashed := failed.hashes["multilabel"]) != self._complained:
            self._complained = hashed
            log.warning(
                f"events go without several emotions, as their engine failed: {error}",
                error=type(error).__name__,
            )
        return True

    def _end_if_proven(self, trial: Trial) -> None:
        if not trial.unproven:
            self._trial = None
            trial.end()
