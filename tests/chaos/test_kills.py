"""The short form of `scripts/chaos`: real brokers and processes, killed without warning."""

from pathlib import Path

import pytest

from tests.chaos import kills


@pytest.mark.timeout(150)
def test_nothing_is_lost_over_broker_and_node_kills(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path, kills.schedule(broker_kills=3, node_kills=3, seed=1), seed=1)
    assert len(outcome.accepted) > 50
    assert outcome.good, str(outcome)
