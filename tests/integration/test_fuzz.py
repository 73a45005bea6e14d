"""The fuzz proof in small: a few seconds of hostile connections, always the same ones.

    python -m tests.proofs.fuzz

goes on for ten minutes, with another seed each time.
"""

from pathlib import Path

import pytest
from rich.progress import Progress

from tests.proofs.fuzz.__main__ import run

pytestmark = pytest.mark.integration

SEED = 20260
SECONDS = 5.0


def test_hostile_connections_leave_the_broker_well(tmp_path: Path) -> None:
    findings = run(SEED, SECONDS, tmp_path, Progress(disable=True))

    assert findings.problems == []
    assert findings.sessions > 100
    assert findings.probes > 10
