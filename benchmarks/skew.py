"""How far apart sound and pictures come: what is measured of it, and what verdicts it costs.

    python -m benchmarks.skew CLIP --yunet MODEL

A clip made on the spot, without pictures that are sent ahead of their time, is played over RTSP
with its sound sent late, stamped late, or both: then it is late, and its stamps do not show it.
Verdicts are those of the windows of CLIP.
"""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, median

import av
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.processes import arguments, run
from engines.manifest import Modality
from engines.verdict import Judgement
from streamer.addresses import Address
from streamer.clip import make_clip
from streamer.config import Config, Faces
from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import serving
from streamer.ensemble import Panel, open_ensemble
from streamer.faces import YuNet, find_faces
from streamer.flow import AudioChunk, Recognised
from streamer.handover import Handover
from streamer.live import Live
from streamer.recognise import recognise
from streamer.sampling import Sampling
from streamer.skew import LEAST_SHARED, shared
from streamer.source import Recording
from streamer.speech import cut_speech
from streamer.windows import cut_windows
from streamer.worker import Worker

OFFSETS_S = (0.0, 0.2, 0.5, 1.0, 2.0)
FAULTS = ("sent late", "stamped late", "sent and stamped late")
UNTIL_S = 8.0
SETTLED_S = 4.0


def main() -> None:
    """Print both tables."""
    given = arguments(__doc__).parse_args()
    # Not where a recording began, which it need not say here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        played = Path(folder) / "clip.mp4"
        make_clip(played, {"bf": "0", "g": "25"})
        found = asyncio.run(_measured(played))
    table = Table("sound", "by", "told", "least", "most", title="skew in seconds")
    for (fault, offset_s), told_s in found.items():
        numbers = (median(told_s), min(told_s), max(told_s)) if told_s else ()
        table.add_row(fault, f"{offset_s:g}", *(f"{number:+.2f}" for number in numbers))
    console.print(table)
    windows = asyncio.run(_windows(given.clip, given.yunet))
    costs = Table("skew", "judged together", "confidence", "trusted", title="windows of speech")
    for skew_s in (None, *OFFSETS_S, 4.0):
        costs.add_row("not known" if skew_s is None else f"{skew_s:g} s", *_costs(windows, skew_s))
    console.print(costs)


async def _measured(clip: Path) -> dict[tuple[str, float], list[float]]:
    cases, sdp, media = list(product(FAULTS, OFFSETS_S)), describe(clip), list(packets(clip))
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(cases)) as threads:
        async with AsyncExitStack() as stack:
            reading = []
            for fault, offset_s in cases:
                wrong = list(_altered(clip, media, fault, offset_s))
                camera = await stack.enter_async_context(serving(sdp, wrong))
                reading.append(loop.run_in_executor(threads, _told, camera.url))
            return dict(zip(cases, await asyncio.gather(*reading), strict=True))


def _altered(clip: Path, media: list[Packet], fault: str, offset_s: float) -> Iterator[Packet]:
    with av.open(str(clip)) as container:
        sound = container.streams.audio[0]
        track, ticks = sound.index, round(offset_s * sound.rate)
    late_s = offset_s if "sent" in fault else 0.0
    later = [replace(p, due_s=p.due_s + late_s) if p.track == track else p for p in media]
    for packet in sorted(later, key=lambda p: p.due_s):
        wrong = "stamped" in fault and packet.track == track and not packet.control
        yield packet.stamped(ticks) if wrong else packet


def _told(url: str) -> list[float]:
    camera, told = Live("clip", Address.parse(url), Sampling(0.4, 320)), list[float]()
    for item in camera.read(threading.Event()):
        if isinstance(item, AudioChunk):
            if item.pts_s > UNTIL_S:
                break
            if item.skew_s is not None and item.pts_s > SETTLED_S:
                told.append(item.skew_s)
    return told


async def _windows(clip: Path, yunet: Path) -> list[Recognised]:
    """Return the windows of a clip in which a face and a voice are."""
    config, worker = Config(), Worker("judge")
    finder = YuNet(yunet, Faces(model=str(yunet)))
    panel = Panel(open_ensemble(config.engines), config.engines.device)
    recording = Recording(clip, config.video.sample_every_s, finder.small_px)
    async with Handover(recording.read, name="clip") as media:
        heard = cut_speech(
            find_faces(aiter(media), finder, worker), config.vad, config.windows.longest_s
        )
        judged = recognise(cut_windows(heard, config.windows), panel, worker)
        found = [each async for each in judged if {"face", "voice"} <= each.opinions.keys()]
    worker.close()
    return found


def _costs(windows: list[Recognised], skew_s: float | None) -> tuple[str, str, str]:
    together, verdicts = 0, []
    for each in windows:
        share = shared(skew_s, each.window.end_s - each.window.start_s)
        together += share >= LEAST_SHARED
        verdicts.append(_judged(each, share).verdict)
    return (
        f"{together} of {len(windows)}",
        f"{mean(verdict.confidence for verdict in verdicts):.3f}",
        str(sum(verdict.trusted for verdict in verdicts)),
    )


def _judged(each: Recognised, share: float) -> Judgement:
    """Judge a window; the voice alone where the face is of another time."""
    kinds: tuple[Modality, ...] = ("face", "voice") if share >= LEAST_SHARED else ("voice",)
    opinions = {kind: each.opinions[kind] for kind in kinds}
    return each.ensemble.policy.judge(opinions, each.quality, share if len(kinds) > 1 else 1.0)


if __name__ == "__main__":
    run(main)
