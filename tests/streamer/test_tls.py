"""TLS to a real broker that has an authority of its own and wants to know who comes."""

import asyncio
import json
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer import cli_given as given
from streamer.broker import Broker
from streamer.config import ConfigError, Mqtt, load
from streamer.sinks.mqtt import MqttSink
from streamer.tls import CertificateError, Tls
from tests.streamer.broker import Attempts, Mosquitto, need, running
from tests.streamer.conftest import MakeEvent

ROOT = Path(__file__).parents[2]

_CURVE = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"


class Authority:
    """Issues certificates, each as NAME.pem with its key in NAME.key."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._openssl(f"req -x509 {_CURVE} -keyout {name}.key -out {name}.pem -subj /CN={name}")
        self.file = folder / f"{name}.pem"

    def issue(self, name: str) -> Tls:
        """Issue a certificate to a client, or to a server on the loopback address."""
        (self._folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl(f"req {_CURVE} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        self._openssl(
            f"x509 -req -in {name}.csr -CA {self._name}.pem -CAkey {self._name}.key -days 2 "
            f"-CAcreateserial -extfile names -out {name}.pem"
        )
        return Tls(self.file, self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def _openssl(self, arguments: str) -> None:
        command = ["openssl", *arguments.split()]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    need("openssl")
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def node(authority: Authority) -> Tls:
    """What a node has that this broker lets in."""
    return authority.issue("node")


@pytest.fixture(scope="module", params=["tlsv1.2", "tlsv1.3"])
def encrypted(
    authority: Authority, folder: Path, request: pytest.FixtureRequest
) -> Iterator[Broker]:
    """A broker that wants a certificate of our authority."""
    authority.issue("broker")
    mosquitto = Mosquitto(
        folder,
        settings=f"certfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        f"cafile {authority.file}\nrequire_certificate true\ntls_version {request.param}\n",
    ).start()
    yield replace(mosquitto.address, tls=Tls(authority.file))
    mosquitto.kill()


async def warning_of(broker: Broker) -> str:
    attempts = Attempts()
    with capture_logs() as logs:
        async with running(MqttSink(broker, "lab", delays=attempts).run()):
            await attempts.failed.wait()
    return next(str(log["event"]) for log in logs if log["log_level"] == "warning")


async def test_client_certificate_is_let_in(encrypted: Broker, node: Tls) -> None:
    sink = MqttSink(replace(encrypted, tls=node), "lab")
    async with running(sink.run()):
        await sink.close()


async def test_missing_client_certificate_is_said(encrypted: Broker) -> None:
    said = "hung up"
    while "hung up" in said:  # as below
        said = await warning_of(encrypted)
    assert "it wants mqtt.client_cert and mqtt.client_key" in said


async def test_refused_client_certificate_is_said(
    encrypted: Broker, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "theirs").issue("stranger")
    wrong = replace(encrypted, tls=replace(stranger, ca_file=authority.file))
    said = "hung up"
    while "hung up" in said:  # with TLS 1.3 the refusal may cross what we have written, and is lost
        said = await warning_of(wrong)
    assert "it does not trust the authority of mqtt.client_cert" in said


async def test_broker_of_another_authority_is_said(
    encrypted: Broker, node: Tls, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "theirs").file
    said = await warning_of(replace(encrypted, tls=replace(node, ca_file=other)))
    assert "TLS problem: " in said
    assert "name its authority as mqtt.ca_file" in said


async def test_certificate_that_vanishes_ends_nothing(
    encrypted: Broker, node: Tls, tmp_path: Path
) -> None:
    gone = replace(node, client_key=tmp_path / "gone.key")
    assert f"mqtt.client_key: {gone.client_key}: no such file" in await warning_of(
        replace(encrypted, tls=gone)
    )


async def test_watch_goes_on_from_its_place_with_configured_certificates(
    encrypted: Broker, node: Tls, tmp_path: Path, make_event: MakeEvent
) -> None:
    files = {key: str(path) for key, path in asdict(node).items()}
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"mqtt": {"url": f"mqtts://{encrypted.address}", **files}}))
    sink = MqttSink(replace(encrypted, tls=node), "lab")

    @asynccontextmanager
    async def watching() -> AsyncIterator[asyncio.StreamReader]:
        words = ["-m", "streamer.cli", "watch", "--json", "--since", "desk"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words, "--config", str(config)), stdout=PIPE, stderr=PIPE, cwd=ROOT
        )
        assert process.stdout
        assert process.stderr
        while b"node lab is online" not in await process.stderr.readline():
            pass
        yield process.stdout
        process.send_signal(signal.SIGINT)
        await process.communicate()

    events = [make_event(n=n) for n in range(3)]
    lines = [f"{event.model_dump_json()}\n".encode() for event in events]
    async with asyncio.timeout(30), running(sink.run()):
        async with watching() as out:
            await sink.put(events[0])
            assert await out.readline() == lines[0]
        await sink.put(events[1])
        async with watching() as out:
            await sink.put(events[2])
            assert [await out.readline(), await out.readline()] == lines[1:]


def test_files_that_cannot_be_used_are_refused(node: Tls, authority: Authority) -> None:
    certificate, key = node.client_cert, node.client_key
    assert certificate
    assert key
    secret = key.with_name("secret.key")
    locking = f"openssl pkey -in {key} -aes256 -passout pass:x -out {secret}"
    subprocess.run(locking.split(), check=True, capture_output=True, timeout=20)
    text, other = key.with_name("text"), authority.issue("other").client_key
    text.write_text("nothing of that kind\n")
    gone = key.with_name("gone")
    for tls, said in {
        Tls(gone): f"mqtt.ca_file: {gone}: no such file or directory",
        Tls(text): "holds no certificate in PEM",
        Tls(key.parent): f"mqtt.ca_file: {key.parent}: is a directory",
        Tls(None, gone): "mqtt.client_cert",
        Tls(None, text, key): f"mqtt.client_cert: {text}: holds no certificate in PEM",
        Tls(None, certificate): "holds no key in PEM; name its file as mqtt.client_key",
        Tls(None, certificate, text): f"mqtt.client_key: {text}: holds no key in PEM",
        Tls(None, certificate, other): f"{other}: this key belongs to another certificate",
        Tls(None, certificate, secret): f"{secret}: the key has a passphrase",
    }.items():
        with pytest.raises(CertificateError) as refused:
            tls.context()
        assert said in str(refused.value)


def test_configured_certificates_reach_the_broker(node: Tls, authority: Authority) -> None:
    settings = ["mqtt.url=mqtts://h", f"mqtt.ca_file={node.ca_file}"]
    settings += [f"mqtt.client_cert={node.client_cert}", f"mqtt.client_key={node.client_key}"]
    mqtt = load(None, settings).mqtt
    assert mqtt
    assert given.broker(mqtt).tls == node
    assert given.watched(None, None, None, settings).tls == node
    other = given.watched("mqtts://other", "x", None, settings)
    assert other == Broker("other", 8883, node, prefix="x")
    plain = given.watched("mqtt://u:p@other", None, None, settings)
    assert plain == Broker("other", 1883, None, "u", "p")


def test_certificates_need_tls_and_each_other() -> None:
    with pytest.raises(ConfigError, match=r"mqtt.ca_file: needs a url that begins with mqtts"):
        load(None, ["mqtt.url=mqtt://h", "mqtt.ca_file=a.pem"])
    with pytest.raises(ConfigError, match=r"mqtt.client_key: needs mqtt.client_cert beside"):
        load(None, ["mqtt.url=mqtts://h", "mqtt.client_key=a.pem"])
    with pytest.raises(ConfigError, match=r"--mqtt: mqtt.ca_file needs a url that begins with"):
        Mqtt.parse("mqtt://h", ca_file=Path("a.pem"))
