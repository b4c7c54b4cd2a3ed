"""ExplanationEvent: a later explanation of an event, by a language model."""

from datetime import datetime
from typing import Literal

from streamer.event import Label, Part


class ExplanationData(Part):
    """Why the verdict of one window is as it is, said once more."""

    window_id: str
    """As in the event that is explained."""
    camera: str
    explains: str
    """The `id` of that event. Its clues are what is cited, and its own explanation stands."""
    text: str
    """A sentence or two. Each number in it is that of a cited clue."""
    cited: tuple[str, ...]
    """The ids of the clues that the text rests on; all are in the event."""
    labels: tuple[Label, ...]
    """The surest first. The words are the model's choice, how sure they are is not."""
    by: Literal["language_model"] = "language_model"
    """What wrote the text."""
    model: str
    """Which one, as it is configured."""


class ExplanationEvent(Part):
    """A CloudEvents 1.0 event, some time after the one that it explains, or never."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """`<window_id>.explanation`."""
    source: str
    """That of the event that is explained: `/credence/<node>/<camera>`."""
    type: Literal["credence.explanation.v1"] = "credence.explanation.v1"
    subject: str
    """The camera."""
    time: datetime
    """When the window ended, as in the event that is explained."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:credence:schema:explanation:v1"] = "urn:credence:schema:explanation:v1"
    recordedtime: datetime
    """When the answer came (wall clock)."""
    data: ExplanationData
