"""Other engines for a node that runs: opened beside the old, checked, and seated or refused."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal, Self, overload

import structlog
from pydantic import AfterValidator

from engines.engine import Engine, open_engine
from engines.errors import CredenceError
from engines.manifest import Kind, Modality
from engines.multilabel import MultilabelEngine, MultilabelMismatchError
from engines.verdict import MODALITIES, PolicyMismatchError
from engines.verify import verify
from streamer import addresses
from streamer.ensemble import (
    AnyEngine,
    Ensemble,
    Panel,
    Trial,
    folder_of,
    open_on,
    with_policy,
)
from streamer.wire import Wire
from streamer.worker import Worker

log = structlog.get_logger()

TRIAL_S: Final = 10.0
"""An answer waits so long for every new engine to have judged a window."""

_NOBODY: Final = "nothing judges, as every engine is none"

Outcome = Literal["swapped", "on trial", "unchanged", "refused", "taken back"]


class SwapRefusedError(CredenceError):
    """What is asked for cannot be done. The engines before go on."""


Choice = Annotated[str, AfterValidator(addresses.path)]


class Wanted(Wire):
    """What shall judge: each `shipped`, `none` or a bundle's folder; what is null stays."""

    face: Choice | None = None
    voice: Choice | None = None
    text: Choice | None = None
    policy: Choice | None = None
    multilabel: Choice | None = None

    def choices(self) -> dict[str, str]:
        """Return what is not to stay as it is."""
        return {kind: choice for kind, choice in self if choice is not None}

    def within(self, folder: Path) -> Self:
        """Take each name as that of a bundle in ``folder``; refuse what leads out of there."""
        for kind, choice in self.choices().items():
            if not re.fullmatch(r"\w[\w.-]*", choice, re.ASCII):
                raise SwapRefusedError(
                    f"{kind} must be shipped, none, or the plain name of a bundle in mqtt.swap_from"
                )
        return self.model_copy(
            update={
                kind: choice if choice in ("shipped", "none") else str(folder / choice)
                for kind, choice in self.choices().items()
            }
        )


class Sitting(Wire):
    """Who judges, by their hashes, as in every event."""

    engines: dict[Kind, str]
    policy: str

    @classmethod
    def of(cls, ensemble: Ensemble) -> Self:
        """Name an ensemble."""
        return cls(engines=ensemble.hashes, policy=ensemble.policy.hash)

    def __str__(self) -> str:
        named = (*self.engines.items(), ("policy", self.policy))
        return ", ".join(f"{kind} {hashed}" for kind, hashed in named)


class Answer(Wire):
    """What came of a swap."""

    outcome: Outcome
    sentence: str
    """For people."""
    before: Sitting
    now: Sitting


class Swapper:
    """Swaps the engines of a panel, one swap at a time; ``tell`` is given every answer, also that
    of a trial that ends later."""

    def __init__(
        self,
        panel: Panel,
        tell: Callable[[Answer], None] = lambda _: None,
        trial_s: float = TRIAL_S,
    ) -> None:
        self._panel, self._tell, self._trial_s = panel, tell, trial_s
        self._worker = Worker("swap")
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """Let the thread end."""
        self._worker.close()

    async def swap(self, asked: Callable[[], Wanted]) -> Answer:
        """Seat what is asked for if it can judge. Never raises; a refusal changes nothing."""
        async with self._turn:
            answer = await self._swap(asked)
        self._tell(answer)
        return answer

    async def _swap(self, asked: Callable[[], Wanted]) -> Answer:
        before = self._panel.sitting
        try:
            new = await self._opened(before, asked)
        except CredenceError as error:
            return self._answer("refused", before, f"{_plain(error)}; nothing was swapped")
        if Sitting.of(new) == Sitting.of(before):
            who = f"these judge already: {Sitting.of(before)}" if before.engines else _NOBODY
            return self._answer("unchanged", before, f"nothing to swap, {who}")
        trial = self._panel.seat(new)
        log.info("engines swapped", before=str(Sitting.of(before)), now=str(Sitting.of(new)))
        await asyncio.wait([trial.ended], timeout=self._trial_s)
        if trial.ended.done():
            return self._result(before, trial)
        trial.ended.add_done_callback(
            lambda ended: None if ended.cancelled() else self._tell(self._result(before, trial))
        )
        waiting = ", ".join(sorted(trial.unproven))
        said = f"now judge {Sitting.of(new)}; on trial until there is something to judge: {waiting}"
        return self._answer("on trial", before, said)

    async def _opened(self, before: Ensemble, asked: Callable[[], Wanted]) -> Ensemble:
        try:
            new = await self._worker.run(lambda: opened(before, asked(), self._panel.device))
        except CredenceError:
            raise
        except Exception as error:
            await self._worker.run(log.error, "engines could not be swapped", exc_info=error)
            what = type(error).__name__
            raise SwapRefusedError(f"unexpected: {what}, see the node's log") from error
        if self._panel.sitting is not before:
            raise SwapRefusedError("the engines before were taken back meanwhile; ask again")
        return new

    def _result(self, before: Ensemble, trial: Trial) -> Answer:
        if error := trial.ended.result():
            said = f"the new engines failed and were taken back: {_plain(error)}"
            return self._answer("taken back", before, said)
        now = self._panel.sitting
        said = f"now judge {Sitting.of(now)}" if now.engines else f"now {_NOBODY}"
        return self._answer("swapped", before, said)

    def _answer(self, outcome: Outcome, before: Ensemble, sentence: str) -> Answer:
        now = Sitting.of(self._panel.sitting)
        return Answer(outcome=outcome, sentence=sentence, before=Sitting.of(before), now=now)


def opened(before: Ensemble, wanted: Wanted, device: str | None = None) -> Ensemble:
    """Return the ensemble with what is wanted, checked and opened on a device. Blocks.

    Raises a CredenceError where a bundle is damaged, of another kind or built for other
    preprocessing, does not compute its reference, or where the policy was not fitted, or the
    multilabel engine not trained, with the engines.
    """
    choices = wanted.choices()
    engines = {
        kind: engine
        for kind in MODALITIES
        if (engine := _checked(kind, choices.get(kind), before.engines.get(kind)))
    }
    ensemble = _decided(engines, choices.get("policy"), before)
    several = _checked("multilabel", choices.get("multilabel"), before.multilabel)
    if several:
        _fits(several, engines, by_choice="multilabel" in choices)
        ensemble = replace(ensemble, multilabel=several)
    if device is None:
        return ensemble
    # Last, as a plan may have to be built.
    old = before.everyone.values()
    return replace(
        ensemble,
        engines={k: e if e in old else _moved(e, device) for k, e in engines.items()},
        multilabel=_moved(several, device) if several and several not in old else several,
    )


@overload
def _checked(
    kind: Literal["multilabel"], choice: str | None, old: MultilabelEngine | None
) -> MultilabelEngine | None: ...
@overload
def _checked(kind: Modality, choice: str | None, old: Engine | None) -> Engine | None: ...
def _checked(
    kind: Kind, choice: str | None, old: Engine | MultilabelEngine | None
) -> Engine | MultilabelEngine | None:
    """Open an engine on the portable runtime, whose reference it is."""
    if choice is None:
        return old
    if (folder := folder_of(choice, kind)) is None:
        return None
    engine = open_engine(folder, kind)
    if old and engine.hash == old.hash:
        return old
    verify(engine)
    return engine


def _moved(engine: AnyEngine, device: str) -> AnyEngine:
    moved = open_on(device, engine.path, engine.manifest.kind)
    if moved.hash != engine.hash:  # building takes a while, and the policy is for what was checked
        raise SwapRefusedError(f"{engine.path.name} was changed meanwhile; ask again")
    return moved


def _fits(
    several: MultilabelEngine, engines: Mapping[Modality, Engine], *, by_choice: bool
) -> None:
    try:
        several.check_encoders({kind: engine.hash for kind, engine in engines.items()})
    except MultilabelMismatchError as error:
        which = several.path.name if by_choice else "the multilabel engine that runs"
        raise SwapRefusedError(
            f"{which} {_knows(error, 'trained on')};"
            " also give a multilabel engine trained on it, or none to go without"
        ) from error


def _decided(engines: Mapping[Modality, Engine], policy: str | None, before: Ensemble) -> Ensemble:
    path = before.policy_path if policy is None else folder_of(policy, "policy")
    if policy is None and (engines == before.engines or path is None):
        return Ensemble(engines, before.policy, path)
    try:
        return with_policy(engines, path)
    except PolicyMismatchError as error:
        which = "the policy that runs" if policy is None else error.path.name
        raise SwapRefusedError(
            f"{which} {_knows(error, 'fitted with')};"
            " also give a policy fitted with it, or none to trust nothing"
        ) from error


def _knows(error: PolicyMismatchError | MultilabelMismatchError, verb: str) -> str:
    if error.expected == "none":
        return f"knows no {error.kind} engine"
    return f"was {verb} {error.kind} engine {error.expected}, not {error.found}"


def _plain(error: Exception) -> str:
    """Leave the folder's path out: answers are published."""
    path = getattr(error, "path", None)
    said = str(error) or type(error).__name__
    return said.replace(str(path), path.name) if isinstance(path, Path) else said
