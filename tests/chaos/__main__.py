"""The long form: `python -m tests.chaos [PART …]`. Without a part, all of them, one by one.

kills: a broker is killed 20 times and a node 20 times while events flow, and losses are counted.
media: 600 damaged recordings and streams are played; none may crash, hang or print a traceback.
cameras: real cameras of a real node fail in every way we know; each says so, and comes back.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos import cameras, kills, media
from tests.chaos.row import Row

_KILLS = 20
_INPUTS = 600


def _kills(folder: Path, seed: int) -> Iterator[Row]:
    outcome = kills.run(folder, kills.schedule(_KILLS, _KILLS, seed), seed)
    yield Row(f"{_KILLS} broker kills, {_KILLS} node kills", str(outcome), outcome.good)


def _media(folder: Path, seed: int) -> Iterator[Row]:
    outcome = media.run(folder, _INPUTS, seed)
    yield Row(f"{_INPUTS} damaged inputs, seed {seed}", str(outcome), outcome.good)
    yield from (Row("damaged input", wrong, False) for wrong in outcome.wrong)


PARTS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "kills": _kills,
    "media": _media,
    "cameras": cameras.rows,
}


def main() -> int:
    """Do what is asked, print a table, and fail where a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if unknown := set(given.part) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    table, good, began_s = Table("part", "what", "outcome", "kept"), True, time.monotonic()
    for part in given.part or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for row in PARTS[part](Path(folder), given.seed):
                print(f"{part}: {row}", file=sys.stderr, flush=True)
                table.add_row(part, row.what, row.came, "yes" if row.good else "NO")
                good = good and row.good
    Console().print(table)
    print(f"{time.monotonic() - began_s:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
