"""Staying connected to an MQTT broker: which protocol it speaks, and what to do when it is away."""

import asyncio
import random
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import aiomqtt
import structlog
from aiomqtt import ProtocolVersion
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from streamer.broker import Broker, Client, HungUpError, RefusedError
from streamer.tls import CertificateError

_STEADY_S: Final = 60.0
_UNSPECIFIED: Final = 0x80
_UNSUPPORTED_PROTOCOL: Final = 0x84
_BAD_LOGIN: Final = (0x86, 0x87)
_CURES: Final = {
    "certificate required": "it wants mqtt.client_cert and mqtt.client_key",
    "alert handshake failure": "it wants mqtt.client_cert and mqtt.client_key",
    "alert unknown ca": "it does not trust the authority of mqtt.client_cert",
    "certificate expired": "mqtt.client_cert has expired",
    "self-signed certificate": "name its authority as mqtt.ca_file",
    "local issuer certificate": "name its authority as mqtt.ca_file",
}

log = structlog.get_logger()


def backoff(first_s: float = 1.0, longest_s: float = 60.0) -> Iterator[float]:
    """Seconds to wait before each next attempt: doubling, each cut by up to half at random."""
    delay_s = first_s
    while True:
        yield random.uniform(delay_s / 2, delay_s)
        delay_s = min(2 * delay_s, longest_s)


@dataclass(frozen=True, slots=True)
class Place:
    """A subscriber's place at a broker, which keeps what comes while it is away."""

    identifier: str
    """The same each time; at most 23 letters and digits."""
    kept_s: int
    """With MQTT 5; by 3.1.1 the broker decides."""


class Link:
    """Keeps connected to one broker, with a fresh client each time, for ever."""

    def __init__(
        self,
        broker: Broker,
        *,
        will: aiomqtt.Will | None = None,
        place: Place | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
    ) -> None:
        self._broker, self._will, self._delays = broker, will, delays
        self._protocol = broker.newest
        # One name for all connections: the broker ends a half-open older one before its will can
        # contradict us. At most 23 letters and digits, as MQTT 3.1.1 promises no more.
        self._identifier = place.identifier if place else f"credence{secrets.token_hex(6)}"
        self._kept_s = place.kept_s if place else 0
        self._told: str | None = None
        self.connected = False
        """Whether a session runs."""

    async def hold(self, session: Callable[[Client], Awaitable[None]]) -> None:
        """Run ``session`` on a connection until it returns; again whenever the connection is lost.

        Every outage is one warning, and another only when its reason changes.
        """
        delays = self._delays()
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                async with AsyncExitStack() as stack:
                    client = await self._connect(stack)
                    self.connected = True
                    await session(client)
            except* (aiomqtt.MqttError, UnicodeError) as group:
                self._warn(plain_reason(group))
            else:
                return
            finally:
                self.connected = False
            if clock() - began_s > _STEADY_S:
                delays = self._delays()
            await asyncio.sleep(next(delays))

    async def _connect(self, stack: AsyncExitStack) -> Client:
        """Connect, by MQTT 5 unless this broker is known to refuse it."""
        try:
            client = await stack.enter_async_context(self._client(self._protocol))
        except aiomqtt.MqttError as error:
            if self._protocol is not ProtocolVersion.V5 or not _refuses_v5(error):
                raise
            client = await stack.enter_async_context(self._client(ProtocolVersion.V311))
            self._protocol = ProtocolVersion.V311
        self._told = None
        log.info(
            "broker connected",
            broker=self._broker.address,
            mqtt="5" if client.is_v5 else "3.1.1",
        )
        return client

    def _client(self, protocol: ProtocolVersion) -> Client:
        return Client(
            self._broker,
            protocol=protocol,
            identifier=self._identifier,
            will=self._will,
            kept_s=self._kept_s,
        )

    def _warn(self, reason: str) -> None:
        if reason == self._told:
            return
        self._told = reason
        address = self._broker.address
        log.warning(f"cannot use the broker at {address}: {reason}; trying again until it works")


def plain_reason(error: BaseException) -> str:
    """Say in plain words why a connection could not be made or was lost."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error, error.__cause__ or error.__context__:
        case RefusedError(), _:
            return str(error)
        case HungUpError(alert=str() as alert), _:
            return _tls_problem(alert)
        case HungUpError(), _:
            return "it hung up without an answer (does it expect TLS?)"
        case MqttConnectError(rc=ReasonCode() as code), _:
            login = code.value in _BAD_LOGIN
            return "bad user name or password" if login else f"it refused: {code}"
        case (UnicodeError(), _) | (_, socket.gaierror()):
            return "host name not found"
        case _, ssl.SSLError() as problem:
            named = (getattr(problem, name, "") for name in ("verify_message", "reason"))
            detail = next(filter(None, named), problem.args[-1])  # Python's own have no reason
            return _tls_problem(detail)
        case _, CertificateError() as problem:
            return str(problem)
        case _, ConnectionRefusedError():
            return "connection refused (is a broker running there?)"
        case _, TimeoutError():
            return "no answer in time"
        case _, OSError(strerror=str() as problem):
            return problem
        case _, aiomqtt.MqttCodeError(rc=ReasonCode() as code) if code.value > _UNSPECIFIED:
            return f"it ended the connection: {code}"
        case _:
            return "the connection was lost"


def _tls_problem(detail: str) -> str:
    said = detail.lower().replace("_", " ")
    cure = next((cure for part, cure in _CURES.items() if part in said), "")
    return "; ".join(filter(None, (f"TLS problem: {detail}", cure)))


def _refuses_v5(error: aiomqtt.MqttError) -> bool:
    match error:
        case HungUpError():
            return True
        case MqttConnectError(rc=ReasonCode() as code):
            return bool(code.value == _UNSUPPORTED_PROTOCOL)
        case _:
            return False
