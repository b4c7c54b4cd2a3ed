"""results.json: what training found out on people never trained on."""

from pydantic import BaseModel, ConfigDict, Field


class Results(BaseModel):
    """The outcome of a finished run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0)
    n: int = Field(ge=1)
    """Samples that the head was fitted on."""
    metrics: dict[str, dict[str, float | None]]
    """By corpus and by group within it; None where a figure is undefined."""
