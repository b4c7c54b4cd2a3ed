"""CameraState: the last verdict of a camera, small and flat, for dashboards."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from engines.labels import Emotion
from engines.verdict import Reason
from streamer.event import EmotionEvent, Share


class CameraState(BaseModel):
    """What the camera's last final event said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera: str
    emotion: Emotion | None
    """The emotion most believed; null when no modality had evidence."""
    confidence: Share
    trusted: bool
    """Act on this alone."""
    reason: Reason
    uncertainty: Share
    conflict: Share
    time: datetime
    """When the window ended."""
    window_id: str
    """Of the event to look up for the rest."""

    @classmethod
    def of(cls, event: EmotionEvent) -> Self:
        """Return the state after this event."""
        data = event.data
        return cls(
            camera=data.camera,
            emotion=data.emotion,
            confidence=data.confidence,
            trusted=data.trusted,
            reason=data.reason,
            uncertainty=data.uncertainty,
            conflict=data.conflict,
            time=event.time,
            window_id=data.window_id,
        )
