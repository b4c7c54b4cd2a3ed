"""The connection to an MQTT broker: which protocol it speaks, and what to do when it is away."""

import asyncio
import logging
import random
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiomqtt
import paho.mqtt.client as paho
import structlog
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

IN_FLIGHT: Final = 16
"""Messages sent and not yet acknowledged. Brokers commonly take 20."""

_KEEPALIVE_S: Final = 30
_STEADY_S: Final = 60.0
_UNREAD: Final = 1024
_UNSUPPORTED_PROTOCOL: Final = 0x84
_BAD_LOGIN: Final = (0x86, 0x87)

log = structlog.get_logger()

# paho reports every loss on its own; here each outage is said once, in plain words.
_quiet = logging.getLogger("streamer.broker.paho")
_quiet.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where events are published, and as whom."""

    host: str
    port: int = 1883
    tls: bool = False
    """Encrypt, and check the broker's certificate against the system's authorities."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str = "credence"
    """The first level of every topic; may itself have several."""

    @property
    def address(self) -> str:
        """`host:port`, for people."""
        return f"{self.host}:{self.port}"

    def topic(self, *levels: str) -> str:
        """Return the topic of these levels below the prefix."""
        return "/".join((self.prefix, *levels))


class HungUpError(aiomqtt.MqttError):
    """The peer closed the connection instead of answering."""


class RefusedError(aiomqtt.MqttError):
    """The broker took the connection, but not this message or subscription."""

    def __init__(self, what: str, code: ReasonCode) -> None:
        super().__init__(f"it does not let this user {what} ({code})")


class Client(aiomqtt.Client):
    """One connection. Unlike its parent it notices a hang-up and a refusal at once.

    Left by an exception, it drops the connection without farewell: the last will is sent.
    """

    def __init__(self, broker: Broker, **options: Any) -> None:
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            tls_params=aiomqtt.TLSParameters() if broker.tls else None,
            keepalive=_KEEPALIVE_S,
            max_queued_incoming_messages=_UNREAD,
            logger=_quiet,
            **options,
        )
        self.is_v5 = options.get("protocol") is ProtocolVersion.V5
        self._abandoned = False
        self._refusal: ReasonCode | None = None

    async def send(
        self, topic: str, payload: bytes, *, retain: bool = False, content_type: str = ""
    ) -> None:
        """Publish at QoS 1; return once the broker has it. MqttError if it has not."""
        described = _described(content_type) if self.is_v5 and content_type else None
        await self.publish(topic, payload, qos=1, retain=retain, properties=described)
        if self._refusal is not None:
            raise RefusedError(f"publish on {topic}", self._refusal)

    async def listen(self, *filters: str) -> None:
        """Subscribe at QoS 1, or raise RefusedError."""
        for granted in await self.subscribe([(topic, 1) for topic in filters]):
            if isinstance(granted, ReasonCode) and granted.is_failure:
                raise RefusedError(f"subscribe to {', '.join(filters)}", granted)

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            # A thread of the parent may still be connecting, and nobody else would close it.
            self._abandoned = True
            self._client.on_disconnect = None
            self._client.disconnect()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        held = self._client.socket()
        if exc_type is not None and isinstance(held, socket.socket):
            held.shutdown(socket.SHUT_RDWR)
        await super().__aexit__(exc_type, exc, tb)
        self._disconnected.exception()  # asyncio complains of a loss that nobody looked at

    def _client_connect(self) -> None:
        super()._client_connect()
        if self._abandoned:
            self._client.disconnect()

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        most = getattr(properties, "ReceiveMaximum", IN_FLIGHT)
        client.max_inflight_messages_set(min(most, IN_FLIGHT))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(HungUpError())
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: paho.Client,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.is_failure:
            self._refusal = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)


def backoff(first_s: float = 1.0, longest_s: float = 60.0) -> Iterator[float]:
    """Seconds to wait before each next attempt: doubling, each cut by up to half at random."""
    delay_s = first_s
    while True:
        yield random.uniform(delay_s / 2, delay_s)
        delay_s = min(2 * delay_s, longest_s)


class Link:
    """Keeps connected to one broker, with a fresh client each time, for ever."""

    def __init__(
        self,
        broker: Broker,
        *,
        will: aiomqtt.Will | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
    ) -> None:
        self._broker, self._will, self._delays = broker, will, delays
        self._protocol = ProtocolVersion.V5
        # One name for all connections: the broker ends a half-open older one before its will can
        # contradict us. At most 23 letters and digits, as MQTT 3.1.1 promises no more.
        self._identifier = f"credence{secrets.token_hex(6)}"
        self._told: str | None = None

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
                    await session(await self._connect(stack))
            except* (aiomqtt.MqttError, UnicodeError) as group:
                self._warn(plain_reason(group))
            else:
                return
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
        return Client(self._broker, protocol=protocol, identifier=self._identifier, will=self._will)

    def _warn(self, reason: str) -> None:
        if reason == self._told:
            return
        self._told = reason
        address = self._broker.address
        log.warning(
            f"cannot use the broker at {address}: {reason}; trying again until it works",
            broker=address,
            reason=reason,
        )


def plain_reason(error: BaseException) -> str:
    """Say in plain words why a connection could not be made or was lost."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error, error.__cause__ or error.__context__:
        case RefusedError(), _:
            return str(error)
        case HungUpError(), _:
            return "it hung up without an answer (does it expect TLS?)"
        case aiomqtt.MqttConnectError(rc=ReasonCode() as code), _:
            login = code.value in _BAD_LOGIN
            return "bad user name or password" if login else f"it refused: {code}"
        case (UnicodeError(), _) | (_, socket.gaierror()):
            return "host name not found"
        case _, ssl.SSLError() as problem:
            return f"TLS problem: {getattr(problem, 'verify_message', '') or problem.reason}"
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


_UNSPECIFIED: Final = 0x80


def _refuses_v5(error: aiomqtt.MqttError) -> bool:
    match error:
        case HungUpError():
            return True
        case aiomqtt.MqttConnectError(rc=ReasonCode() as code):
            return bool(code.value == _UNSUPPORTED_PROTOCOL)
        case _:
            return False


def _described(content_type: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = content_type
    properties.PayloadFormatIndicator = 1
    return properties
