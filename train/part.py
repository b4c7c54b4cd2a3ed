"""What every part of a recipe has in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Chance = Annotated[float, Field(ge=0, le=1)]


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the first of the two must not be above the second")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_rising)]


class Part(BaseModel):
    """A part of a recipe: it cannot be changed, and an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
