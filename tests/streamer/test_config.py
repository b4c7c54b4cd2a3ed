import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from engines.errors import CredenceError
from streamer.config import (
    Camera,
    Config,
    ConfigError,
    LanguageModel,
    Mqtt,
    Recognition,
    Vad,
    Windows,
    load,
)

ROOT = Path(__file__).parents[2]
PASSWORD = "hunter2-opensesame"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, *overrides: str) -> Config:
    Path("cams.yaml").write_bytes(text.encode())
    return load(Path("cams.yaml"), overrides)


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "---\n", "~", "{}", "\ufeff", "vad:\ncameras:\nmqtt:\n", "windows: {}\r\n"],
)
def test_load_nothing_is_all_defaults(text: str) -> None:
    assert loaded(text) == load(None) == Config()


def test_load_every_key() -> None:
    config = loaded(
        """
        node: attic
        cameras: [{name: Haustür 2, url: "rtsp://u:p@10.0.0.5:8554/main?x=1"}]
        video: {sample_every_s: 1}
        faces: {model: haar, min_score: 1, min_size_px: 1}
        vad: {aggressiveness: 0, pre_roll_s: 0, hangover_s: 1e-1, shortest_s: 0.5}
        windows: {longest_s: 9, ambient_every_s: 3, ambient_shortest_s: 3}
        engines: {face: none, voice: shipped, text: none, policy: none}
        mqtt: {url: "mqtts://h", topic_prefix: home/credence, username: me, password: "123"}
        """
    )
    assert config.node == "attic"
    assert config.cameras[0].name == "Haustür 2"
    assert config.cameras[0].url.get_secret_value() == "rtsp://u:p@10.0.0.5:8554/main?x=1"
    assert config.video.sample_every_s == 1.0
    assert config.vad == Vad(aggressiveness=0, pre_roll_s=0, hangover_s=0.1, shortest_s=0.5)
    assert config.windows == Windows(longest_s=9, ambient_every_s=3, ambient_shortest_s=3)
    assert config.mqtt is not None
    assert config.mqtt.password == SecretStr("123")
    assert config.mqtt.topic_prefix == "home/credence"


def test_load_override_wins_over_the_file() -> None:
    config = loaded(
        "cameras: [{name: a, url: a.mp4}]\nvad: {hangover_s: 1, pre_roll_s: 1}\nmqtt: {url: 1}",
        "cameras.0.url=/b.mp4",
        "cameras.1={name: b, url: /c.mp4}",
        "vad.hangover_s=2",
        "vad.hangover_s=3",
        "windows.longest_s=9",
        "mqtt=",
    )
    assert [camera.url.get_secret_value() for camera in config.cameras] == ["/b.mp4", "/c.mp4"]
    assert (config.vad.hangover_s, config.vad.pre_roll_s) == (3, 1)
    assert config.windows.longest_s == 9
    assert config.mqtt is None


def test_load_override_mends_the_file() -> None:
    assert loaded("vad: {hangover_s: x}", "vad.hangover_s=1").vad.hangover_s == 1


def test_load_override_needs_no_file() -> None:
    config = load(None, ["cameras.0.name=a", "cameras.0.url=b", "mqtt.url=mqtt://u:p@h"])
    assert config.cameras == (Camera(name="a", url=SecretStr("b")),)
    assert config.mqtt == Mqtt(url="mqtt://u:p@h")


def test_load_takes_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "attic ${B}")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("SECONDS", "0.25")
    config = loaded(
        'faces: {model: "/${A:-x}.${EMPTY:-cellar}.${NOT_SET:-roof}.${EMPTY}$5"}\n'
        'vad: {hangover_s: "${SECONDS}"}',
        "video.sample_every_s=${SECONDS}",
    )
    assert config.faces.model == "/attic ${B}.cellar.roof.$5"
    assert config.vad.hangover_s == config.video.sample_every_s == 0.25


def test_load_paths_start_from_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "etc").mkdir()
    file = folder / "etc" / "a.yaml"
    file.write_text(
        "faces: {model: ./auto}\n"
        "engines: {face: ../mine, voice: none, policy: ~/policy}\n"
        "cameras:\n- {name: a, url: clip.mp4}\n- {name: b, url: /x.mp4}\n- {name: c, url: c}\n"
        "- {name: d, url: 'http://h/x'}"
    )
    monkeypatch.setenv("HOME", "/home/me")
    config = load(Path("etc/a.yaml"), ["cameras.2.url=other.mp4"])
    assert config.faces.model == str(folder / "etc/auto")
    assert config.engines.face == str(folder / "etc/../mine")
    assert (config.engines.voice, config.engines.policy) == ("none", "/home/me/policy")
    assert [camera.url.get_secret_value() for camera in config.cameras] == [
        str(folder / "etc/clip.mp4"),
        "/x.mp4",
        "other.mp4",
        "http://h/x",
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://h", ("h", 1883, False, None, None)),
        ("mqtts://h", ("h", 8883, True, None, None)),
        ("MQTT://h:1/", ("h", 1, False, None, None)),
        ("mqtt://u@h", ("h", 1883, False, "u", None)),
        ("mqtt://u%40x:p%2F%23@[::1]:99", ("::1", 99, False, "u@x", "p/#")),
        ("mqtt://u:a@b@h", ("h", 1883, False, "u", "a@b")),
    ],
)
def test_parse_reads_a_url(url: str, expected: tuple[Any, ...]) -> None:
    mqtt = Mqtt.parse(url, "home")
    password = mqtt.password.get_secret_value() if mqtt.password else None
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.username, password) == expected
    assert "@" not in mqtt.url
    assert mqtt.topic_prefix == "home"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost", "must begin with mqtt:// or mqtts://"),
        ("", "must begin with mqtt:// or mqtts://"),
        ("mqtt://", "must name a host"),
        ("mqtt://u:p@", "must name a host"),
        ("mqtt://h:0", "must have a host and a port from 1 to 65535"),
        ("mqtt://h:x", "must have a host and a port from 1 to 65535"),
        ("mqtt://[::1", "must have a host and a port from 1 to 65535"),
        ("mqtt://h\n", "must hold no spaces and no control characters"),
        ("mqtt://h/topic", "must end after the port"),
        ("mqtt://h?x", "must end after the port"),
        ("mqtt://:p@h", "needs a username beside the password"),
    ],
)
def test_parse_refuses_a_bad_url(url: str, problem: str) -> None:
    with pytest.raises(CredenceError, match=f"^--mqtt: {re.escape(problem)}") as caught:
        Mqtt.parse(url)
    assert caught.value.__cause__ is None


def test_mqtt_fields_win_over_the_url() -> None:
    mqtt = Mqtt(url="mqtt://a:b@h", username="c", password=SecretStr("d"))
    assert (mqtt.username, mqtt.password) == ("c", SecretStr("d"))


def test_config_hides_credentials() -> None:
    config = Config(
        cameras=(Camera(name="a", url=SecretStr(f"rtsp://u:{PASSWORD}@h")),),
        mqtt=Mqtt(url=f"mqtt://u:{PASSWORD}@h"),
    )
    for shown in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert PASSWORD not in shown


def test_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Config().node = "other"  # type: ignore[misc]


def test_config_refuses_two_cameras_of_one_name() -> None:
    camera = Camera(name="a", url=SecretStr("b"))
    with pytest.raises(ValidationError, match="two cameras are named 'a'"):
        Config(cameras=(camera, camera))


@pytest.mark.parametrize(
    ("host", "node"),
    [("Attic.local", "attic-local"), ("a_b-1", "a_b-1"), ("ä$#", "---"), ("", "node")],
)
def test_config_node_is_the_host_name(
    host: str, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert Config().node == node


def examples() -> list[Path]:
    return sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.name)
def test_load_every_example(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret")
    monkeypatch.setenv("MQTT_PASSWORD", "s3cret")
    load(path)


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.name)
def test_load_every_setting_that_an_example_switches_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret")
    monkeypatch.setenv("MQTT_PASSWORD", "s3cret")
    loaded(re.sub(r"^#(?=[a-z])", "", path.read_text(), flags=re.MULTILINE))


def test_replay_example_spells_out_the_defaults() -> None:
    text = (ROOT / "configs/replay.yaml").read_text()
    assert loaded(text) == Config()
    written = yaml.safe_load(text)
    apart = ("node", "cameras", "language_model", "mqtt")
    for key in Config.model_fields.keys() - apart:
        section: BaseModel = getattr(Config(), key)
        assert written[key] == section.model_dump()


def test_an_engine_for_several_emotions_is_shipped_or_a_path() -> None:
    assert loaded("engines: {multilabel: several}").engines.multilabel.endswith("/several")
    assert loaded("recognition:\n  #multilabel: true").recognition == Recognition()
    with pytest.raises(ConfigError, match=r"recognition\.multilabel: must be true or false"):
        load(None, ["recognition.multilabel=several"])


def test_replay_example_spells_out_a_language_model() -> None:
    text = (ROOT / "configs/replay.yaml").read_text()
    model = loaded(
        re.sub(r"^#(?=language_model:|  \w)", "", text, flags=re.MULTILINE)
    ).language_model
    assert model is not None
    assert model == LanguageModel(url=model.url, model=model.model, api_key=model.api_key)
    assert model.model_fields_set == LanguageModel.model_fields.keys()


def test_import_stays_light() -> None:
    heavy = "numpy cv2 av onnxruntime asyncio torch rich typer"
    code = f"import sys, streamer.config; print(set('{heavy}'.split()) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "set()"
