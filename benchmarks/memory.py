"""Whether a node that runs for long holds more and more: resident memory over reconnects and a day.

    python -m benchmarks.memory --yunet MODEL [reconnects|day]

*Reconnects*: a camera that plays two seconds and hangs up, again and again. *Day*: 24 hours of
320x180 at five pictures a second and sound of a telephone, through a live RTSP source, as fast as
the pipeline takes it; in every minute somebody speaks for twelve seconds, and then the room is
empty. Engines and face detector are the real ones, without Whisper. Memory is read as the kernel
counts it, after each reconnect or minute of media. The slope is that of least squares, without the
first tenth, ± twice its standard error. 24 hours take about 20 minutes on two idle cores.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from benchmarks.processes import Line, Program, existing, machine, run, running, settings
from engines.window import SAMPLE_RATE_HZ
from streamer.clip import make_clip, read_sound

_CYCLE_S = 60
_RATE_HZ, _SOUND_HZ = 5, 8000
_WIDTH, _HEIGHT = 320, 180
_WARM = 0.1
_SELDOM_S = 30.0
"""A camera that is lost again and again is tried so seldom."""


@dataclass(slots=True)
class Soak:
    """What was held, and when."""

    done: list[float] = field(default_factory=list)
    """How far it had come: reconnects, or hours of media."""
    wall_h: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)

    events: int = 0

    def note(self, done: float, wall_h: float, node: Program) -> None:
        """Look at the memory."""
        self.done.append(done)
        self.wall_h.append(wall_h)
        self.rss_mb.append(node.memory.rss_mb)

    def slope(self, along: list[float]) -> tuple[float, float]:
        """Return MB per unit and its standard error, by least squares after the first tenth."""
        first = int(len(along) * _WARM)
        x, y = np.array(along[first:]), np.array(self.rss_mb[first:])
        slope, at_zero = np.polyfit(x, y, 1)
        residual = float(np.sum((y - slope * x - at_zero) ** 2))
        error = np.sqrt(residual / (len(x) - 2) / np.sum((x - x.mean()) ** 2))
        return float(slope), float(error)

    def ends_mb(self) -> tuple[float, float]:
        """Return the medians of the tenth after the warm-up, and of the last."""
        tenth = max(1, int(len(self.rss_mb) * _WARM))
        first, last = self.rss_mb[tenth : 2 * tenth], self.rss_mb[-tenth:]
        return float(np.median(first)), float(np.median(last))


def main() -> None:
    """Print the slopes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=("reconnects", "day"), help="one alone")
    parser.add_argument("--yunet", type=existing, required=True, help="the face detector's model")
    parser.add_argument("--reconnects", type=int, default=200)
    parser.add_argument("--hours", type=float, default=24.0)
    given = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "minute.mov"
        write_minute(clip)
        if given.part != "day":
            soak = soaked(clip, given.yunet, "short", given.reconnects, 1)
            hourly = "hour of a camera that is lost whenever it is back"
            units = {"reconnect": 1, hourly: 3600 / _SELDOM_S}
            _say(soak, f"{given.reconnects} reconnects", units)
        if given.part != "reconnects":
            soak = soaked(clip, given.yunet, "for-ever", given.hours, 1 / 3600)
            _say(soak, f"{given.hours:g} hours of media", {"hour of media": 1})


def soaked(clip: Path, yunet: Path, path: str, until: float, unit: float) -> Soak:
    """Run a node on a camera until it has come so far; look at its memory on the way."""
    soak, began_s, reached = Soak(), time.monotonic(), 0.0
    with running("benchmarks.hasty", str(clip), str(until / unit)) as camera:
        camera.wait_for(lambda lines: len(lines) > 0)
        url = f"rtsp://127.0.0.1:{int(camera.lines[0].text)}/{path}"
        with running("benchmarks.lasting", url, *settings(yunet)) as node:
            while reached < until:
                camera.wait_for(partial(_more_than, len(camera.lines)))
                clock_s = float(camera.lines[-1].text.split()[1])
                reached = len(camera.lines) - 1 if path == "short" else clock_s * unit
                soak.note(reached, (time.monotonic() - began_s) / 3600, node)
    soak.events = int(node.lines[-1].text)
    return soak


def _more_than(count: int, lines: list[Line]) -> bool:
    return len(lines) > count


def write_minute(path: Path) -> None:
    """Write twelve seconds of the demonstration's talking head, and then an empty room."""
    talk = path.with_name("talk.mp4")
    make_clip(talk, side_px=_HEIGHT)
    with av.open(str(talk)) as given:
        heads = [frame.to_ndarray(format="bgr24") for frame in given.decode(video=0)][
            :: 25 // _RATE_HZ
        ]
    noise = np.random.default_rng(0)
    said = read_sound(talk)
    sound = noise.normal(0, 3, _CYCLE_S * SAMPLE_RATE_HZ).astype(np.int16)
    sound[: len(said)] += said
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=_RATE_HZ, options={"g": "25", "bf": "0"})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        audio = made.add_stream("pcm_mulaw", rate=_SOUND_HZ, layout="mono")
        for number in range(_CYCLE_S * _RATE_HZ):
            picture = np.full((_HEIGHT, _WIDTH, 3), 90 + number % 3, np.uint8)
            if number < len(heads):
                picture[:, (_WIDTH - _HEIGHT) // 2 :][:, :_HEIGHT] = heads[number]
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, _RATE_HZ)
            made.mux(video.encode(frame))
        made.mux(video.encode())
        heard = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts = SAMPLE_RATE_HZ, 0
        made.mux(audio.encode(heard))
        made.mux(audio.encode())


def _say(soak: Soak, what: str, units: Mapping[str, float]) -> None:
    """Print what was held; ``units`` are how much of what was done each slope is told for."""
    first_mb, last_mb = soak.ends_mb()
    print(f"{what} in {soak.wall_h[-1] * 60:.1f} min, {soak.events} events")
    print(f"  resident: {first_mb:.1f} MB after warm-up, {last_mb:.1f} MB at the end")
    slope, error = soak.slope(soak.done)
    for unit, times in units.items():
        print(f"  {slope * times:+.4f} ± {2 * error * times:.4f} MB per {unit}")
    slope, error = soak.slope(soak.wall_h)
    print(f"  {slope:+.4f} ± {2 * error:.4f} MB per hour of wall time, at this speed", flush=True)


if __name__ == "__main__":
    run(main)
