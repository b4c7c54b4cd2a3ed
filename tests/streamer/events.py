"""Events as a camera would announce them."""

from datetime import UTC, datetime, timedelta

from engines.labels import EMOTIONS
from engines.verdict import Reason
from streamer.event import EmotionData, EmotionEvent, ModalityOpinion, WindowSpan

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SOON = {"longest_s": 1.0, "ambient_every_s": 0.5, "ambient_shortest_s": 0.1}
"""Settings of `windows`, for tests that wait for a camera's events."""

SEVERAL = [
    {"label": "happiness", "probability": 0.81, "spread": 0.2, "shown": True},
    {"label": "surprise", "probability": 0.47, "spread": 0.3, "shown": True},
    *(
        {"label": label, "probability": 0.1, "spread": 0.2, "shown": False}
        for label in EMOTIONS
        if label not in ("happiness", "surprise")
    ),
]


def event_of(camera: str = "door", n: int = 0, **data: object) -> EmotionEvent:
    """Make the n-th event of a camera, with other data where given."""
    share = 0.8 / len(EMOTIONS)
    belief = dict.fromkeys(EMOTIONS, share)
    nothing = dict.fromkeys(EMOTIONS, 0.0)
    given = {
        "window_id": f"{camera}{n:06}",
        "camera": camera,
        "phase": "final",
        "window": WindowSpan(kind="speech", start_s=2.0 * n, end_s=2.0 * n + 2),
        "person": {"track": 1},
        "emotion": "happiness",
        "confidence": 0.9,
        "trusted": True,
        "reason": Reason.CERTIFIED,
        "belief": belief,
        "uncertainty": 0.2,
        "conflict": 0.05,
        "opinions": {
            "face": ModalityOpinion(
                present=True, belief=belief, uncertainty=0.2, trust=1, reason=None
            ),
            "voice": ModalityOpinion(
                present=False, belief=nothing, uncertainty=1, trust=0, reason="no_voice"
            ),
            "text": ModalityOpinion(
                present=False, belief=nothing, uncertainty=1, trust=0, reason="no_voice"
            ),
        },
        "transcript": None,
        "engines": {"face": "f1"},
        "policy": "p1",
    }
    body = EmotionData.model_validate(given | data)
    return EmotionEvent(
        id=f"{body.window_id}.{body.phase}",
        source=f"/credence/lab/{camera}",
        subject=camera,
        time=BEGAN + timedelta(seconds=2 * n + 2),
        sequence=f"{n:020}",
        recordedtime=BEGAN,
        data=body,
    )
