"""The short form of the cameras that fail."""

from pathlib import Path

import pytest

from tests.chaos import cameras


@pytest.mark.alone
@pytest.mark.timeout(150)
def test_cameras_that_fail_say_so_and_come_back_and_disturb_no_other(tmp_path: Path) -> None:
    rows = list(cameras.rows(tmp_path, 0, cameras.QUICK))
    assert len(rows) == len(cameras.QUICK) + 2
    assert all(row.good for row in rows), "\n".join(map(str, rows))
