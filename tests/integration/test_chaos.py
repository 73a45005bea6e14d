"""Twenty seconds of chaos (tests/chaos): that it runs, finds nothing, and reports what it did."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 300.0
# One whose first twenty seconds have a kill, a pause and two cuts.
SEED = 3


def test_a_short_chaos_keeps_every_promise(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "0.34", "--seed", str(SEED), "--json"]
    command += ["--work", str(tmp_path / "work"), "--report", str(tmp_path / "report")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX)
    assert ended.stdout, ended.stderr
    report = json.loads(ended.stdout)
    assert report["violation_texts"] == []
    assert ended.returncode == 0
    assert sum(kind["carried_out"] for kind in report["kinds"].values()) >= 3
    for counts in report["producers"].values():
        assert counts["sent"] > 500
        assert counts["acknowledged"] + counts["failed"] == counts["sent"]
    assert len(report["producers"]) == len(report["groups"]) == 3
    assert all(group["commits"] > 0 for group in report["groups"].values())
    assert report["looks"]["ends"] > 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "chaos.json",
        "chaos.md",
        "chaos.svg",
    }
