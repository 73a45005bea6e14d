"""Files of one replica are lost while its node is down, and with them what only it and its leader had.

    python -m tests.proofs.lost_files [MODE...] [--records 1000] [--json]

Three nodes. One is stopped, records are acknowledged by the other two; a follower is stopped and loses files
as MODE says; the leader is killed. The two that are left start, and must not do with what they have. Then
the leader comes back: every acknowledged record must be there, and the follower must vote again. Last the
leader is killed once more: the follower must have all of it. Without MODE each is run. Exit code 1 when a
record was lost.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from chronik.testing import BrokerError, Cluster
from tests.support.metrics_page import scrape

TOPIC = "t"
_SEGMENT = "00000000000000000000.log"
_SECONDS_MAX = 60.0
# Producers give up on a leader that is not there; election timeouts are a second.
_UNLED_MS = 4000


def _rot(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _segments(data: Path) -> list[Path]:
    return sorted((data / f"{TOPIC}-0").glob("*.log"))


def _lose_middle(data: Path) -> None:
    segments = _segments(data)
    assert len(segments) > 4, segments
    segments[len(segments) // 2].unlink()


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def _lose_votes(data: Path) -> None:
    """The store cut short, and the copy that the stop left gone."""
    (data / "raft-state.copy").unlink()
    _cut(data / "raft-state", (data / "raft-state").stat().st_size // 2)


# What becomes of a data directory.
MODES: dict[str, Callable[[Path], None]] = {
    "none": lambda data: None,
    "dir": lambda data: shutil.rmtree(data / f"{TOPIC}-0"),
    "log": lambda data: (data / f"{TOPIC}-0" / _SEGMENT).unlink(),
    "rot": lambda data: _rot(data / f"{TOPIC}-0" / _SEGMENT),
    "cut": lambda data: _cut(data / f"{TOPIC}-0" / _SEGMENT, 1000),
    "middle": _lose_middle,
    "front": lambda data: _segments(data)[0].unlink(),
    "meta": lambda data: shutil.rmtree(data / "__meta-0"),
    "raftstate": lambda data: (data / "raft-state").unlink(),
    "rs-trunc": lambda data: _cut(data / "raft-state", (data / "raft-state").stat().st_size // 2),
    "rs-flip": lambda data: _flip(data / "raft-state"),
    "rs-tail": lambda data: _cut(data / "raft-state", -5),
    "rs-all": _lose_votes,
    "all": shutil.rmtree,
}
SEGMENTED = frozenset({"middle", "front"})
# Files whose loss leaves a copy: the node goes on as it was.
HARMLESS = frozenset({"none", "raftstate", "rs-trunc", "rs-flip", "rs-tail"})
# With these the follower cannot even be asked before the leader is back.
UNFIT = frozenset({"meta", "all"})


@dataclass(slots=True)
class Report:
    """`problems` is empty when nothing was lost, and what was missing was said."""

    mode: str
    acknowledged: int = 0
    # Read when all are back, and when the leader is gone again.
    read: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(mode: str, records: int = 1000) -> Report:
    report = Report(mode)
    with Cluster(nodes=3, http=True, config={"write.caching": "false"}) as cluster:
        # Several segments, where one of them is to be lost.
        configs = {"internal.segment.bytes": "1000"} if mode in SEGMENTED else {}
        cluster.create_topic(TOPIC, partitions=1, replication_factor=3, config=configs)
        acked = _send(cluster, 100, "first")
        leader = cluster.leader(TOPIC)
        lost, away = [node for node in (1, 2, 3) if node != leader]
        _wait(lambda: _end_offsets(cluster) == [100] * 3, "replicas are not equal")
        cluster.stop_node(away)
        acked |= _send(cluster, records, "second")
        cluster.stop_node(lost)
        MODES[mode](cluster.node(lost).data_dir)
        cluster.kill(leader)
        for node in (lost, away):
            cluster.restart(node, wait=False)
        acked |= _go_on_without(cluster, mode, lost, away)
        cluster.restart(leader, wait=False)
        for node in (1, 2, 3):
            cluster.wait_started(node)
        _check(cluster, report, acked)
        _wait(lambda: _voteless(cluster, (1, 2, 3)) == 0, "the replica does not vote again")
        report.said = _errors(cluster.node(lost).log_path)
        if (not report.said) != (mode in ("none", "all")):
            report.problems.append(f"said of it: {report.said}")
        cluster.kill(leader)
        acked |= _send(cluster, 50, "last")
        _check(cluster, report, acked)
    report.acknowledged = len(acked)
    return report


def _go_on_without(cluster: Cluster, mode: str, lost: int, away: int) -> set[str]:
    """What is acknowledged without the leader: all of it, if the follower has everything, or else nothing."""
    if mode in HARMLESS:
        for node in (lost, away):
            cluster.wait_started(node)
        return _send(cluster, 50, "without the leader")
    if mode in UNFIT or mode == "rs-all":
        return set()
    for node in (lost, away):
        cluster.wait_started(node)
    acked = _send(cluster, 5, "without the leader", timeout_ms=_UNLED_MS, is_required=False)
    assert _voteless(cluster, (lost,)) == 1
    return acked


def _send(
    cluster: Cluster, count: int, tag: str, *, timeout_ms: int = 30_000, is_required: bool = True
) -> set[str]:
    """The values that were acknowledged."""
    acked: set[str] = set()
    failures: list[str] = []
    settings = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "acks": "all",
        "enable.idempotence": True,
        "message.timeout.ms": timeout_ms,
        # So that there are several segments, where they are small.
        "batch.num.messages": 20,
        "log_level": 0,
    }
    producer = Producer(settings)
    for number in range(count):
        value = f"{tag} {number}"

        def on_delivery(error: KafkaError | None, _: object, value: str = value) -> None:
            if error is None:
                acked.add(value)
            else:
                failures.append(error.name())

        producer.produce(TOPIC, value, partition=0, on_delivery=on_delivery)
    producer.flush(_SECONDS_MAX)
    if is_required and len(acked) < count:
        raise BrokerError(f"{len(acked)} of {count} acknowledged: {set(failures)}")
    return acked


def _check(cluster: Cluster, report: Report, acked: set[str]) -> None:
    values = _read(cluster)
    report.read.append(len(values))
    missing = sorted(acked - set(values))
    if missing:
        report.problems.append(f"{len(missing)} of {len(acked)} lost, {missing[0]!r} among them")


def _read(cluster: Cluster) -> list[str]:
    """Everything up to the end of the partition."""
    settings = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "group.id": "readers",
        "enable.partition.eof": True,
        "log_level": 0,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    values = []
    deadline = time.monotonic() + _SECONDS_MAX
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                values.append((message.value() or b"").decode())
            elif error.code() == KafkaError._PARTITION_EOF:
                return values
    finally:
        consumer.close()
    raise BrokerError(f"the partition has no end after {len(values)} records")


def _end_offsets(cluster: Cluster) -> list[float]:
    pages = [scrape(node.http_url) for node in cluster.nodes]
    return [page.value("kafka_log_log_logendoffset", topic=TOPIC, partition="0") for page in pages]


def _voteless(cluster: Cluster, nodes: tuple[int, ...]) -> float:
    return sum(scrape(cluster.node(node).http_url).value("chronik_raft_voteless_groups") for node in nodes)


def _wait(is_so: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise BrokerError(problem)
        time.sleep(0.05)


def _errors(log: Path) -> list[str]:
    """What a node said of what it lost."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"level": "error"' in line]
    return [line["event"] for line in lines if "lost" in line["event"] or "restored" in line["event"]]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs.lost_files",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.modes) - MODES.keys()
    if unknown:
        parser.error(f"no such mode: {', '.join(sorted(unknown))}")
    reports = []
    for mode in arguments.modes or MODES:
        report = run(mode, arguments.records)
        reports.append(report)
        if not arguments.json:
            result = "; ".join(report.problems) or "nothing lost"
            print(f"{mode:10} {report.acknowledged} acknowledged, {report.read} read: {result}", flush=True)
    if arguments.json:
        print(json.dumps([asdict(report) for report in reports]))
    return 1 if any(report.problems for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
