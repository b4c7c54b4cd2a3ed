"""The link to a broker that is old, silent, forbidding or not what it seems."""

import asyncio
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.broker import Broker, Client
from streamer.link import backoff
from streamer.sinks.mqtt import MqttSink
from streamer.tls import Tls
from streamer.topics import EVENT
from tests.streamer.broker import (
    V5_HUNG_UP_ON,
    V5_REFUSED_AS_5,
    V5_REFUSED_AS_311,
    Attempts,
    Mosquitto,
    Proxy,
    listening,
    need,
    running,
)
from tests.streamer.conftest import MakeEvent


@pytest.mark.parametrize("refusal", [V5_REFUSED_AS_311, V5_REFUSED_AS_5, V5_HUNG_UP_ON])
async def test_old_broker_is_spoken_to_over_311_from_then_on(
    broker: Broker, make_event: MakeEvent, refusal: bytes
) -> None:
    proxy = Proxy(broker.port, refusal, prefix=broker.prefix)
    await proxy.open()
    sink, event = MqttSink(proxy.address, "lab", delays=Attempts()), make_event()
    async with listening(broker, f"{broker.prefix}/lab/#") as client, running(sink.run()):
        assert (await anext(client.messages)).payload == b"online"
        await proxy.cut()
        assert (await anext(client.messages)).payload == b"offline"
        await proxy.open()
        assert (await anext(client.messages)).payload == b"online"
        await sink.put(event)
        message = await anext(client.messages)
    await proxy.cut()
    assert proxy.levels == [5, 4, 4]
    assert message.payload == event.model_dump_json().encode()


@pytest.mark.parametrize("refusal", [None, V5_REFUSED_AS_311])
async def test_bad_password_is_one_clear_sentence(tmp_path: Path, refusal: bytes | None) -> None:
    mosquitto = Mosquitto(tmp_path, login=("ada", "right")).start()
    proxy = Proxy(mosquitto.port, refusal)
    await proxy.open()
    wrong = replace(proxy.address, username="ada", password="wr0ng")
    attempts = Attempts()
    with capture_logs() as logs:
        async with running(MqttSink(wrong, "lab", delays=attempts).run()):
            for _ in range(3):
                await attempts.failed.wait()
                attempts.failed.clear()
    await proxy.cut()
    mosquitto.kill()
    assert [log["event"] for log in logs] == [
        f"cannot use the broker at 127.0.0.1:{proxy.port}: bad user name or password; "
        f"trying again until it works"
    ]
    assert "wr0ng" not in str(logs)


async def test_right_password_is_let_in(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path, login=("ada", "right")).start()
    sink = MqttSink(mosquitto.address, "lab", delays=Attempts())
    async with running(sink.run()):
        await sink.close()
    mosquitto.kill()


async def test_forbidden_topic_is_said(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read #\n")
    mosquitto = Mosquitto(tmp_path, settings=f"acl_file {rules}\n").start()
    warning = await _first_warning(mosquitto.address)
    mosquitto.kill()
    assert "does not let this user publish on credence/lab/availability" in warning


async def test_unknown_host_is_said() -> None:
    assert "host name not found" in await _first_warning(Broker("no..such..host"))


async def test_plain_text_where_tls_was_asked_for_is_said(broker: Broker) -> None:
    said = await _first_warning(replace(broker, tls=Tls()))
    assert "TLS problem: it did not answer as TLS does; trying" in said


async def test_tls_wants_a_certificate_that_it_can_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path)
    settings = f"certfile {certificate}\nkeyfile {tmp_path}/key.pem\n"
    mosquitto = Mosquitto(tmp_path, settings=settings).start()
    encrypted = replace(mosquitto.address, tls=Tls())
    assert "TLS problem: self-signed certificate" in await _first_warning(encrypted)
    assert "hung up" in await _first_warning(mosquitto.address)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    sink = MqttSink(encrypted, "lab")
    async with running(sink.run()):
        await sink.close()
    mosquitto.kill()


async def test_cancelling_lets_go_of_a_silent_peer() -> None:
    greeted, left = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        greeted.set()
        while await reader.read(64):
            pass
        writer.close()
        left.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with running(MqttSink(Broker("127.0.0.1", port), "lab").run()):
            await greeted.wait()
        await left.wait()


def test_backoff_doubles_with_jitter_up_to_a_minute() -> None:
    delays = [delay for delay, _ in zip(backoff(), range(10), strict=False)]
    longest = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert all(most / 2 <= delay <= most for delay, most in zip(delays, longest, strict=True))


async def _first_warning(broker: Broker) -> str:
    attempts = Attempts()
    with capture_logs() as logs:
        async with running(MqttSink(broker, "lab", delays=attempts).run()):
            await attempts.failed.wait()
    return next(str(log["event"]) for log in logs if log["log_level"] == "warning")


def _certificate(folder: Path) -> Path:
    need("openssl")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-keyout key.pem -out certificate.pem -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


async def test_socket_that_is_closed_before_it_is_watched_is_no_error(broker: Broker) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    async with Client(broker) as client:
        gone = socket.socket()
        client._on_socket_register_write(client._client, None, gone)
        gone.close()
        await asyncio.sleep(0)
        await client.send(f"{broker.prefix}/x", b"x", EVENT.delivery)
    assert complaints == []
