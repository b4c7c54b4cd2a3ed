"""How good whole recordings are judged, by the live pipeline's own windows: `credence replay`."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from rich.console import Console
from rich.progress import Progress

from engines.errors import CredenceError
from engines.labels import EMOTIONS
from engines.opinion import Opinion
from engines.verdict import MODALITIES, Reason
from train.data.samples import DataError, check_file
from train.data.table import Row, Table, open_recordings
from train.evaluate import Evaluated, open_judges
from train.figures import Decision, Decisions

Event = dict[str, Any]
"""The `data` of a final event, as docs/events.md has it."""

_WITH_THRESHOLD: Final = {Reason.CERTIFIED, Reason.BELOW_THRESHOLD}


class ReplayError(CredenceError):
    """`credence replay` did not judge the recordings."""

    def __init__(self, said: str) -> None:
        super().__init__(f"credence replay failed: {said or 'it says nothing'}")
        self.said = said


def evaluate_recordings(bundles: Sequence[Path], path: Path) -> Evaluated:
    """Let the live pipeline judge every recording of a table, one decision each (`decide`).

    With bundles their engines alone run, under the policy that `open_judges` finds for them;
    without any, what ships runs. Raises ReplayError, UnreadableFilesError, and what `open_judges`
    and `open_recordings` raise.
    """
    table, settings = open_recordings(path), _settings(bundles)
    there = list(_there(table))
    events, unreadable = replayed([file for _, file in there], settings)
    decisions = []
    for place, (row, _) in enumerate(there):
        if place in unreadable:
            table.skip(unreadable[place])
        else:
            decisions.append(decide(row, events[place]))
    first = next((event for group in events.values() for event in group), None)
    return Evaluated(
        first["engines"] if first else {},
        first["policy"] if first else "none",
        None,
        Decisions.of(decisions),
        tuple(table.unreadable),
    )


def decide(row: Row, events: Sequence[Event]) -> Decision:
    """Make one decision of a recording's final events (**ours**).

    Its probability is the mean of the events' projected probabilities, each weighted by 1 - u, so
    that a window in which little was seen says little; the emotion is the most probable one, its
    confidence that probability. It is trusted when events that are trusted themselves and name
    this emotion hold more than half of the weight: no certificate covers that, since certificates
    are about single windows. Without evidence there is no emotion, which counts as wrong.
    """
    weight = np.array([1 - event["uncertainty"] for event in events])
    if not weight.sum() > 0:
        nothing = Opinion.vacuous(len(EMOTIONS)).projected
        return Decision(row.label, row.group, None, nothing, 0.0, certified=False, trusted=False)
    beliefs = np.array([[event["belief"][e] for e in EMOTIONS] for event in events])
    projected = beliefs + (1 - weight[:, None]) / len(EMOTIONS)
    probability = weight @ projected / weight.sum()
    probability /= probability.sum()  # events are rounded to nine decimals
    best = EMOTIONS[int(probability.argmax())]
    agreeing = np.array([event["trusted"] and event["emotion"] == best for event in events])
    return Decision(
        label=row.label,
        group=row.group,
        emotion=best,
        probability=probability,
        confidence=float(probability.max()),
        certified=any(event["reason"] in _WITH_THRESHOLD for event in events),
        trusted=bool(weight[agreeing].sum() > weight.sum() / 2),
    )


def _settings(bundles: Sequence[Path]) -> list[str]:
    if not bundles:
        return []
    paths = open_judges(bundles).paths
    parts = (*MODALITIES, "policy")
    return [f"engines.{p}={paths[p].resolve() if p in paths else 'none'}" for p in parts]


def _there(table: Table) -> Iterator[tuple[Row, Path]]:
    for row in table.rows:
        file = table.path.parent / row.sources["path"]
        try:
            check_file(file)
        except DataError as error:
            table.skip(str(error))
        else:
            yield row, file.resolve()


def replayed(
    files: Sequence[Path], settings: list[str]
) -> tuple[dict[int, list[Event]], dict[int, str]]:
    """Return the final events, and what was wrong, by the place of the file."""
    events: dict[int, list[Event]] = defaultdict(list)
    options = [word for setting in settings for word in ("--set", setting)]
    # One process for all, so that models are opened once.
    with _named_by_place(files) as links, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "streamer.cli", "replay", *options, "--", *map(str, links)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as player:
            assert player.stdout is not None, "it is a pipe"
            for place, event in _finals(player.stdout, len(files)):
                events[place].append(event)
        errors.seek(0)
        said = errors.read().splitlines()
        unreadable = _unreadable(said, links, files)
    if player.returncode and not unreadable:
        raise ReplayError(said[-1] if said else "")
    return events, unreadable


@contextmanager
def _named_by_place(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Link files under names that say their place: an event names its recording by them."""
    with tempfile.TemporaryDirectory(prefix="credence-") as folder:
        links = [Path(folder) / f"{place}{file.suffix}" for place, file in enumerate(files)]
        for link, file in zip(links, files, strict=True):
            link.symlink_to(file)
        yield links


def _finals(lines: TextIO | Any, files: int) -> Iterator[tuple[int, Event]]:
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("replay", total=files)
        for line in lines:
            event: Event = json.loads(line)["data"]
            place = int(event["camera"])
            progress.update(task, completed=place)
            if event["phase"] == "final":
                yield place, event
        progress.update(task, completed=files)


def _unreadable(said: list[str], links: list[Path], files: Sequence[Path]) -> dict[int, str]:
    """Return what `credence replay` said of files, by their place; hand on what else it said."""
    place_of = {str(link): place for place, link in enumerate(links)}
    found: dict[int, str] = {}
    for line in said:
        name, _, problem = line.removeprefix("credence: ").partition(": ")
        if name in place_of:
            found[place_of[name]] = f"{files[place_of[name]]}: {problem}"
        else:
            print(line, file=sys.stderr)
    return found
