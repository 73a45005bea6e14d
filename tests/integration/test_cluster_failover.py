"""A few rounds of losing a leader under load (tests/proofs/cluster/failover.py)."""

import pytest
from rich.progress import Progress

from tests.proofs.cluster.failover import client_settings, run

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("fault", "rounds"), [("kill", 2), ("pause", 1), ("cut", 1)])
def test_what_was_acknowledged_survives_the_loss_of_leaders(fault: str, rounds: int) -> None:
    settings = client_settings(fault, timeout_ms=500)
    report = run(fault, rounds, settings, Progress(disable=True))
    assert report.problems == []
    assert report.acknowledged == report.sent == report.read
    assert report.sent > 0
    assert all(each.led for each in report.rounds)
