"""What is no recording is refused in one sentence."""

import os
import socket
from pathlib import Path

import pytest

from streamer.source import UnreadableError
from tests.media import write_media
from tests.streamer.test_source import read


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.mp4", None, "there is no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"not media at all\n" * 50, "not a recording"),
        ("zeros.mp4", bytes(4096), "not a recording"),
    ],
)
def test_read_refuses_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_read_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="folder"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_read_refuses_a_forbidden_file(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4")
    path.chmod(0)
    with pytest.raises(UnreadableError, match="may not read"):
        read(path)


def test_read_refuses_media_without_picture_and_sound(tmp_path: Path) -> None:
    path = tmp_path / "subtitles.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    with pytest.raises(UnreadableError, match="neither video nor sound"):
        read(path)


def test_read_never_follows_a_playlist_to_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(UnreadableError):
            read(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_read_refuses_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(UnreadableError, match="no regular file"):
        read(tmp_path / "pipe.mp4")
