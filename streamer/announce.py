"""Judged windows → events, numbered and named so that a replay says the same again."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pydantic import MISSING

from engines.clues import Clue as Measured
from engines.labels import EMOTIONS
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import MODALITIES
from streamer.ensemble import Ensemble
from streamer.event import (
    Belief,
    Clue,
    EmotionData,
    EmotionEvent,
    Explanation,
    Label,
    ModalityOpinion,
    Person,
    SeveralEmotions,
    Transcript,
    WindowSpan,
)
from streamer.flow import Epoch, Judged, Recognised, Speaking, Window
from streamer.spoken import Spoken


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Announcer:
    """Makes the events of one camera. `sequence` counts up from ``first``, 0 in each replay."""

    node: str
    camera: str
    transcriber: str | None = None
    """The hash of the Whisper model that listens, if any."""
    publish_words: bool = False
    """Whether transcripts may stand in events."""
    now: Callable[[], datetime] = _now
    first: int = 0
    _count: int = field(init=False)

    def __post_init__(self) -> None:
        self._count = self.first

    def event(self, judged: Judged) -> EmotionEvent:
        """Return the next event, about a judged window."""
        window, verdict = judged.recognised.window, judged.judgement.verdict
        phase, ensemble = judged.recognised.phase, judged.recognised.ensemble
        window_id = self._window_id(window, ensemble)
        event = EmotionEvent(
            id=f"{window_id}.{phase}",
            source=self._source,
            subject=self.camera,
            time=_wall(window.epoch, window.end_s),
            sequence=f"{self._count:020d}",
            recordedtime=self.now(),
            data=EmotionData(
                window_id=window_id,
                camera=self.camera,
                phase=phase,
                window=WindowSpan(
                    kind=window.kind,
                    start_s=window.start_s,
                    end_s=window.end_s,
                    skew_s=window.skew_s,
                ),
                person=Person(track=window.track) if window.track is not None else None,
                emotion=verdict.emotion,
                confidence=verdict.confidence,
                trusted=verdict.trusted,
                reason=verdict.reason,
                threshold=verdict.threshold,
                belief=_belief(judged.judgement.fused),
                uncertainty=float(judged.judgement.fused.uncertainty),
                conflict=judged.judgement.conflict,
                emotions=_emotions(judged.recognised) if ensemble.multilabel else MISSING,
                explanation=_explanation(judged),
                opinions={kind: _opinion(kind, judged) for kind in MODALITIES},
                transcript=judged.recognised.transcript if self.publish_words else None,
                engines=ensemble.hashes,
                policy=ensemble.policy.hash,
                transcriber=self.transcriber,
            ),
        )
        self._count += 1
        return event

    def partial(self, epoch: Epoch, speaking: Speaking, words: Transcript) -> Spoken:
        """Return what has been said of an utterance that goes on."""
        voice = speaking.voice
        return Spoken(
            **dict(words),
            camera=self.camera,
            phase="partial",
            window_id=None,
            start_s=voice.start_s,
            end_s=voice.end_s,
            time=_wall(epoch, voice.end_s),
        )

    @property
    def _source(self) -> str:
        return f"/credence/{quote(self.node)}/{quote(self.camera)}"

    def _window_id(self, window: Window, ensemble: Ensemble) -> str:
        engines = ",".join(f"{kind}={hashed}" for kind, hashed in sorted(ensemble.hashes.items()))
        what = (
            self._source,
            window.epoch.id,
            window.kind,
            f"{window.start_s:.6f}",
            f"{window.end_s:.6f}",
            str(window.track),
            engines,
            ensemble.policy.hash,
            *([self.transcriber] if self.transcriber else []),
        )
        return hashlib.sha256("\n".join(what).encode()).hexdigest()[:32]


async def announce(
    judged: AsyncIterator[Judged], announcer: Announcer
) -> AsyncGenerator[EmotionEvent, None]:
    """Make an event of each judged window, in order."""
    async for each in judged:
        yield announcer.event(each)


def _wall(epoch: Epoch, at_s: float) -> datetime:
    return epoch.began + timedelta(milliseconds=round(at_s * 1000))


def _belief(opinion: Opinion) -> Belief:
    return dict(zip(EMOTIONS, map(float, opinion.belief), strict=True))


_NOTHING = Opinion.vacuous(len(EMOTIONS))


def _opinion(kind: Modality, judged: Judged) -> ModalityOpinion:
    opinion = judged.recognised.opinions.get(kind)
    shown = _NOTHING if opinion is None else opinion
    return ModalityOpinion(
        present=opinion is not None,
        belief=_belief(shown),
        uncertainty=float(shown.uncertainty),
        trust=judged.judgement.trust.get(kind, 0.0),
        quality=dict(judged.recognised.quality.get(kind, {})),
        reason=None if opinion is not None else judged.recognised.absent[kind],
    )


def _emotions(recognised: Recognised) -> tuple[SeveralEmotions, ...] | None:
    """Return all emotions, the most probable first, those as probable in the order of labels."""
    several = recognised.emotions
    if several is None:
        return None
    columns = several.probability, several.spread, several.shown
    made = (
        SeveralEmotions(label=label, probability=float(p), spread=float(s), shown=bool(shown))
        for label, p, s, shown in zip(EMOTIONS, *columns, strict=True)
    )
    return tuple(sorted(made, key=lambda each: -each.probability))


def _explanation(judged: Judged) -> Explanation | None:
    why = judged.explanation
    if why is None:
        return None
    return Explanation(
        text=why.text,
        cited=why.cited,
        clues=tuple(_clue(clue) for clue in judged.clues),
        labels=tuple(Label(word=each.word, confidence=each.confidence) for each in why.labels),
        by=why.by,
    )


def _clue(clue: Measured) -> Clue:
    return Clue(
        id=clue.id,
        value=clue.value,
        unit=clue.unit,
        start_s=clue.start_s,
        end_s=clue.end_s,
        z=clue.z,
        emotion=clue.emotion,
        word=clue.word or None,
    )
