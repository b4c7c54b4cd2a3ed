"""What a node says of itself over MQTT: what it is, and how it is doing."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, NonNegativeInt

from engines.manifest import Kind
from streamer.connection import State
from streamer.ensemble import Ensemble
from streamer.event import Part, WindowKind
from streamer.metrics import CameraMetrics, Reason, Shed, percentile_99, release
from streamer.reading import Reading

if TYPE_CHECKING:
    from streamer.judging import Judging

Seconds = Annotated[float, AfterValidator(lambda value: round(value, 3))]


class EngineInfo(Part):
    """An engine that judges."""

    name: str
    hash: str
    """As in events."""
    runs_on: str
    """What runs it here, such as `onnxruntime cpu`."""


class PolicyInfo(Part):
    """What decides which verdicts are trusted."""

    name: str
    hash: str
    """As in events."""


class NodeInfo(Part):
    """What a node is."""

    node: str
    version: str
    """Of Credence."""
    started: datetime
    cameras: tuple[str, ...]
    engines: dict[Kind, EngineInfo]
    policy: PolicyInfo
    transcriber: str | None
    """The hash of the Whisper model that listens; null without one."""

    @classmethod
    def of(cls, judging: "Judging", started: datetime, cameras: Iterable[str]) -> Self:
        """Describe who judges which cameras now."""
        ensemble, config = judging.panel.sitting, judging.config
        return cls(
            node=config.node,
            version=release(),
            started=started,
            cameras=tuple(cameras),
            engines=_engines(ensemble),
            policy=PolicyInfo(name=ensemble.policy.name, hash=ensemble.policy.hash),
            transcriber=judging.transcriber.hash if judging.transcriber else None,
        )


def _engines(ensemble: Ensemble) -> dict[Kind, EngineInfo]:
    return {
        kind: EngineInfo(name=one.manifest.name, hash=one.hash, runs_on=one.runtime.name)
        for kind, one in ensemble.everyone.items()
    }


class CameraStats(Part):
    """What one camera has come to since the node started."""

    state: State
    """`stalled`: picture, sound or both have stopped coming. `backing_off`: it was lost, or could
    not be reached, and is tried again."""
    reconnects: NonNegativeInt
    dropped: dict[Reason, NonNegativeInt]
    """Pictures and pieces of sound that were not looked at, by reason."""
    shed: dict[Shed, NonNegativeInt]
    """Windows in which nobody speaks, pictures and transcripts that were left out to keep up."""
    windows: dict[WindowKind, NonNegativeInt]
    """Windows that were judged, by kind."""
    events: NonNegativeInt
    skew_s: Seconds | None
    """How much later its sound comes than its pictures of the same time; null while not known."""
    age_last_s: Seconds | None
    """From the end of the window to its event being taken by every output; null without one."""
    age_p99_s: Seconds | None
    """What 99 % of the last 1000 events do not exceed."""

    @classmethod
    def of(cls, camera: CameraMetrics, reading: Reading) -> Self:
        """Sum up a camera."""
        name, ages_s = camera.name, list(camera.ages_s)
        return cls.model_validate(
            {
                "state": camera.state,
                "reconnects": reading.total("credence_reconnects_total", camera=name),
                "dropped": reading.by("reason", "credence_media_dropped_total", camera=name),
                "shed": reading.by("reason", "credence_shed_total", camera=name),
                "windows": reading.by("kind", "credence_windows_total", camera=name),
                "events": reading.total("credence_events_total", camera=name),
                "skew_s": camera.skew_s,
                "age_last_s": ages_s[-1] if ages_s else None,
                "age_p99_s": percentile_99(ages_s),
            }
        )


class NodeStats(Part):
    """How a node is doing."""

    time: datetime
    uptime_s: Seconds
    waiting: NonNegativeInt
    """Events that the broker has not acknowledged."""
    shedding: Annotated[int, Field(ge=0, le=5)]
    """How much is left out to keep up with the cameras: 0 nothing, 1 most windows in which nobody
    speaks, 2 half of the pictures, 3 three of four, 4 transcripts, 5 also media."""
    cpu: Annotated[float, AfterValidator(lambda value: round(value, 3))] | None
    """Processor cores that it kept busy since the stats before; null where the system does not
    tell."""
    memory_bytes: NonNegativeInt | None
    """Resident; null where the system does not tell."""
    cameras: dict[str, CameraStats]
