"""Every line and branch of the Raft core is reached by a test that means to.

    python -m tests.proofs.raft_coverage

Runs the core's own tests under branch coverage, but not the random schedules: nothing checks what only chance
reaches. Exits with 1 when a test fails or anything is missed, and says what.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = "tests/unit/raft/core"
SCHEDULES = f"{TESTS}/test_schedules.py"


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        data = f"--data-file={Path(directory) / 'coverage'}"
        tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS, f"--ignore={SCHEDULES}")
        run = _coverage("run", data, "--branch", "--source=chronik.raft.core", *tests)
        report = _coverage("report", data, "--show-missing", "--skip-covered", "--fail-under=100")
    return 1 if run or report else 0


def _coverage(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
