"""Addresses of cameras: what is taken, what is refused, and no secrets shown."""

import pytest

from streamer.addresses import Address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p@h:554/user=u_password=p?p=p", "rtsp://h:554"),
        ("http://h/x?password=p", "http://h"),
        ("webcam:0", "/dev/video0"),
        ("webcam:/dev/video2", "/dev/video2"),
        ("lavfi:sine", "lavfi"),
        ("talk.mp4", "talk.mp4"),
    ],
)
def test_address_is_shown_without_secrets(url: str, shown: str) -> None:
    address = Address.parse(url)
    assert address.shown == shown
    assert "p@" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://u:p@h/x",
        "rtsp:/u:p@h/x",
        " rtsp:u:p@h",
        "webcam:",
        "webcam:front",
        "lavfi:",
        "rtsp://",
    ],
)
def test_address_refuses(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as caught:
        Address.parse(url)
    assert "p@" not in str(caught.value)
