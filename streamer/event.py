"""EmotionEvent: what Credence publishes, and its wire schema.

A CloudEvents 1.0 envelope in JSON around one judged window. `docs/events.md` is for readers;
the JSON Schema beside it is generated from these models.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from engines.labels import EMOTIONS, Emotion
from engines.manifest import Kind, Modality, Threshold
from engines.verdict import MODALITIES, Reason

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_nine_decimals = AfterValidator(lambda value: round(value, 9))
Number = Annotated[float, _nine_decimals]
Share = Annotated[float, Field(ge=0, le=1), _nine_decimals]
Belief = Annotated[dict[Emotion, Share], Field(min_length=len(EMOTIONS))]
Absence = Literal[
    "no_face",
    "no_voice",
    "no_engine",
    "several_people",
    "out_of_step",
    "pending",
    "no_transcriber",
    "no_speech",
    "unintelligible",
    "late",
    "overload",
]
WindowKind = Literal["speech", "ambient"]
Phase = Literal["update", "final"]


class Part(BaseModel):
    """A piece of what is published, as JSON whose schema is published, too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_serialization_defaults_required=True
    )


class WindowSpan(Part):
    """The stretch of media that was judged."""

    kind: WindowKind
    """`speech`: one utterance, or a part of a long one. `ambient`: a face while nobody speaks."""
    start_s: Number
    """Seconds since the stream's epoch began (media clock)."""
    end_s: Number
    skew_s: Number | None = None
    """How much later the camera's sound comes than its pictures of the same time, by their arrival;
    null without a voice, and where that is not known, as of recordings."""


class Person(Part):
    """The person whose window this is."""

    track: Annotated[int, Field(ge=1)]
    """Counts the people seen by this camera in this epoch; not an identity."""


class ModalityOpinion(Part):
    """What one modality believes, before any discount."""

    present: bool
    belief: Belief
    uncertainty: Share
    """1 when absent. Beliefs and uncertainty sum to 1."""
    trust: Share
    """How far the policy trusted this opinion: the reliability of the modality times what its
    quality allows; 0 when absent."""
    quality: dict[str, Number] = Field(default_factory=dict)
    """What was measured of the input, by name; more is better throughout. Empty when absent."""
    reason: Absence | None
    """Why it is absent; null when present."""


class Word(Part):
    """One word of a transcript."""

    word: str
    """With the punctuation that belongs to it."""
    start_s: Number
    """On the same clock as the window."""
    end_s: Number
    probability: Share


class Transcript(Part):
    """What was said."""

    text: str
    """In the language that was spoken."""
    language: str
    """ISO 639-1, as detected or configured."""
    translation: str | None
    """In English; null where the text is English, or where no translation could be had."""
    words: tuple[Word, ...]
    avg_logprob: Number
    """Mean log-probability of the text's tokens: nearer to 0 is surer."""
    no_speech_prob: Share
    """How likely it is that nobody spoke at all."""

    @property
    def english(self) -> str | None:
        """The text in English; None where it cannot be had."""
        return self.text if self.language == "en" else self.translation


class Clue(Part):
    """Something that was measured, and speaks for or against an emotion."""

    id: str
    """`<source>.<measure>`; each once in an event. docs/explanations.md lists them."""
    value: Number
    unit: str
    start_s: Number
    """Where it was measured, on the clock of the window."""
    end_s: Number
    z: Number | None
    """Deviations from how this person usually is; null while that is not known."""
    emotion: Emotion | None
    """What the value is about, where it is about one emotion."""
    word: str | None
    """What the value is about, where it is about a word; null unless transcripts are published."""


class Label(Part):
    """An emotion word from an open vocabulary."""

    word: str
    confidence: Share


class Explanation(Part):
    """Why the verdict is as it is."""

    text: str
    """A few sentences in English that say nothing but what the clues do."""
    cited: tuple[str, ...]
    """The ids of the clues that the text rests on."""
    clues: tuple[Clue, ...]
    labels: tuple[Label, ...]
    """The surest first."""
    by: Literal["template"]
    """What wrote the text."""


class SeveralEmotions(Part):
    """How far one emotion is shown, as one of several that may be shown at once."""

    label: Emotion
    probability: Share
    """That it is shown, whatever else is. Those of all emotions need not sum to 1."""
    spread: Annotated[float, Field(ge=0), _nine_decimals]
    """Root mean square of the learned standard deviations, over the modalities that were present.
    Experimental: decide nothing by it. Only values of one engine compare."""
    shown: bool
    """Whether the probability reaches the engine's threshold for this emotion."""


AllEmotions = Annotated[
    tuple[SeveralEmotions, ...], Field(min_length=len(EMOTIONS), max_length=len(EMOTIONS))
]


class EmotionData(Part):
    """One judged window."""

    window_id: str
    camera: str
    phase: Phase
    window: WindowSpan
    person: Person | None
    """Null when it is not clear who spoke."""
    emotion: Emotion | None
    """The emotion most believed; null when no modality had evidence."""
    confidence: Share
    """The probability that `emotion` is right, as far as the policy is calibrated for the present
    modalities; else what the fused opinion gives to it."""
    trusted: bool
    """Whether the policy certifies a verdict of this confidence. Act on these alone."""
    reason: Reason
    """Why it is trusted or not."""
    threshold: Threshold | None = None
    """The certified threshold for the present modalities and the guarantee behind it; null where
    nothing is certified."""
    belief: Belief
    """The fused opinion, after discount by trust, conflict and skew."""
    uncertainty: Share
    """Beliefs and uncertainty sum to 1."""
    conflict: Share
    """The largest disagreement between two modalities."""
    emotions: AllEmotions | MISSING | None = Field(
        default=MISSING, exclude_if=lambda emotions: emotions is MISSING
    )
    """Several at once, the most probable first, where `recognition.multilabel` asks for it;
    absent where it does not, null where the engine failed or had nothing to judge. Experimental:
    `emotion` and `trusted` do not rest on it."""
    explanation: Explanation | None = None
    opinions: Annotated[dict[Modality, ModalityOpinion], Field(min_length=len(MODALITIES))]
    transcript: Transcript | None
    """What was said; null where nothing was understood, or unless it is configured."""
    engines: dict[Kind, str]
    """The hash of each engine that ran."""
    policy: str
    """The hash of the policy that decided; `none` without one."""
    transcriber: str | None = None
    """The hash of the Whisper model that listened; null without one."""


class EmotionEvent(Part):
    """A CloudEvents 1.0 event. Remove duplicates by (source, id), order by `sequence`."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """`<window_id>.<phase>`: the same window of the same recording always has the same id."""
    source: str
    """`/credence/<node>/<camera>`."""
    type: Literal["credence.emotion.v1"] = "credence.emotion.v1"
    subject: str
    """The camera."""
    time: datetime
    """When the window ended, by the camera's clock or the recording's start."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:credence:schema:emotion:v1"] = "urn:credence:schema:emotion:v1"
    sequence: Annotated[str, StringConstraints(pattern=r"^\d{20}$")]
    """Position among the camera's events, zero-padded so that it sorts as text."""
    recordedtime: datetime
    """When Credence made the event (wall clock). Differs from run to run."""
    data: EmotionData
