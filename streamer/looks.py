"""What events look like to people: lines, bars, words. Nothing here can steer a terminal."""

from typing import Final

from rich.console import Console
from rich.text import Text

from streamer.event import EmotionData, EmotionEvent

BAR_CELLS: Final = 10
JUDGED: Final = ("who", "emotion", "confidence", "verdict", "u", "conflict")


def printable(text: str) -> str:
    """Names and words come from the network: no control sequence of theirs may be shown."""
    return "".join(c if c.isprintable() else "?" for c in text)


def is_ascii(console: Console) -> bool:
    """Tell whether a terminal or file cannot take more than ASCII."""
    return not console.encoding.lower().startswith("utf")


def bar(share: float, *, ascii_only: bool = False) -> str:
    """Draw a share of a whole, for a line that may end in a file."""
    full, empty = "#." if ascii_only else "█░"
    filled = round(share * BAR_CELLS)
    return full * filled + empty * (BAR_CELLS - filled)


def gauge(
    share: float, style: str, *, more: float = 0.0, cells: int = BAR_CELLS, ascii_only: bool = False
) -> Text:
    """Draw a share of a whole for a screen, and faint after it what may be more of it."""
    full, faint, empty = "#=." if ascii_only else "━━━"
    first = round(share * cells)
    both = min(round((share + more) * cells), cells)
    return Text.assemble(
        (full * first, style),
        (faint * (both - first), f"dim {style}"),
        (empty * (cells - both), "grey23"),
    )


def who(data: EmotionData) -> str:
    """Name the person of a window by number."""
    return f"#{data.person.track}" if data.person else "-"


def verdict(data: EmotionData) -> Text:
    """Say in a word or two whether a verdict is trusted, or why not."""
    if data.trusted:
        return Text("trusted", "green")
    return Text(data.reason.value.replace("_", " "), "dim")


def judged(data: EmotionData, *, wide: bool, ascii_only: bool) -> list[Text]:
    """Return the cells below the headings `JUDGED`; with a gauge only where there is room."""
    sure = gauge(data.confidence, "cyan", cells=6 if wide else 0, ascii_only=ascii_only)
    return [
        Text(who(data)),
        Text(data.emotion or "none", "bold"),
        Text.assemble(sure, f" {data.confidence:4.0%}"),
        verdict(data),
        Text(f"{data.uncertainty:.2f}"),
        Text(f"{data.conflict:.2f}"),
    ]


def several(data: EmotionData) -> list[str]:
    """Return each emotion that is shown, as one of several, and how probable; none where that is
    not asked for."""
    if not isinstance(data.emotions, tuple):
        return []
    return [f"{each.label} {each.probability:.0%}" for each in data.emotions if each.shown]


def event_line(name: str, event: EmotionEvent, *, ascii_only: bool = False) -> Text:
    """Describe an event in one line, of what can be printed anywhere."""
    data = event.data
    says = verdict(data)
    says.align("left", 16)
    return Text.assemble(
        f"{event.time:%Y-%m-%d %H:%M:%S}  {name:<16} {who(data):>4}  {data.window.kind:<8}",
        "          " if data.phase == "final" else "(update)  ",
        (f"{data.emotion or 'none':<10}", "bold"),
        f"{bar(data.confidence, ascii_only=ascii_only)} {data.confidence:4.0%}  ",
        says,
        f"u {data.uncertainty:.2f}  conflict {data.conflict:.2f}",
        f"  shows {', '.join(shown)}" if (shown := several(data)) else "",
    )


def because(data: EmotionData, *, ascii_only: bool = False) -> Text | None:
    """Say why, below an event's line; None where it does not tell."""
    why = data.explanation
    if why is None:
        return None
    words = ", ".join(f"{label.word} {label.confidence:.0%}" for label in why.labels)
    said = printable(f"{words}: {why.text}" if words else why.text)
    return Text(_plain(said) if ascii_only else said, "dim")


def _plain(text: str) -> str:
    return text.translate({ord(c): '"' for c in "“”"}).encode("ascii", "replace").decode()
