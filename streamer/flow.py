"""What flows from stage to stage of one camera's pipeline, from media to judged windows.

Times are seconds since the epoch began, on the media clock.
"""

from asyncio import Future
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from engines.clues import Clue
from engines.explain import Explanation
from engines.manifest import Modality
from engines.multilabel import Emotions
from engines.opinion import Opinion
from engines.quality import Quality
from engines.verdict import Judgement
from engines.window import FaceWindow, VoiceWindow
from streamer.ensemble import Ensemble
from streamer.event import Absence, Phase, Transcript, WindowKind

_STOPPED_S = 2.0


def stopped(at_s: float, other_s: float, since_s: float) -> bool:
    """Whether one medium, which has come to ``at_s``, does not come any more.

    It is far behind the other, at ``other_s``, which was at ``since_s`` when the last of it came.
    One that is always behind has not stopped.
    """
    return other_s - max(at_s, since_s) > _STOPPED_S


@dataclass(frozen=True, slots=True)
class Epoch:
    """A new media clock begins; nothing before it goes with anything after it."""

    id: str
    """A recording's content hash and a counter; of a camera, the UTC milliseconds of its first
    packet, plus how many epochs the connection had before."""
    began: datetime
    """When, by the wall clock, the media clock stood at zero."""
    has_video: bool
    has_audio: bool
    media: str = ""
    """What comes, for people: `h264 640x480 at 25/s, aac 16000 Hz`."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """A sampled picture, upright."""

    pts_s: float
    grey: npt.NDArray[np.uint8]
    """(H, W) luma at full resolution, the decoder's own memory: faces are cut from it."""
    small: npt.NDArray[np.uint8]
    """(h, w, 3) BGR of the same shape, shrunk: faces are found in it."""
    limited: bool = False
    """Whether black is 16 and white 235 in ``grey``, as most cameras send it."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive sound."""

    pts_s: float
    pcm: npt.NDArray[np.int16]
    """(samples,) mono at 16 kHz."""
    skew_s: float | None = None
    """How much later sound comes than pictures of the same time; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A picture that is left out, so as to keep up: so far the pictures have come."""

    pts_s: float


Media = Epoch | VideoFrame | AudioChunk | Unseen


@dataclass(frozen=True, slots=True)
class Notice:
    """What has come to be wrong with a camera that works, for people."""

    sentence: str
    """Empty once all is well again."""


Said = Transcript | Absence
"""What was said, or why that is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face found in one picture."""

    box_px: tuple[float, float, float, float]
    """x, y, width, height in the full picture."""
    score: float
    """In [0, 1], the detector's own."""
    crop: npt.NDArray[np.uint8]
    """(48, 48) grey, aligned."""
    track: int = 0
    """Whose face it is: counts the people seen in this epoch from 1; 0 before tracking."""
    turn: float | None = None
    """As `preprocess.face.turn` has it; None where the finder gives no landmarks."""
    mouth: float | None = None
    """As `preprocess.face.mouth` has it; None alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Every face in one sampled picture, which may be none."""

    pts_s: float
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One stretch of speech, cut out."""

    start_s: float
    end_s: float
    pcm: npt.NDArray[np.float32]
    """(samples,) mono in [-1, 1] at 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class Speaking:
    """An utterance that goes on."""

    voice: VoiceWindow
    """What has been said of it so far."""


@dataclass(frozen=True, slots=True)
class Listening:
    """How far the sound has come."""

    heard_s: float
    """Where the sound that has been heard ends."""
    settled_s: float
    """No utterance will begin before this any more; none is open before it."""
    skew_s: float | None = None
    """As of sound."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of media about one person, or about nobody known, ready to be judged."""

    epoch: Epoch
    kind: WindowKind
    start_s: float
    end_s: float
    track: int | None
    face: FaceWindow | None = None
    voice: VoiceWindow | None = None
    absent: Mapping[Modality, Absence] = field(default_factory=dict)
    """Why each missing modality is missing."""
    skew_s: float | None = None
    """How much later sound comes than pictures of the same time; None where that is not known,
    and without a voice."""
    said: "Future[Said] | None" = None
    """Settled once the transcriber knows; None where it is not asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Recognised:
    """A window and what each engine that ran believes about it."""

    window: Window
    ensemble: Ensemble
    """Whose opinions these are."""
    opinions: Mapping[Modality, Opinion]
    absent: Mapping[Modality, Absence]
    phase: Phase = "final"
    """`update` while words may still come."""
    transcript: Transcript | None = None
    quality: Mapping[Modality, Quality] = field(default_factory=dict)
    """How good what each engine was given is to judge by."""
    clues: tuple[Clue, ...] = ()
    """What was measured that speaks for or against an emotion."""
    sequences: Mapping[Modality, npt.NDArray[np.float32]] = field(default_factory=dict)
    """(n, D) rows of what each engine makes of its part, in order of time; empty unless there is a
    multilabel engine to ask about them."""
    emotions: Emotions | None = None
    """What the multilabel engine says; None without one, without sequences, and where it failed."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A window, its opinions, and what the policy makes of them."""

    recognised: Recognised
    judgement: Judgement
    clues: tuple[Clue, ...] = ()
    """Those of the window and of the verdict, compared with how the person usually is."""
    explanation: Explanation | None = None
