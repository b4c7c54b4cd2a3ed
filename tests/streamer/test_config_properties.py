from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.config import Camera, Config, ConfigError, Mqtt, Spool, Vad, Windows
from tests.streamer.cams import outcome

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


KEYS = [
    *Config.model_fields,
    *Vad.model_fields,
    *Windows.model_fields,
    *Mqtt.model_fields,
    *Spool.model_fields,
    *Camera.model_fields,
    "vda",
    "<<",
    "=",
    "1",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["mqtt://h", "rtsp://u:p@h/x", "${HOME}", "${", "a", "\ud800", "0b_", "1:30"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
OVERRIDES = st.builds(
    lambda key, value: f"{'.'.join(key)}={value}",
    st.lists(st.sampled_from([*KEYS, "0"]), max_size=4),
    st.text(max_size=8),
) | st.text(max_size=12)
PATIENT = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loads_or_refuses(text: bytes, overrides: Sequence[str] = ()) -> None:
    if isinstance(error := outcome(text, *overrides), ConfigError):
        assert error.problems
        assert all(problem.startswith(("cams.yaml:", "--set ")) for problem in error.problems)
        assert not any("\n" in problem for problem in error.problems)
        str(error).encode()


@PATIENT
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5), st.lists(OVERRIDES, max_size=3))
def test_load_any_tree_is_read_or_refused(tree: dict[str, Any], overrides: list[str]) -> None:
    loads_or_refuses(yaml.safe_dump(tree).encode(), overrides)


@PATIENT
@given(st.binary(max_size=40) | st.text("{}[]:-&*!|>'\"%@`,?#\\ \n\tab0~<=$./").map(str.encode))
def test_load_any_text_is_read_or_refused(text: bytes) -> None:
    loads_or_refuses(text)


@PATIENT
@given(st.data())
def test_load_any_mutated_example_is_read_or_refused(data: st.DataObject) -> None:
    text = (ROOT / "configs/replay.yaml").read_bytes()
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 3))
    new = data.draw(
        st.sampled_from(b"{}[]:-&*!|>'\"%@`,?#\\ \n\tx9\x00\xff").map(lambda b: bytes([b]))
    )
    loads_or_refuses(text[:at] + new + text[at + gone :])
