"""One round of restarts under load (tests/proofs/cluster/rolling_restart.py)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 300.0


def test_no_client_fails_or_loses_anything_when_every_node_restarts() -> None:
    # In a process of its own: the clients leave sockets and threads behind when nodes go away.
    command = [sys.executable, "-m", "tests.proofs.cluster.rolling_restart", "--rounds", "1", "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX)
    assert ended.stdout, ended.stderr
    report = json.loads(ended.stdout)
    assert report["problems"] == []
    assert ended.returncode == 0
    assert [restart["node"] for restart in report["restarts"]] == [1, 2, 3]
    assert report["acknowledged"] == report["sent"]
    assert sorted(report["sent"]) == ["aiokafka", "confluent-kafka", "kafka-python"]
    assert min(report["sent"].values()) > 0
