"""What a node is told, and answers, as JSON."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.errors import CredenceError


class UnreadableError(CredenceError):
    """What came is not what it should be."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"this cannot be read ({problem})")


class Wire(BaseModel):
    """What comes and goes as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read JSON, or raise an UnreadableError that says what is wrong with it."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = first["msg"].removeprefix("Value error, ").lower()
            raise UnreadableError(f"{where}: {said}" if where else said) from None
