"""Windows → opinions: every engine judges what the window holds for it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.engine import BUNDLES, Engine, open_engine
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED, Policy, open_policy
from streamer import config
from streamer.event import Absence
from streamer.flow import Recognised, Window
from streamer.worker import Worker


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The engines that run, and the policy over them."""

    engines: Mapping[Modality, Engine]
    policy: Policy

    @property
    def hashes(self) -> dict[Modality, str]:
        """The hash of each engine, by modality."""
        return {kind: engine.hash for kind, engine in self.engines.items()}


def open_ensemble(settings: config.Engines) -> Ensemble:
    """Open every engine that is configured; raise a CredenceError that says what is wrong."""
    chosen: dict[Modality, str] = {
        "face": settings.face,
        "voice": settings.voice,
        "text": settings.text,
    }
    engines = {
        kind: open_engine(_folder(choice, kind), kind)
        for kind, choice in chosen.items()
        if choice != "none"
    }
    if settings.policy == "none":
        return Ensemble(engines, UNCERTIFIED)
    hashes = {kind: engine.hash for kind, engine in engines.items()}
    return Ensemble(engines, open_policy(_folder(settings.policy, "policy"), hashes))


async def recognise(
    windows: AsyncIterator[Window], ensemble: Ensemble, worker: Worker
) -> AsyncIterator[Recognised]:
    """Judge each window by every modality, in order."""
    async for window in windows:
        yield await worker.run(judge, window, ensemble)


def judge(window: Window, ensemble: Ensemble) -> Recognised:
    """Return each modality's opinion of a window, or why there is none. Blocks."""
    inputs = {"face": window.face, "voice": window.voice}
    opinions: dict[Modality, Opinion] = {}
    absent: dict[Modality, Absence] = {"text": "no_text", **window.absent}
    for kind, engine in ensemble.engines.items():
        if (given := inputs.get(kind)) is not None:
            opinions[kind] = engine.judge(given)
    for kind in ("face", "voice"):
        if kind not in opinions and kind not in absent:
            absent[kind] = "no_engine"
    return Recognised(window, opinions, absent)


def _folder(choice: str, name: str) -> Path:
    return BUNDLES / name if choice == "shipped" else Path(choice)
