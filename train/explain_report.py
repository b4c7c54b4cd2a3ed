"""A page that sets the explanations of recordings beside their pictures and what people wrote.

It holds the recordings' pictures, so it is for the machine that made it.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import av
import cv2

from engines.errors import CredenceError
from engines.mentions import labels_in
from train.mentions import read_texts
from train.recordings import Event, replayed
from train.report import ReportError, make_folder

SUFFIXES: Final = frozenset((".mp4", ".mpg", ".mkv", ".mov", ".avi", ".webm"))
_WIDE_PX: Final = 240
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "article{display:flex;gap:1em;margin:1em 0}img{width:240px;align-self:start}"
    "blockquote{color:#555;border-left:3px solid #ccc;margin:.5em 0;padding-left:1em}"
)


class NoRecordingsError(CredenceError):
    """There is nothing to explain."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: there is no recording in it ({', '.join(sorted(SUFFIXES))})")
        self.folder = folder


def write_report(folder: Path, clips: Path, reasons: Path | None, settings: Sequence[str]) -> Path:
    """Replay every recording of a folder with ``settings`` as `credence replay --set` takes them,
    and write `index.html`; return its path.

    ``reasons`` is a CSV with the columns name and english. Raises NoRecordingsError, ReplayError
    and ReportError.
    """
    found = clips.iterdir() if clips.is_dir() else ()
    files = sorted(path.resolve() for path in found if path.suffix.lower() in SUFFIXES)
    if not files:
        raise NoRecordingsError(clips)
    make_folder(folder)
    wrote = read_texts(reasons) if reasons else {}
    events, unreadable = replayed(files, list(settings))
    parts = [
        _recording(file, events.get(place, []), wrote.get(file.stem), unreadable.get(place))
        for place, file in enumerate(files)
    ]
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Explanations</title>"
        f"<style>{_STYLE}</style><h1>Explanations</h1>{''.join(parts)}</html>\n"
    )
    path = folder / "index.html"
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(folder, error.strerror or str(error)) from error
    return path


def _recording(file: Path, events: Sequence[Event], wrote: str | None, problem: str | None) -> str:
    said = [f"<h2>{escape(file.name)}</h2>"]
    if problem:
        said.append(f"<p>{escape(problem)}</p>")
    if wrote:
        words = ", ".join(label.word for label in labels_in(wrote))
        said.append(f"<blockquote>{escape(wrote)}<br><b>{escape(words)}</b></blockquote>")
    return "".join(said) + "".join(_window(file, event) for event in events)


def _window(file: Path, event: Event) -> str:
    span, why = event["window"], event["explanation"]
    picture = _picture(file, (span["start_s"] + span["end_s"]) / 2)
    words = ", ".join(f"{label['word']} {label['confidence']:.0%}" for label in why["labels"])
    rows = "".join(
        f"<tr><td>{escape(clue['id'])}<td>{clue['value']:g} {escape(clue['unit'])}"
        f"<td>{escape(clue['emotion'] or '')}<td>{escape(clue['word'] or '')}"
        for clue in why["clues"]
    )
    heading = f"{span['kind']}, {span['start_s']:.1f} to {span['end_s']:.1f} s: {event['emotion']}"
    return (
        f"<article>{picture}<div><b>{escape(heading)}</b> ({escape(words)})"
        f"<p>{escape(why['text'])}</p>"
        f"<details><summary>clues</summary><table>{rows}</table></details></div></article>"
    )


def _picture(file: Path, at_s: float) -> str:
    """Return the picture that is shown at a time, as HTML; nothing where there is none."""
    with av.open(str(file)) as container:
        if not container.streams.video:
            return ""
        frame = None
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= at_s + (container.start_time or 0) / 1e6:
                break
        if frame is None:
            return ""
        high = max(1, round(_WIDE_PX * frame.height / frame.width))
        done, jpeg = cv2.imencode(
            ".jpg", frame.to_ndarray(format="bgr24", width=_WIDE_PX, height=high)
        )
    return (
        f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}">'
        if done
        else ""
    )
