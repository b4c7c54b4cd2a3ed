"""Other cameras for a node that runs: the configuration, read again."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import structlog

from engines.errors import CredenceError
from streamer.config import Camera, Config
from streamer.faces import Finder
from streamer.roster import Roster
from streamer.wire import Wire
from streamer.worker import Worker

log = structlog.get_logger()


class Changes(Wire):
    """What leads from the cameras that run to others, by name. Others are not touched."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    """Also where other settings have changed."""
    disabled: tuple[str, ...] = ()
    """Also where other settings have changed."""
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(f"{how} {', '.join(names)}" for how, names in self if names)


class Reloaded(Wire):
    """What came of reading the configuration again."""

    outcome: Literal["reloaded", "unchanged", "refused"]
    sentence: str
    """For people."""
    cameras: Changes = Changes()
    restart_for: tuple[str, ...] = ()
    """Sections that have changed, and count from the next start on."""


def difference(before: Mapping[str, Camera], after: Iterable[Camera]) -> Changes:
    """Compare cameras, each by its name, in the order of ``after``."""
    wanted = {camera.name: camera for camera in after}
    how: dict[str, list[str]] = {name: [] for name in Changes.model_fields}
    for name, camera in wanted.items():
        if (old := before.get(name)) is None:
            how["added"].append(name)
        elif old.enabled != camera.enabled:
            how["enabled" if camera.enabled else "disabled"].append(name)
        elif old != camera:
            how["changed"].append(name)
    how["removed"] = [name for name in before if name not in wanted]
    return Changes.model_validate(how)


def needs_restart(before: Config, after: Config) -> tuple[str, ...]:
    """Name the sections, but for cameras, that are not the same."""
    return tuple(
        name
        for name in Config.model_fields
        if name != "cameras" and getattr(before, name) != getattr(after, name)
    )


class Reloader:
    """Has the cameras of a node be those that are configured now.

    ``read`` reads the configuration, and ``missing`` opens the face finders that so many cameras
    need beyond those that there are; both may block, and raise a CredenceError.
    """

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        missing: Callable[[int], list[Finder]],
        roster: Roster,
    ) -> None:
        self._config, self._read, self._missing = config, read, missing
        self.roster = roster
        self._worker = Worker("reload")
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """Let the thread end."""
        self._worker.close()

    async def reload(self) -> Reloaded:
        """Read everything, then change what is to be changed. Never raises; a refusal changes
        nothing. Cameras that are ended take a moment after that."""
        async with self._turn:
            try:
                config, finders = await self._worker.run(self._prepared)
            except CredenceError as error:
                return _refused(str(error))
            except Exception as error:
                await self._worker.run(log.error, "the settings could not be read", exc_info=error)
                return _refused(f"unexpected: {type(error).__name__}, see the node's log")
            return self._follow(config, finders)

    def _prepared(self) -> tuple[Config, list[Finder]]:
        config = self._read()
        return config, self._missing(len(config.cameras))

    def _follow(self, config: Config, finders: list[Finder]) -> Reloaded:
        changes = difference(self.roster.cameras, config.cameras)
        restart_for = needs_restart(self._config, config)
        self.roster.grow(finders)
        self.roster.take(config.cameras)
        also = f"restart for: {', '.join(restart_for)}" if restart_for else ""
        sentence = "; ".join(filter(None, (str(changes) or "no camera has changed", also)))
        log.info(f"settings were read again: {sentence}")
        outcome: Literal["reloaded", "unchanged"] = "reloaded" if str(changes) else "unchanged"
        return Reloaded(
            outcome=outcome, sentence=sentence, cameras=changes, restart_for=restart_for
        )


def _refused(problem: str) -> Reloaded:
    sentence = f"{problem}; nothing was changed"
    log.warning(f"settings were not read again: {'; '.join(sentence.splitlines())}")
    return Reloaded(outcome="refused", sentence=sentence)
