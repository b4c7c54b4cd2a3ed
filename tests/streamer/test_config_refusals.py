from pathlib import Path

import pytest
import yaml

from streamer.config import ConfigError, load
from tests.streamer.cams import outcome

PASSWORD = "hunter2-opensesame"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(text: str, *overrides: str) -> str:
    error = outcome(text, *overrides)
    assert isinstance(error, ConfigError)
    assert error.__cause__ is None
    assert str(error) == "\n".join(error.problems)
    return str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "\nvad:\n  agressiveness: 2",
            "3: unknown key 'agressiveness' in vad; did you mean 'aggressiveness'?",
        ),
        ("vda: {}", "1: unknown key 'vda'; did you mean 'vad'?"),
        (
            "cameras:\n- name: a\n  url: b\n  uri: c",
            "4: unknown key 'uri' in cameras.0; did you mean 'url'?",
        ),
        (
            "video: {zzz: 1}",
            "1: unknown key 'zzz' in video; known are sample_every_s, decoder",
        ),
        (
            "vad:\n  hangover_s: long",
            "2: vad.hangover_s must be a number from 0.03 to 10, not 'long'",
        ),
        ("vad: {hangover_s: 0}", "1: vad.hangover_s must be a number from 0.03 to 10, not 0"),
        ("vad: {hangover_s: .inf}", "1: vad.hangover_s must be a number from 0.03 to 10, not .inf"),
        ("vad: {hangover_s: .nan}", "1: vad.hangover_s must be a number from 0.03 to 10, not .nan"),
        ("vad: {hangover_s: true}", "1: vad.hangover_s must be a number from 0.03 to 10, not true"),
        (
            "vad: {hangover_s: [1]}",
            "1: vad.hangover_s must be a number from 0.03 to 10, not a list",
        ),
        ("vad: {hangover_s: }", "1: vad.hangover_s has no value"),
        (
            "engines: {device: cuda:x}",
            "1: engines.device must be auto, cpu, cuda or cuda:N, not 'cuda:x'",
        ),
        (
            "vad: {aggressiveness: 4}",
            "1: vad.aggressiveness must be a whole number from 0 to 3, not 4",
        ),
        (
            "vad: {aggressiveness: 1.5}",
            "1: vad.aggressiveness must be a whole number from 0 to 3, not 1.5",
        ),
        (
            "faces: {min_size_px: 0}",
            "1: faces.min_size_px must be a whole number from 1 to 10000, not 0",
        ),
        ("faces: {min_score: 1.1}", "1: faces.min_score must be a number from 0 to 1, not 1.1"),
        ("faces: {model: 3}", "1: faces.model must be auto, haar or a path, not 3"),
        ("faces: {model: ''}", "1: faces.model must name a file or folder, not ''"),
        ("node: 12", "1: node must be text, not 12; put it in quotes"),
        ("node: no", "1: node must be text, not no; put it in quotes"),
        ("node:", "1: node has no value; quote text that begins with #"),
        ("vad: 3", "1: vad must be a mapping of keys to values"),
        ("vad: [3]", "1: vad must be a mapping of keys to values, not a list"),
        ("cameras: {name: a}", "1: cameras must be a list, not a mapping"),
        ("cameras:\n- clip.mp4", "2: cameras.0 must be a mapping of keys to values"),
        ("cameras:\n-", "2: cameras.0 has no value"),
        ("cameras:\n- name: a", "2: cameras.0.url is missing"),
        ("mqtt: {topic_prefix: a}", "1: mqtt.url is missing"),
        (
            "cameras:\n- name: door\n  url: a\n- url: b\n  name: door",
            "5: two cameras are named 'door'; see also line 2",
        ),
        (
            "vad: {shortest_s: 8}\n",
            "1: vad.shortest_s must be less than windows.longest_s",
        ),
        (
            "windows:\n  longest_s: 1\nvad:\n  shortest_s: 1",
            "4: vad.shortest_s must be less than windows.longest_s; see also line 2",
        ),
        (
            "windows: {ambient_every_s: 0.5}",
            "1: windows.ambient_shortest_s must be at most windows.ambient_every_s",
        ),
        ("vad: {}\nnode: a\nvad: {}", "3: key 'vad' is given twice; see also line 1"),
        ("[a, b]: 1", "1: a key must be plain text"),
        ("- node: a", "1: the file must hold keys and values, such as `node: a`"),
        ("attic", "1: the file must hold keys and values, such as `node: a`"),
        (
            "node: a\nvad: [",
            "2: not valid YAML: what is opened here is not closed, or lacks a comma "
            "(expected the node content, but found '<stream end>')",
        ),
        (
            "node: 'a\nvad: {}\n",
            "1: not valid YAML: what is opened here is not closed, or lacks a comma "
            "(found unexpected end of stream)",
        ),
        (
            "vad: {\n  hangover_s: 1\nfaces:\n  model: haar\n",
            "1: not valid YAML: what is opened here is not closed, or lacks a comma "
            "(expected ',' or '}', but got ':')",
        ),
        (
            "node: a\n\tb: c",
            "2: not valid YAML: found character '\\t' that cannot start any token; "
            "indent with spaces",
        ),
        ('"\\ud800": a', "1: a key must be plain text"),
        ('node: "\\ud800"', "1: node must be text that UTF-8 can hold"),
        ("node: a\x07", "1: not valid YAML: it holds a control character"),
        ('node: "\\UFFFFFFFF"', "1: not valid YAML: it holds an impossible escape"),
        ("[" * 9999, "1: not valid YAML: it is nested too deeply"),
        (
            "vad: &v {}\nwindows: *v",
            "1: not valid YAML: quote text that begins with & * or ! "
            "(anchors and tags are not read)",
        ),
        (
            "metrics: {host: localhost}",
            "1: metrics.host must be an IP address, such as 127.0.0.1 or 0.0.0.0, not 'localhost'",
        ),
        ("node: ${NOT_SET}", "1: node takes NOT_SET from the environment, where it is not set"),
        ("node: a${b", "1: node has a ${ that no variable's name and } follow"),
    ],
)
def test_load_refuses_in_one_sentence(text: str, sentence: str) -> None:
    assert refusal(text) == f"cams.yaml:{sentence}"


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a/b", "+", "#", "$SYS", "a\0", "a\tb", "a\x85b", "\ufffe", "x" * 101],
)
@pytest.mark.parametrize("key", ["node", "cameras.0.name", "mqtt.topic_prefix"])
def test_load_refuses_what_is_no_topic_level(key: str, name: str) -> None:
    if key == "mqtt.topic_prefix":
        name = name.replace("a/b", "a//b")
    text = yaml.safe_dump(name)
    document = {
        "node": f"node: {text}",
        "cameras.0.name": f"cameras:\n- url: a\n  name: {text}",
        "mqtt.topic_prefix": f"mqtt:\n  url: mqtt://h\n  topic_prefix: {text}",
    }[key]
    assert f"{key} must be 1 to 100 characters that make an MQTT topic level" in refusal(document)


@pytest.mark.parametrize("prefix", ["/a", "a//b", "a/", "a/+/b"])
def test_load_refuses_a_prefix_with_a_bad_level(prefix: str) -> None:
    assert "topic level" in refusal(f"mqtt: {{url: mqtt://h, topic_prefix: {prefix}}}")


def test_load_reports_every_problem_in_line_order() -> None:
    problems = refusal(
        "vda: 1\n"
        "cameras:\n"
        "- {name: a, url: x}\n"
        "- {name: a, url: x, fps: 3}\n"
        "- {name: b/c}\n"
        "vad: {hangover_s: x, pre_roll_s: -1}\n"
        "node: ${NOT_SET}\n",
        "faces.min_score=2",
        "nonsense",
        "video.every=1",
    ).splitlines()
    places = [problem.split(": ")[0] for problem in problems]
    assert places == [
        "cams.yaml:1",
        "cams.yaml:4",
        "cams.yaml:4",
        "cams.yaml:5",
        "cams.yaml:5",
        "cams.yaml:6",
        "cams.yaml:6",
        "cams.yaml:7",
        "--set faces.min_score",
        "--set number 2",
        "--set video.every",
    ]
    assert "cams.yaml:4: two cameras are named 'a'; see also line 3" in problems


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["vad.agressiveness=2"],
            "--set vad.agressiveness: unknown key 'agressiveness' in vad; "
            "did you mean 'aggressiveness'?",
        ),
        (["vad.hangover_s=x"], "--set vad.hangover_s: must be a number from 0.03 to 10, not 'x'"),
        (["vad=x"], "--set vad: must be a mapping of keys to values"),
        (["node="], "--set node: has no value; quote text that begins with #"),
        (["vad.shortest_s=9"], "--set vad.shortest_s: must be less than windows.longest_s"),
        (["node"], "--set number 1: must be KEY=VALUE, such as node=attic"),
        (["=a"], "--set number 1: must be KEY=VALUE, such as node=attic"),
        (["a..b=a"], "--set number 1: must be KEY=VALUE, such as node=attic"),
        (["node=a", ".".join("a" * 5000) + "=1"], "--set number 2: must be KEY=VALUE, such as"),
        (["node=[a"], "--set node: not valid YAML: what is opened here is not closed, or lacks a"),
        (["node.x=a"], "--set node.x: what it belongs to is a single value"),
        (
            ["cameras.2.url=a"],
            "--set cameras.2.url: elements of a list are named by number, here 0 to 1",
        ),
        (
            ["cameras.url=a"],
            "--set cameras.url: elements of a list are named by number, here 0 to 1",
        ),
        (["cameras.1.name=door", "cameras.1.url=x"], "--set cameras.1.name: two cameras are named"),
        (["0=a"], "--set 0: unknown key; known are node, "),
    ],
)
def test_load_names_the_option_of_a_bad_override(overrides: list[str], sentence: str) -> None:
    found = refusal("node: a\ncameras: [{name: door, url: clip.mp4}]", *overrides)
    assert found.startswith(sentence)
    assert "\n" not in found


def test_load_refuses_a_file_that_cannot_be_read() -> None:
    Path("latin.yaml").write_bytes(b"node: a\n# \xe4\n")
    cases = {
        "none.yaml": "none.yaml: there is no such file; check its name and folder",
        ".": ".: this is a folder; name a YAML file in it",
        "latin.yaml": "latin.yaml:2: not UTF-8 text",
        "a\0b": "a\0b: cannot be read",
    }
    for path, sentence in cases.items():
        with pytest.raises(ConfigError) as caught:
            load(Path(path))
        assert str(caught.value) == sentence


LEAKS = [
    "mqtt: {url: 'mqtt://u:PW@h:99999'}",
    "mqtt: {url: 'mqtt://u:PW/@h'}",
    "mqtt: {url: 'mqtt://u:PW#@h'}",
    "mqtt: {url: 'mqtt://[u:PW@h'}",
    "mqtt: {url: 'mqtt://u:PW\uff03@h'}",
    "mqtt: {url: 'mqtt://u:PW @h'}",
    "mqtt: {url: 'http://u:PW@h'}",
    "mqtt: {url: [PW]}",
    "mqtt: {url: PW}",
    "mqtt: {url: 'mqtt://h', password: PW}",
    "mqtt: {url: 'mqtt://:PW@h'}",
    "mqtt: {url: 'mqtt://h', username: [PW], password: [PW]}",
    "mqtt: {url: 'mqtt://h', password:PW}",
    "mqtt: {url: 'mqtt://h', password: '${PW'}",
    "mqtt: {url: 'mqtt://h', password: {PW: 1}}",
    "mqtt: mqtt://u:PW@h",
    "mqtt: PW",
    "mqtt: password:PW",
    "mqtt:\n  url: mqtt://h\n  password: &PW x",
    "mqtt:\n  url: mqtt://h\n  password: *PW",
    "mqtt:\n  url: mqtt://h\n  password: !PW",
    "mqtt:\n  url: mqtt://h\n  password: !PW!x",
    "mqtt:\n  url: mqtt://h\n  password: '%PW",
    "mqtt:\n  url: mqtt://h\n  password: %PW",
    "mqtt:\n  url: mqtt://h\n  password: @PW",
    "mqtt:\n  url: mqtt://h\n  password: `PW",
    'mqtt:\n  url: mqtt://h\n  password: "\\qPW"',
    "mqtt:\n  url: mqtt://h\n  password: a: PW",
    "cameras: [{name: a, url: 'ftp://u:PW@h'}]",
    "cameras: [{name: a, url: 'rtsp://u:PW@h:0/x'}]",
    "cameras: [{name: a, url: 'rtsp:/u:PW@h/x'}]",
    "cameras: [{name: a, url: 'rtsp:u:PW@h/x'}]",
    "cameras: [{name: a, url: ' rtsp:/u:PW@h/x'}]",
    "cameras: [{name: a, url: 'rtsp://u:PW@'}]",
    "cameras: [{name: 'rtsp://u:PW@h', url: a}]",
    "cameras: [{name: 'rtsp://u:PW@h', url: a}, {name: 'rtsp://u:PW@h', url: a}]",
    "cameras: [{name: a, url: [PW]}]",
    "cameras: ['rtsp://u:PW@h']",
    "cameras:\n- rtsp://u:PW@h/x: door",
    "cameras: {'rtsp://u:PW@h': door}",
    "cameras: rtsp://u:PW@h",
    "node: rtsp://u:PW@h",
    "vad: {hangover_s: '${SECRET}'}",
    "mqtt: {url: 'mqtt://u:${SECRET}@h/x'}",
    "faces: {model: 'rtsp://u:PW@\\0'}",
]


@pytest.mark.parametrize("text", LEAKS)
def test_load_never_repeats_a_password(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", PASSWORD)
    found = outcome(text.replace("PW", PASSWORD))
    if isinstance(found, ConfigError):
        assert PASSWORD not in repr(found)
        assert found.__cause__ is None
    else:
        assert PASSWORD not in repr(found.mqtt)
        assert PASSWORD not in found.model_dump_json(exclude={"faces"})


@pytest.mark.parametrize(
    "override",
    ["mqtt.url=http://u:PW@h", "mqtt.password:PW", "PW", "mqtt://u:PW@h=1", "mqtt.password=[PW"],
)
def test_load_never_repeats_a_password_of_an_override(override: str) -> None:
    assert PASSWORD not in refusal("", override.replace("PW", PASSWORD))


MODEL = "language_model:\n  url: {url}\n  model: m\n"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://a/v1", "must begin with http:// or https://"),
        (f"http://user:{PASSWORD}@a/v1", "give a key as api_key"),
        (f"http://a/v1?key={PASSWORD}", "give a key as api_key"),
        ("http://a:99999/v1", "must have a host and a port from 1 to 65535"),
    ],
)
def test_a_language_model_needs_a_plain_url(url: str, sentence: str) -> None:
    said = refusal(MODEL.format(url=f"'{url}'"))
    assert "2: language_model.url " in said
    assert sentence in said
    assert PASSWORD not in said


@pytest.mark.parametrize("key", [f"{PASSWORD} a", f"{PASSWORD}\\n", f"{PASSWORD}é", ""])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key: str) -> None:
    said = refusal(MODEL.format(url="http://a/v1") + f'  api_key: "{key}"\n')
    assert said.endswith("4: language_model.api_key must be printable ASCII without spaces")


@pytest.mark.parametrize("key", ["[1]", "{a: 1}", "12345"])
def test_a_key_that_is_no_text_is_refused_unseen(key: str) -> None:
    said = refusal(MODEL.format(url="http://a/v1") + f"  api_key: {key}\n")
    assert "language_model.api_key must be text" in said
    assert "12345" not in said
