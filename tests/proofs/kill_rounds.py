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
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its stubs do not export it
from rich.progress import Progress

from tests.support.broker_process import BrokerProcess

TOPIC = "kill-rounds"
PARTITIONS = 4
# Longer than any recovery of the few MB that a round writes.
FLUSH_SECONDS_MAX = 60.0
ACKNOWLEDGEMENT_SECONDS_MAX = 30.0


@dataclass
class History:
    """What was sent and what was acknowledged, per partition."""

    sent: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    # Offset by number.
    acknowledged: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(PARTITIONS)])
    failures: list[str] = field(default_factory=list)

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        value = message.value()
        partition, offset = message.partition(), message.offset()
        if error is not None:
            self.failures.append(f"partition {partition}: {error}")
        elif value is not None and partition is not None and offset is not None:
            self.acknowledged[partition][int(value)] = offset

    @property
    def acknowledged_count(self) -> int:
        return sum(map(len, self.acknowledged))


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
    history = History()
    recoveries = []
    try:
        create_topic(broker)
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 1,
                "log_level": 0,
                # By default it would wait for up to ten seconds, and most brokers would be killed unseen.
                "reconnect.backoff.max.ms": 200,
            }
        )
        task = progress.add_task("kill -9", total=rounds)
        for _ in range(rounds):
            produce_for(producer, history, chance.uniform(0.2, 1.0))
            broker.kill()
            started = time.monotonic()
            broker.start()
            recoveries.append((time.monotonic() - started) * 1000)
            progress.advance(task)
        left = producer.flush(FLUSH_SECONDS_MAX)
        problems = [f"{left} records were never answered"] if left else []
        problems += history.failures
        read = read_back(broker)
        problems += compare(history, read)
    finally:
        broker.stop()
    recoveries.sort()
    return Report(
        rounds=rounds,
        sent=sum(history.sent),
        acknowledged=history.acknowledged_count,
        read=sum(map(len, read)),
        recovery_ms_median=recoveries[len(recoveries) // 2],
        recovery_ms_max=recoveries[-1],
        problems=problems,
    )


def create_topic(broker: BrokerProcess) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    # Small segments, so that kills also hit rolling.
    topic = NewTopic(TOPIC, num_partitions=PARTITIONS, config={"segment.bytes": str(1024 * 1024)})
    admin.create_topics([topic])[TOPIC].result(timeout=10)


def produce_for(producer: Producer, history: History, seconds: float) -> None:
    """Produce for so long, and until this broker has acknowledged something: every kill hits a busy one."""
    started = time.monotonic()
    acknowledged_before = history.acknowledged_count
    while time.monotonic() < started + seconds or history.acknowledged_count == acknowledged_before:
        if time.monotonic() > started + ACKNOWLEDGEMENT_SECONDS_MAX:
            raise TimeoutError("the broker acknowledges nothing")
        for partition in range(PARTITIONS):
            number = history.sent[partition]
            try:
                producer.produce(
                    TOPIC, value=str(number), partition=partition, on_delivery=history.on_delivery
                )
            except BufferError:
                producer.poll(0.01)
                break
            history.sent[partition] += 1
        producer.poll(0)


def read_back(broker: BrokerProcess) -> list[list[tuple[int, int]]]:
    """(offset, number) of every record, per partition, by a client that never saw the producer."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "kill-rounds-check",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    read: list[list[tuple[int, int]]] = [[] for _ in range(PARTITIONS)]
    open_partitions = set(range(PARTITIONS))
    while open_partitions:
        message = consumer.poll(30)
        if message is None:
            raise TimeoutError("the broker does not answer the check")
        partition, offset, value = message.partition(), message.offset(), message.value()
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise RuntimeError(str(error))
            open_partitions.discard(partition if partition is not None else -1)
        elif partition is not None and offset is not None and value is not None:
            read[partition].append((offset, int(value)))
    consumer.close()
    return read


def compare(history: History, read: list[list[tuple[int, int]]]) -> list[str]:
    problems = []
    for partition, records in enumerate(read):
        numbers = [number for _, number in records]
        if numbers != list(range(history.sent[partition])):
            wrong = next((at for at, number in enumerate(numbers) if at != number), len(numbers))
            problems.append(
                f"partition {partition}: sent {history.sent[partition]}, read {len(numbers)}, "
                f"first difference at {wrong}: {numbers[wrong : wrong + 5]}"
            )
        where = {number: offset for offset, number in records}
        for number, offset in history.acknowledged[partition].items():
            if where.get(number) != offset:
                problems.append(
                    f"partition {partition}: {number} acknowledged at {offset}, is at {where.get(number)}"
                )
                break
    return problems


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
