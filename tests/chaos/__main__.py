"""The long form: `python -m tests.chaos`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos import kills


def main() -> int:
    """Kill, count, print, and fail where anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--broker-kills", type=int, default=20)
    parser.add_argument("--node-kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    victims = kills.schedule(given.broker_kills, given.node_kills, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        outcome = kills.run(Path(folder), victims, given.seed)
    print(f"{given.broker_kills} broker kills, {given.node_kills} node kills: {outcome}")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
