"""Let faults befall three real nodes under load from real clients, and see that every promise is kept.

    python -m tests.chaos [--minutes 30] [--seed N] [--json] [--report DIR]

Of each of confluent-kafka, kafka-python and aiokafka an idempotent producer (acks=all, 100 records a second
over four partitions with three replicas) and a group that reads and commits everything; an onlooker asks for
the ends of all partitions. Nodes sync before they acknowledge. All faults are drawn from the seed: kill -9,
SIGSTOP, SIGTERM, cuts and delays between nodes, a full disk, clock jumps; some overlap. When they are over,
everything must be acknowledged, in sync, and read by every group, in bounded time. What the clients wrote
down is then checked (`chronik.history`), and the logs of the three nodes must be the same byte for byte.

`--report` writes a page, a picture and all figures into a directory. Histories, the nodes' logs and their
data stay where the run says when it found a violation. Exit code 1 then.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.figures import figures
from tests.chaos.report import write_report
from tests.chaos.run import run

_VIOLATIONS_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of faults (30)")
    parser.add_argument("--seed", type=int, help="drawn when it is not given")
    parser.add_argument("--json", action="store_true", help="print all figures, and nothing else")
    parser.add_argument("--report", type=Path, metavar="DIR")
    parser.add_argument("--work", type=Path, metavar="DIR", help="for histories and data; kept")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    work = arguments.work or Path(tempfile.mkdtemp(prefix="chronik-chaos-"))
    console = Console(stderr=True, highlight=False, quiet=arguments.json)
    console.print(f"seed {seed}, in {work}")
    outcome = run(seed, arguments.minutes, work / "run", lambda text: console.print(text))
    found = figures(outcome)
    if arguments.report is not None:
        write_report(arguments.report, outcome, found)
    if arguments.json:
        print(json.dumps(found))
    for violation in outcome.violations[:_VIOLATIONS_SHOWN]:
        console.print(f"VIOLATION {violation}", markup=False)
    console.print(f"{len(outcome.violations)} violations with seed {seed}")
    if outcome.violations:
        console.print(f"all that is known of it is in {work}")
    elif arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
