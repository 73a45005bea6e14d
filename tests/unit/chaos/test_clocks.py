"""A clock that is wrong by what a file says."""

import subprocess
import sys
import time
from pathlib import Path

from tests.chaos.clocks import VARIABLE, set_offset, shifted_time_ns

ROOT = Path(__file__).parents[3]
HOUR_NS = 3600 * 10**9


def test_a_clock_jumps_while_it_is_read(tmp_path: Path) -> None:
    set_offset(tmp_path, 1, 0.0)
    set_offset(tmp_path, 2, 0.0)
    clock, other = shifted_time_ns(tmp_path, 1), shifted_time_ns(tmp_path, 2)
    assert time.time_ns() <= clock() <= time.time_ns()
    set_offset(tmp_path, 1, 3600.0)
    assert time.time_ns() <= clock() - HOUR_NS <= time.time_ns()
    set_offset(tmp_path, 1, -3600.5)
    assert time.time_ns() <= clock() + HOUR_NS + HOUR_NS // 7200 <= time.time_ns()
    assert time.time_ns() <= other() <= time.time_ns()


def test_a_node_tells_its_own_time(tmp_path: Path) -> None:
    """The launcher runs the command line with that clock; `log.format=json` lines begin with the time."""
    set_offset(tmp_path, 7, 10 * 365 * 86400.0)
    code = (
        "import sys, time\n"
        "import chronik.cli.main as command\n"
        "command.main = lambda words: print(time.time(), time.time_ns(), words)\n"
        "from tests.chaos.node import main\n"
        "main(['start', '--set', 'node.id=7'])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, nanoseconds, *words = ran.stdout.split(maxsplit=2)
    years_ahead = (float(seconds) - time.time()) / 86400 / 365
    assert 9.99 < years_ahead < 10.01
    assert abs(int(nanoseconds) / 1e9 - float(seconds)) < 1.0
    assert words == ["['start', '--set', 'node.id=7']\n"]
