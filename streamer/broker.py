"""An MQTT broker, and one connection to it."""

import asyncio
import logging
import socket
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from streamer.tls import CertificateError, Context, Tls

IN_FLIGHT: Final = 16
"""Messages sent and not yet acknowledged. Brokers commonly take 20."""

KEPT_S: Final = 7 * 24 * 3600
"""So long a broker keeps events, and the places of subscribers that are away. **ours**"""

T = TypeVar("T")

KEEPALIVE_S: Final = 30
_UNREAD: Final = 1024

# paho reports every loss on its own; here each outage is said once, in plain words.
_quiet = logging.getLogger("streamer.broker.paho")
_quiet.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where events are published, and as whom."""

    host: str
    port: int = 1883
    tls: Tls | None = None
    """None does not encrypt."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str = "credence"
    """The first level of every topic; may itself have several."""
    newest: ProtocolVersion = ProtocolVersion.V5
    """The protocol that is tried first."""

    @property
    def address(self) -> str:
        """`host:port`, for people."""
        return f"{self.host}:{self.port}"

    def topic(self, *levels: str) -> str:
        """Return the topic of these levels below the prefix."""
        return "/".join((self.prefix, *levels))


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the messages of a topic are published."""

    retain: bool = False
    content_type: str = ""
    """Said with MQTT 5; nothing is said of bare text."""
    expiry_s: int | None = None
    """With MQTT 5 the broker keeps a message no longer for who is away; None is for ever."""

    def properties(self, facts: Sequence[tuple[str, str]] = ()) -> Properties:
        """Return what MQTT 5 says beside the payload; ``facts`` as user properties."""
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if facts:
            said.UserProperty = list(facts)
        if self.content_type:
            said.ContentType = self.content_type
            said.PayloadFormatIndicator = 1
        if self.expiry_s is not None:
            said.MessageExpiryInterval = self.expiry_s
        return said


class HungUpError(aiomqtt.MqttError):
    """The peer closed the connection instead of answering."""

    def __init__(self, alert: str | None = None) -> None:
        super().__init__(alert or "")
        self.alert = alert
        """What it said of TLS; None where it said nothing."""


class RefusedError(aiomqtt.MqttError):
    """The broker took the connection, but not this message or subscription."""

    def __init__(self, what: str, code: ReasonCode) -> None:
        super().__init__(f"it does not let this user {what} ({code})")


class Client(aiomqtt.Client):
    """One connection. Unlike its parent it notices a hang-up and a refusal at once.

    Left by an exception, it drops the connection without farewell: the last will is sent.
    With ``kept_s`` the broker keeps its subscriptions, and what comes on them, for so long after.
    """

    def __init__(self, broker: Broker, *, kept_s: int = 0, **options: Any) -> None:
        self.is_v5 = options.get("protocol") is ProtocolVersion.V5
        if kept_s:
            options |= _persistent(kept_s) if self.is_v5 else {"clean_session": False}
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=_UNREAD,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            logger=_quiet,
            **options,
        )
        self._keeps_place = kept_s > 0
        self._client.manual_ack_set(self._keeps_place)
        self.has_place = False
        """Whether the broker still had a place of this client's."""
        self._tls = broker.tls
        self._context: Context | None = None
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._abandoned = False
        self._refusal: ReasonCode | None = None

    async def send(
        self, topic: str, payload: bytes, delivery: Delivery, facts: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Publish at QoS 1, in the order of calls; return once the broker has it, or MqttError.

        ``facts`` are user properties; MQTT 3.1.1 has none.
        """
        properties = delivery.properties(facts) if self.is_v5 else None
        async with self._room:
            await self.publish(topic, payload, qos=1, retain=delivery.retain, properties=properties)
        if self._refusal is not None:
            raise RefusedError(f"publish on {topic}", self._refusal)

    async def listen(self, *filters: str, qos: int = 1) -> None:
        """Subscribe, or raise RefusedError."""
        for granted in await self.subscribe([(topic, qos) for topic in filters]):
            if isinstance(granted, ReasonCode) and granted.is_failure:
                raise RefusedError(f"subscribe to {', '.join(filters)}", granted)

    async def received(self) -> AsyncGenerator[aiomqtt.Message, None]:
        """Yield messages, also those that came just before a loss; then raise MqttError.

        A client that keeps its place acknowledges a message when it is asked for the next.
        """
        try:
            async for message in self.messages:
                yield message
                if self._keeps_place:
                    self._acknowledge(message)
        except aiomqtt.MqttError:
            while not self._queue.empty():  # the parent would drop them
                yield self._queue.get_nowait()
            raise

    def _acknowledge(self, message: aiomqtt.Message) -> None:
        self._client.ack(message.mid, message.qos)
        self._client.loop_write()  # at once, as who is cancelled writes no more

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
            with suppress(OSError):  # it may be gone already
                held.shutdown(socket.SHUT_RDWR)
        await super().__aexit__(exc_type, exc, tb)
        self._disconnected.exception()  # asyncio complains of a loss that nobody looked at

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109
        # The parent's waits out its timeout after a loss, and before Python 3.12 swallows a
        # cancellation that comes together with the result.
        answer = asyncio.ensure_future(fut)
        within_s = timeout or self.timeout
        try:
            await asyncio.wait(
                (answer, self._disconnected), timeout=within_s, return_when=FIRST_COMPLETED
            )
            if answer.done():
                return answer.result()
            if self._disconnected.done():
                raise aiomqtt.MqttError("connection lost") from self._disconnected.exception()
            raise aiomqtt.MqttError("no answer") from TimeoutError()
        finally:
            answer.cancel()

    def _client_connect(self) -> None:
        # In a thread of the parent's: connecting and reading certificates block.
        if self._tls:
            try:
                self._context = self._tls.context()
            except CertificateError as error:  # the files may be back at the next attempt
                raise aiomqtt.MqttError(str(error)) from error
            self._client.tls_set_context(self._context)
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
        self.has_place = flags.session_present
        most = getattr(properties, "ReceiveMaximum", IN_FLIGHT)
        self._room = asyncio.Semaphore(min(most, IN_FLIGHT))
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
            alert = self._context.refusal if self._context else None
            self._connected.set_exception(HungUpError(alert))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_socket_register_write(
        self,
        client: paho.Client,
        userdata: Any,
        sock: Any,
    ) -> None:
        def watch() -> None:
            # The parent's would watch what was closed meanwhile, or another socket of its number.
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), self._write)

        self._loop.call_soon_threadsafe(watch)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

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


def _persistent(kept_s: int) -> dict[str, Any]:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = kept_s
    properties.ReceiveMaximum = _UNREAD // 2  # so that the queue has room for what else comes
    return {"properties": properties, "clean_start": False}
