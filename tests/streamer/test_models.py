"""Models from a server of our own: fetched whole or not at all, and found out when damaged."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamer import models
from streamer.cli_models import app

WHISPER = models.named("whisper-tiny")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def send_header(self, keyword: str, value: str) -> None:
        if keyword == "Content-Length" and self.path.endswith("short.onnx"):
            value = "999"
        super().send_header(keyword, value)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return models.folder()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "hub"
    folder.mkdir()
    for file in WHISPER.files:
        (folder / file.url).write_text(f"this is {file.url}\n" * 100)
    (folder / "short.onnx").write_text("cut off")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def single(url: str, sha256: str | None) -> models.Model:
    file = models.File("single.onnx", url, sha256)
    return replace(models.named("yunet"), name="single", files=(file,))


def test_fetch_puts_a_folder_into_the_cache(hub: str, cache: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    place = models.fetch(WHISPER, lambda *progress: told.append(progress), base=hub)
    assert place == cache / "whisper-tiny"
    assert models.is_cached(WHISPER)
    assert set(models.verify(WHISPER).values()) == {"whole"}
    assert {path for path, done, total in told if done == total} == {f.path for f in WHISPER.files}
    record = (place / "model.bin.sha256").read_text().split()
    digest = hashlib.sha256((place / "model.bin").read_bytes()).hexdigest()
    assert record == [digest, "model.bin"]


def test_fetch_again_replaces_what_is_damaged(hub: str) -> None:
    place = models.fetch(WHISPER, base=hub)
    (place / "model.bin").write_text("rust")
    assert models.verify(WHISPER)["whisper-tiny/model.bin"] == "damaged"
    models.fetch(WHISPER, base=hub)
    assert set(models.verify(WHISPER).values()) == {"whole"}


def test_verify_says_what_is_missing_or_unknown(hub: str) -> None:
    place = models.fetch(WHISPER, base=hub)
    (place / "config.json").unlink()
    (place / "vocabulary.txt.sha256").unlink()
    found = models.verify(WHISPER)
    assert found["whisper-tiny/config.json"] == "missing"
    assert found["whisper-tiny/vocabulary.txt"] == "not recorded"
    assert not models.is_cached(WHISPER)


def refused(model: models.Model, base: str) -> str:
    with pytest.raises(models.FetchError) as caught:
        models.fetch(model, base=base)
    left = [path for path in models.folder().rglob("*") if path.is_file()]
    assert left == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fetch_refuses_another_checksum(hub: str) -> None:
    assert "another checksum" in refused(single("model.bin", "0" * 64), hub)


def test_fetch_refuses_what_is_cut_off(hub: str) -> None:
    assert "7 of 999 bytes" in refused(single("short.onnx", None), hub)


def test_fetch_refuses_what_is_not_there(hub: str) -> None:
    assert "answered 404 for nothing.onnx" in refused(single("nothing.onnx", None), hub)


def test_fetch_without_a_network_says_so() -> None:
    said = refused(WHISPER, "http://127.0.0.1:1/")
    assert "cannot be reached" in said
    base = "https://huggingface.co/Systran/faster-whisper-tiny/resolve/main/"
    assert f"{base}model.bin as {models.folder()}/whisper-tiny/model.bin" in said


def test_list_shows_every_model_and_where_it_lies(hub: str) -> None:
    place = models.fetch(WHISPER, base=hub)
    shown = CliRunner().invoke(app, ["list"]).output
    for name in models.MODELS:
        assert name in shown
    assert shown.endswith(f"\n{WHISPER.name}: {place}\n")
    assert shown.count("not fetched") == len(models.MODELS) - 1


def test_verify_ends_with_1_when_a_model_is_damaged(hub: str) -> None:
    assert CliRunner().invoke(app, ["verify"]).output == "no model is fetched\n"
    place = models.fetch(WHISPER, base=hub)
    assert CliRunner().invoke(app, ["verify"]).exit_code == 0
    (place / "model.bin").write_text("rust")
    done = CliRunner().invoke(app, ["verify", "whisper-tiny"])
    assert done.exit_code == 1
    remedy = "get it with: credence models fetch whisper-tiny"
    assert f"whisper-tiny/model.bin: damaged; {remedy}\n" in done.output
    assert "whisper-tiny/config.json: whole\n" in done.output


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(models.UnknownModelError, match="there are yunet, whisper-tiny"):
        models.named("whisper-huge")
