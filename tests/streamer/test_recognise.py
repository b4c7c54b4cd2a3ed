"""Engines are opened as configured, and what a window lacks is said to be absent."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engines.quality import measure
from engines.window import FaceWindow
from streamer.config import Engines
from streamer.ensemble import open_ensemble
from streamer.flow import Epoch, Window
from streamer.recognise import judge
from tests.engines.bundle import write_bundle

EPOCH = Epoch("e", datetime.now(UTC), has_video=True, has_audio=True)
FACE = FaceWindow(0.0, 1.0, np.zeros((1, 48, 48), np.uint8))


def test_text_engine_opens_where_it_is_configured(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "text", kind="text", preprocessing="text-1")
    with_text = Engines(face="none", voice="none", text=str(folder), policy="none")
    assert set(open_ensemble(with_text).hashes) == {"text"}
    without = Engines(face="none", voice="none", text="none", policy="none")
    assert open_ensemble(without).hashes == {}


def test_windows_without_speech_have_no_text(tmp_path: Path) -> None:
    face = write_bundle(tmp_path / "face")
    text = write_bundle(tmp_path / "text", kind="text", preprocessing="text-1")
    ensemble = open_ensemble(Engines(face=str(face), voice="none", text=str(text), policy="none"))
    seen = judge(Window(EPOCH, "ambient", 0.0, 1.0, 1, FACE, None, {"voice": "no_voice"}), ensemble)
    assert set(seen.opinions) == {"face"}
    assert seen.absent == {"voice": "no_voice", "text": "no_voice"}
    assert seen.quality == {"face": measure(FACE)}


def test_engines_say_what_runs_them(tmp_path: Path) -> None:
    face = str(write_bundle(tmp_path / "face"))
    settings = Engines(face=face, voice="none", text="none", policy="none", device="cuda:7")
    engine = open_ensemble(settings).engines["face"]
    assert engine.choice.startswith("onnxruntime cpu; not better: there is no ")
