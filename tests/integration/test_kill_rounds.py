"""A few rounds of the proof that a killed broker keeps what it acknowledged (tests/proofs/kill_rounds.py)."""

from pathlib import Path

import pytest
from rich.progress import Progress

from tests.proofs.kill_rounds import run

pytestmark = pytest.mark.integration


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    report = run(rounds=3, seed=20260101, directory=tmp_path, progress=Progress(disable=True))
    assert report.problems == []
    assert report.acknowledged == report.sent == report.read
    assert report.sent > 0
