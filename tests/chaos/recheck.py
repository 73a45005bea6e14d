"""Check again what a run wrote down: `python -m tests.chaos.recheck WORK`, where the run said it is.

For who looks for the cause of a violation, or changes the checker. Exit code 1 when there is one.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from chronik.history.check import History, check
from chronik.history.events import Place, Records
from chronik.history.files import read_events
from chronik.history.violations import Allowances, Violation

_LOGS = "logs.json"
# The longest pause or cut, and then time to hear of the new leader; see `faults`.
STALE_SECONDS_MAX = 15.0
PROMISED = Allowances(stale_seconds_max=STALE_SECONDS_MAX)


def save_logs(directory: Path, logs: Mapping[Place, Records]) -> None:
    """What was read of all partitions in the end, beside the histories. Raises OSError."""
    (directory / _LOGS).write_text(json.dumps(logs, separators=(",", ":")), encoding="utf-8")


def recheck(directory: Path) -> tuple[History, list[Violation]]:
    """Of the `directory` of a run. Raises OSError, ValueError."""
    history = History.of(read_events(sorted((directory / "clients").glob("*.jsonl"))))
    text = (directory / _LOGS).read_text(encoding="utf-8")
    logs = {
        place: [(offset, number) for offset, number in records] for place, records in json.loads(text).items()
    }
    return history, list(check(history, logs, PROMISED))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    _, violations = recheck(parser.parse_args().work / "run")
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
