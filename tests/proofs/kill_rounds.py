"""Kill the broker with SIGKILL under load, again and again, and read back what it acknowledged.

    python -m tests.proofs.kill_rounds --rounds 100

One idempotent producer (confluent-kafka, acks=all) writes numbered records to several partitions and outlives
every broker. In the end each partition must hold the numbers 0, 1, 2, … exactly once and in order, and every
acknowledged number at the offset it was acknowledged with. Exit code 1 and the first differences otherwise.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its stubs do not export it
from rich.progress import Progress

from tests.proofs.cluster.ledger import read_all
from tests.proofs.cluster.numbered_load import NumberedLoad
from tests.support.broker_process import BrokerProcess

TOPIC = "kill-rounds"
PARTITIONS = 4
_SETTINGS = {
    "linger.ms": 1,
    "log_level": 0,
    # Of its 100,000 by default the last ones would wait for seconds, and each round for them.
    "queue.buffering.max.messages": 10_000,
    # By default it would wait for up to ten seconds, and most brokers would be killed unseen.
    "reconnect.backoff.max.ms": 200,
}


@dataclass(frozen=True)
class Report:
    """One run's figures; `problems` is empty when every promise was kept."""

    rounds: int
    sent: int
    acknowledged: int
    read: int
    recovery_ms_median: float
    recovery_ms_max: float
    problems: list[str]


def run(rounds: int, seed: int, directory: Path, progress: Progress) -> Report:
    chance = random.Random(seed)
    broker = BrokerProcess(directory)
    broker.start()
    recoveries = []
    try:
        create_topic(broker)
        task = progress.add_task("kill -9", total=rounds)
        with NumberedLoad(broker.bootstrap_servers, TOPIC, PARTITIONS, _SETTINGS, interval_seconds=0) as load:
            for _ in range(rounds):
                # Every kill hits a busy one, which has acknowledged something.
                load.wait_acknowledged()
                time.sleep(chance.uniform(0.2, 1.0))
                broker.kill()
                started = time.monotonic()
                broker.start()
                recoveries.append((time.monotonic() - started) * 1000)
                progress.advance(task)
        read = read_all(broker.bootstrap_servers, TOPIC, PARTITIONS)
    finally:
        broker.stop()
    recoveries.sort()
    return Report(
        rounds=rounds,
        sent=sum(load.ledger.sent),
        acknowledged=load.ledger.acknowledged,
        read=sum(map(len, read)),
        recovery_ms_median=recoveries[len(recoveries) // 2],
        recovery_ms_max=recoveries[-1],
        problems=list(load.ledger.problems(read)),
    )


def create_topic(broker: BrokerProcess) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    # Small segments, so that kills also hit rolling.
    topic = NewTopic(TOPIC, num_partitions=PARTITIONS, config={"segment.bytes": str(1024 * 1024)})
    admin.create_topics([topic])[TOPIC].result(timeout=10)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chronik-kill-") as directory,
        Progress(transient=True) as progress,
    ):
        report = run(arguments.rounds, arguments.seed, Path(directory), progress)
    if arguments.json:
        print(json.dumps(vars(report) | {"seed": arguments.seed}))
    else:
        print(
            f"{report.rounds} kills (seed {arguments.seed}): {report.sent} sent, "
            f"{report.acknowledged} acknowledged, "
            f"{report.read} read back; back after {report.recovery_ms_median:.0f} ms (median), "
            f"{report.recovery_ms_max:.0f} ms (worst)"
        )
        for problem in report.problems:
            print(f"  PROBLEM {problem}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
