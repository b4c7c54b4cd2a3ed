"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from streamer import addresses


def _no_truth(value: object) -> object:
    # Pydantic would take true for 1.
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004 (pydantic lets a TypeError through)
    return value


Real = Annotated[float, BeforeValidator(_no_truth)]
Whole = Annotated[int, BeforeValidator(_no_truth)]
TopicLevel = Annotated[str, AfterValidator(addresses.topic_level)]


class Section(BaseModel):
    """A mapping of keys to values, of which none is unknown."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )
