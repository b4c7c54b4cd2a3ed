"""The demonstration from end to end: RTSP, the live pipeline, a broker, the screen."""

import io
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from engines.labels import EMOTIONS
from streamer.config import Config, Faces
from streamer.demo import show
from streamer.demo.broker import BrokerStartError, NoBrokerError, find_mosquitto, private_broker
from streamer.demo.rtp import packets
from streamer.demo.screen import DemoScreen
from streamer.event import EmotionEvent, Transcript
from tests.streamer.conftest import MakeEvent

ROOT = Path(__file__).parents[2]
MOSQUITTO = find_mosquitto()


class Seen:
    """A view that keeps what it is shown."""

    def __init__(self) -> None:
        self.events: list[EmotionEvent] = []
        self.said: list[str] = []

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        assert name == "lab/astronaut"
        self.events.append(event)

    def presence(self, node: str, camera: str | None, state: str) -> None:
        self.said.append(f"{camera or node} {state}")

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", ["mosquitto", "embedded"])
async def test_events_come_from_a_camera_through_a_broker(kind: str) -> None:
    pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    mosquitto = MOSQUITTO if kind == "mosquitto" else None
    if kind == "mosquitto" and not mosquitto:
        pytest.skip("mosquitto is not installed")
    if kind == "embedded":
        pytest.importorskip("amqtt", reason="the embedded broker is amqtt")
    seen, began = Seen(), list[float]()
    config = Config(node="lab", faces=Faces(model="haar"))
    await show.show(config, seen, mosquitto, began.append)
    numbers = [int(event.sequence) for event in seen.events]
    assert 10 < began[0] < 14
    assert seen.events
    assert numbers == list(range(len(numbers)))
    assert seen.events[-1].data.window.end_s > began[0] - 3
    assert {"astronaut online", "lab online", "lab offline"} <= set(seen.said)


async def test_a_broker_that_does_not_start_is_one_sentence() -> None:
    with pytest.raises(BrokerStartError, match="/bin/false does not start"):
        async with private_broker("/bin/false"):
            pass


async def test_no_broker_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(NoBrokerError, match=r"pip install -e '.\[demo\]'"):
        async with private_broker(None):
            pass


def test_screen_shows_every_emotion_and_the_grounds(make_event: MakeEvent) -> None:
    words = Transcript(
        text="no\x1b[2J way",
        language="en",
        translation=None,
        words=(),
        avg_logprob=-0.3,
        no_speech_prob=0.1,
    )
    console = Console(file=io.StringIO(), width=86)
    screen = DemoScreen(console, "a clip", iter([0.0, 3.0]).__next__)
    screen.play(11.0)
    for event in (make_event(n=0, phase="update"), make_event(n=0), make_event(n=1)):
        screen.event("lab/door", event, b"")
    screen.event("lab/door", make_event(n=2, transcript=words, trusted=False), b"")
    console.print(screen.render())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for emotion in EMOTIONS:
        assert emotion in text
    assert "3 of 11 s" in text
    assert text.count("speech") == 3  # a final takes the place of its update
    assert "“no?[2J way”" in text
    assert "no voice" in text
    assert max(map(len, text.splitlines())) <= 86


@pytest.mark.timeout(60)
def test_an_interrupt_ends_it_cleanly_on_a_terminal() -> None:
    pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    if MOSQUITTO is None:
        pytest.importorskip("amqtt", reason="the embedded broker is amqtt")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "streamer.cli", "demo"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=ROOT) as process:
        os.close(theirs)
        shown, interrupted = b"", False
        with suppress(OSError):  # the terminal is gone when nobody holds it any more
            while data := os.read(ours, 4096):
                shown += data
                if not interrupted and b"a camera plays" in shown:
                    interrupted = True
                    time.sleep(0.5)
                    process.send_signal(signal.SIGINT)
        code = process.wait(10)
    os.close(ours)
    assert b"Traceback" not in shown
    assert code == 0
    assert b"credence replay FILE" in shown
    assert b"\x1b[?25h" in shown  # the cursor is back


def test_a_clip_plays_round_after_round(talk: Path) -> None:
    due_s = [packet.due_s for packet in packets(talk, rounds=4)]
    steps_s = np.diff(due_s)
    assert steps_s.min() > -1e-3  # the order within a round goes by the clock of each track
    assert steps_s.max() < 0.15
    assert due_s[-1] > 40
