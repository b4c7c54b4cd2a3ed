"""A language model behind an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a cloud.

Loaded only where one is configured.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from streamer.config import LanguageModel as Settings
from streamer.narrator import UnansweredError

T = TypeVar("T")

MOST_BYTES: Final = 65_536
"""Of an answer with all around it; no more is read."""
_LONGEST_REST_S: Final = 600.0
_OTHER_FORMAT: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""What an endpoint may say to a format that it does not know."""


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: tuple[_Choice, ...]


class _Offered(BaseModel):
    id: str


class _Models(BaseModel):
    data: tuple[_Offered, ...]


class LanguageModel:
    """Answers questions, one at a time, within the time and the tokens that are configured."""

    def __init__(self, settings: Settings) -> None:
        self.name, self.url = settings.model, settings.url
        self._settings = settings
        self._formats = 0
        key = settings.api_key
        headers = {"Accept-Encoding": "identity"}  # what is packed small may be huge
        if key:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=settings.timeout_s,
            trust_env=False,  # what is sent goes where it is configured to go, by no proxy
            verify=ssl.create_default_context() if self.url.startswith("https:") else False,
        )

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()

    async def answer(self, prompt: str, content: str, schema: Mapping[str, Any]) -> str:
        """Return what the model answers; raise UnansweredError where there is no answer."""
        body = {
            "model": self.name,
            "messages": [
                {"role": "system", "content": prompt},
                {"role": "user", "content": content},
            ],
            "temperature": 0,
            "max_tokens": self._settings.tokens,
            "stream": False,
        }
        asking = self._asked(body, _formats(schema))
        return _content(await _in_time(asking, self._settings.timeout_s))

    async def offers(self, patience_s: float) -> tuple[str, ...] | None:
        """Return the models that there are, None where it does not tell; else as `answer`."""
        status, answer, _ = await _in_time(self._read("GET", "models"), patience_s)
        if status == HTTPStatus.NOT_FOUND:
            return None
        _check(status)
        try:
            offered = _Models.model_validate_json(answer).data
        except ValidationError:
            return None
        return tuple(each.id for each in offered if each.id.isprintable())

    async def _asked(self, body: dict[str, Any], formats: list[dict[str, Any]]) -> bytes:
        """Ask in the strictest format that the endpoint takes, which is remembered."""
        for number in range(self._formats, len(formats)):
            status, answer, rest_s = await self._read(
                "POST", "chat/completions", body | formats[number]
            )
            if status not in _OTHER_FORMAT:
                self._formats = number
                _check(status, rest_s)
                return answer
        self._formats = 0  # it was not the format
        raise UnansweredError("refused", _said(status))

    async def _read(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, bytes, float]:
        """Return status, answer, and for how many seconds it asks to be left alone."""
        request = self._client.build_request(method, f"{self.url}/{path}", json=body)
        response = await self._client.send(request, stream=True)
        try:
            answer = b""
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > MOST_BYTES:
                    raise UnansweredError("oversized", "its answer is too long")
            return response.status_code, answer, _rest_s(response.headers.get("retry-after"))
        finally:
            await response.aclose()


async def _in_time(work: Awaitable[T], seconds: float) -> T:
    late = UnansweredError("late", f"no answer within {seconds:g} s")
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (TimeoutError, httpx2.TimeoutException):
        raise late from None
    except (httpx2.HTTPError, OSError, UnicodeError) as error:
        raise UnansweredError("unreachable", _reason(error)) from None


def _formats(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    strict = {"name": "explanation", "strict": True, "schema": dict(schema)}
    return [
        {"response_format": {"type": "json_schema", "json_schema": strict}},
        {"response_format": {"type": "json_object"}},
        {},
    ]


def _check(status: int, rest_s: float = 0.0) -> None:
    if status != HTTPStatus.OK:
        raise UnansweredError("refused", _said(status), rest_s)


def _content(answer: bytes) -> str:
    try:
        choice = _Completion.model_validate_json(answer).choices[0]
    except (ValidationError, IndexError):
        raise UnansweredError("malformed", "what it answers is no chat completion") from None
    if choice.finish_reason == "length":
        raise UnansweredError("truncated", "its answers are longer than language_model.tokens")
    return choice.message.content


def _said(status: int) -> str:
    """Say what a status means; never what the endpoint wrote, which may repeat the question."""
    match status:
        case 401 | 403:
            return "wrong language_model.api_key"
        case 404:
            return "it knows no such model or path; is language_model.url the one that ends in /v1?"
        case 429:
            return "it is asked too often, or its quota is used up"
        case _:
            return f"it refuses with status {status}"


def _rest_s(retry_after: str | None) -> float:
    try:
        seconds = float(retry_after or 0)
    except ValueError:  # a date
        return 0.0
    return min(seconds, _LONGEST_REST_S) if seconds > 0 else 0.0  # it may be nan


def _reason(error: Exception) -> str:
    match error:
        case httpx2.ConnectError():
            return "nobody answers there; does it run, and is the port right?"
        case _:
            return "the connection was lost, or what answers is no HTTP server"
