"""What a node counts, by Prometheus' conventions. docs/operations.md says what each name means."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import ceil, nan
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from engines.manifest import Kind
from streamer.connection import State, Status
from streamer.ensemble import AnyEngine, Ensemble
from streamer.event import EmotionEvent
from streamer.reading import Reading
from streamer.timing import Timed

# Else a line more for each counter says when the node began.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""Every Prometheus reads this."""
RECENT: Final = 1000
"""The percentile of ages is that of so many last events."""
_AGES_S: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
_CALLS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

Reason = Literal["overload", "undecoded"]
"""`overload`: a newer one took its place, as judging did not keep up; `undecoded`: decoding did
not."""
Shed = Literal["ambient", "sampling", "transcript"]
"""Windows in which nobody speaks, pictures, transcripts: what goes before media is dropped."""


class Metrics:
    """The metrics of one node, in a registry of its own. Counting is safe from any thread."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._registry = all_ = CollectorRegistry()
        ProcessCollector(registry=all_)
        build = Info("credence_build", "Which version runs.", registry=all_)
        build.info({"version": release()})
        self.up = Gauge(
            "credence_camera_up", "1 while media comes from the camera.", ["camera"], registry=all_
        )
        self.state = Gauge(
            "credence_camera_state",
            "1 for the state that the camera is in, 0 for the others.",
            ["camera", "state"],
            registry=all_,
        )
        self.reconnects = Counter(
            "credence_reconnects", "Connections after the first.", ["camera"], registry=all_
        )
        self.skew = Gauge(
            "credence_av_skew_seconds",
            "How much later sound comes than pictures of the same time; NaN while not known.",
            ["camera"],
            registry=all_,
        )
        self.dropped = Counter(
            "credence_media_dropped",
            "Pictures and pieces of sound that were not looked at.",
            ["camera", "reason"],
            registry=all_,
        )
        self.shed = Counter(
            "credence_shed",
            "Windows, pictures and transcripts that were left out to keep up.",
            ["camera", "reason"],
            registry=all_,
        )
        self.shedding = Gauge(
            "credence_shedding", "How much is left out to keep up, 0 to 5.", registry=all_
        )
        self.windows = Counter(
            "credence_windows", "Windows that were judged.", ["camera", "kind"], registry=all_
        )
        self.events = Counter(
            "credence_events",
            "Events that were made.",
            ["camera", "phase", "trusted"],
            registry=all_,
        )
        self.age = Histogram(
            "credence_event_age_seconds",
            "From the end of a window to its event being taken by every output.",
            ["camera"],
            buckets=_AGES_S,
            registry=all_,
        )
        self.engine = Histogram(
            "credence_engine_seconds",
            "What a call of an engine's network takes.",
            ["engine"],
            buckets=_CALLS_S,
            registry=all_,
        )
        self.cameras = {name: CameraMetrics(name, self) for name in cameras}

    def add(self, camera: str) -> None:
        """Count for a camera, from 0 unless it is counted for already."""
        if camera not in self.cameras:
            self.cameras[camera] = CameraMetrics(camera, self)

    def remove(self, camera: str) -> None:
        """Forget a camera."""
        del self.cameras[camera]
        counted = (self.reconnects, self.dropped, self.shed, self.windows, self.events, self.age)
        for metric in (self.up, self.state, self.skew, *counted):
            metric.remove_by_labels({"camera": camera})

    def follow(
        self,
        connected: Callable[[], bool],
        waiting: Callable[[], int],
        lost: Callable[[], Mapping[str, int]],
    ) -> None:
        """Also tell how a broker is doing, where one is configured."""
        broker = Gauge(
            "credence_broker_connected", "1 while the broker is connected.", registry=self._registry
        )
        broker.set_function(connected)
        outbox = Gauge(
            "credence_outbox_events", "Events that wait for the broker.", registry=self._registry
        )
        outbox.set_function(waiting)
        says = "Events that never reach the broker."
        self._registry.register(_Counted("credence_events_lost", says, lost))

    def follow_store(self, lost: Callable[[], Mapping[str, int]]) -> None:
        """Also tell how a store is doing, where one is configured."""
        says = "Events that are not in the store although they are not too old for it."
        self._registry.register(_Counted("credence_events_unstored", says, lost))

    def follow_model(self, results: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Also tell what comes of asking a language model, by camera and result."""
        says = "What came of events that a language model was to explain."
        own = _Counted("credence_explanations", says, results, ("camera", "result"))
        self._registry.register(own)

    def follow_engines(self, failed: Callable[[], Mapping[str, int]]) -> None:
        """Also tell how often an event went without what an engine adds, as it failed."""
        says = "Events without what an engine adds, as it failed."
        self._registry.register(_Counted("credence_engine_failures", says, failed, ("engine",)))

    def timed(self, ensemble: Ensemble) -> Ensemble:
        """Have the calls of an ensemble's engines timed; those that are already stay the same."""
        engines = {kind: self._timed(kind, engine) for kind, engine in ensemble.engines.items()}
        several = ensemble.multilabel and self._timed("multilabel", ensemble.multilabel)
        return replace(ensemble, engines=engines, multilabel=several)

    def _timed(self, kind: Kind, engine: AnyEngine) -> AnyEngine:
        if isinstance(engine.runtime, Timed):
            return engine
        return replace(engine, runtime=Timed(engine.runtime, self.engine.labels(kind)))

    def page(self) -> bytes:
        """Return everything as `CONTENT_TYPE`. Blocks: the process's own are read from files."""
        return generate_latest(self._registry)

    def reading(self) -> Reading:
        """Return everything as it stands. Blocks, as `page`."""
        return Reading([sample for each in self._registry.collect() for sample in each.samples])


@dataclass(frozen=True, slots=True)
class _Counted(Collector):
    """Counted elsewhere, read here."""

    name: str
    says: str
    counts: Callable[[], Mapping[str, int] | Mapping[tuple[str, str], int]]
    labels: tuple[str, ...] = ("reason",)

    def collect(self) -> Iterable[Metric]:
        counted = CounterMetricFamily(self.name, self.says, labels=self.labels)
        for values, count in self.counts().items():
            counted.add_metric([values] if isinstance(values, str) else values, count)
        return [counted]


@dataclass(slots=True, eq=False)
class CameraMetrics:
    """What one camera has come to."""

    name: str
    _all: Metrics = field(repr=False)
    state: State = "connecting"
    tried: bool = False
    """Whether it was online, or is known to be lost."""
    ages_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Of the last events."""
    skew_s: float | None = None
    """How much later its sound comes than its pictures of the same time, where that is known."""
    _came: bool = False
    # Held, as the reader of a removed camera may count once more: that must not bring it back.
    _dropped: dict[Reason, Counter] = field(init=False, repr=False)
    _shed: dict[Shed, Counter] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # From 0, so that Prometheus sees the first of each.
        self._all.up.labels(self.name)
        for state in get_args(State):
            self._all.state.labels(self.name, state).set(state == self.state)
        self._all.reconnects.labels(self.name)
        self.heard(None)
        self._dropped = {why: self._all.dropped.labels(self.name, why) for why in get_args(Reason)}
        self._shed = {why: self._all.shed.labels(self.name, why) for why in get_args(Shed)}
        self._all.age.labels(self.name)
        for kind in ("speech", "ambient"):
            self._all.windows.labels(self.name, kind)
        for phase in ("update", "final"):
            for trusted in ("false", "true"):
                self._all.events.labels(self.name, phase, trusted)

    def turned(self, status: Status) -> None:
        """The camera has another status."""
        if (self.state, status.state) == ("connecting", "streaming"):
            if self._came:
                self._all.reconnects.labels(self.name).inc()
            self._came = True
        self.state, self.tried = status.state, self.tried or status.state != "connecting"
        self._all.up.labels(self.name).set(status.online)
        if not status.online:
            self.heard(None)
        for state in get_args(State):
            self._all.state.labels(self.name, state).set(state == status.state)

    def dropped(self, reason: Reason = "overload") -> None:
        """A picture or a piece of sound was not looked at."""
        self._dropped[reason].inc()

    def shed(self, reason: Shed) -> None:
        """Something was left out, so that no media has to be dropped."""
        self._shed[reason].inc()

    def heard(self, skew_s: float | None) -> None:
        """Sound has come, so much later than pictures of the same time; None if not known."""
        self.skew_s = skew_s
        self._all.skew.labels(self.name).set(nan if skew_s is None else skew_s)

    def put(self, event: EmotionEvent, now: datetime) -> None:
        """Every output has taken an event."""
        data = event.data
        self._all.events.labels(self.name, data.phase, str(data.trusted).lower()).inc()
        if data.phase == "final":
            self._all.windows.labels(self.name, data.window.kind).inc()
        age_s = max(0.0, (now - event.time).total_seconds())  # a clock may be set back
        self._all.age.labels(self.name).observe(age_s)
        self.ages_s.append(age_s)


def percentile_99(values: Iterable[float]) -> float | None:
    """Return the smallest value that 99 % do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[ceil(0.99 * len(ordered)) - 1] if ordered else None


@cache
def release() -> str:
    """Return which version of Credence this is. Blocks the first time."""
    try:
        return version("credence")
    except PackageNotFoundError:
        return "unknown"
