"""One round of restarts under load (tests/proofs/cluster/rolling_restart.py)."""

import pytest
from rich.progress import Progress

from tests.proofs.cluster.restart_clients import CLIENTS
from tests.proofs.cluster.rolling_restart import run

pytestmark = pytest.mark.integration


def test_no_client_fails_or_loses_anything_when_every_node_restarts() -> None:
    report = run(rounds=1, progress=Progress(disable=True))
    assert report.problems == []
    assert [each.node for each in report.restarts] == [1, 2, 3]
    assert report.acknowledged == report.sent
    assert set(report.sent) == set(CLIENTS)
    assert min(report.sent.values()) > 0
