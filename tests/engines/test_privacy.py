"""Nothing that runs engines reports on its users."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ONNX_RUNTIME = """
from engines.engine import BUNDLES, open_engine
open_engine(BUNDLES / "face")
"""
OPENVINO = """
import engines, openvino
from engines.manifest import BUNDLES
openvino.Core().compile_model(openvino.Core().read_model(BUNDLES / "face/model.onnx"), "CPU")
"""


@pytest.mark.parametrize("program", [ONNX_RUNTIME, OPENVINO], ids=["onnxruntime", "openvino"])
def test_nothing_is_kept_that_would_name_a_user(tmp_path: Path, program: str) -> None:
    if "openvino" in program and find_spec("openvino") is None:
        pytest.skip("openvino is not installed (extra openvino)")
    env = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=env, timeout=9)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
