"""`python -m benchmarks.cluster.client`: one workload of `chronik perf`, and what the nodes used for it.

In a process of its own for each measurement; figures go to standard out as JSON lines.
"""

import argparse
import sys
from collections.abc import Iterator

from confluent_kafka import TopicPartition

from benchmarks.cluster.usage import Usage, UsageMeter
from chronik.cli.perf.__main__ import to_json
from chronik.cli.perf.client import ANSWER_TIMEOUT_S, PARTITION, consumer, temporary_topic
from chronik.cli.perf.figure import Direction, Figure, MeasurementError
from chronik.cli.perf.run import measure
from chronik.cli.perf.workload import Target, Workload

_CONSUME = "consume"


def main() -> int:
    """Exit code 1, with the reason on standard error, when a figure is missing; the earlier ones are out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster.client")
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--pids", nargs="+", type=int, required=True)
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--workload", type=Workload, required=True)
    options = parser.parse_args()
    try:
        with temporary_topic(options.bootstrap_server) as topic:
            target = Target(
                bootstrap_servers=options.bootstrap_server,
                topic=topic,
                seconds=options.seconds,
                progress=lambda title, done: None,
            )
            meter = UsageMeter(options.pids, options.metrics)
            for figure in _measure(options.workload, target, meter):
                print(to_json(figure))
    except MeasurementError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _measure(workload: Workload, target: Target, meter: UsageMeter) -> Iterator[Figure]:
    """The workload's figures, and what the part of it that produces used."""
    is_used = False
    for figure in measure(workload, target):
        usage = meter.take()
        yield figure
        if not is_used:
            # Of the first part, which produces; the warm-up is in the usage and in the records.
            is_used = True
            yield from _usage(_title(figure), usage, _records(target))


def _title(figure: Figure) -> str:
    """`one at a time` for `one at a time p50`."""
    words = figure.name.split(" ")
    return " ".join(words[:-1] if words[-1].startswith("p") and words[-1][1:].isdigit() else words)


def _usage(title: str, usage: Usage, records: int) -> Iterator[Figure]:
    yield Figure(
        name=f"{title}: CPU",
        value=usage.cpu_seconds / records * 1e6,
        unit="s/million",
        better=Direction.LOWER,
        note=f"{usage.cpu_seconds / usage.seconds:.2f} cores in use",
    )
    yield Figure(
        name=f"{title}: fsyncs",
        value=usage.syncs / usage.seconds,
        unit="/s",
        better=Direction.LOWER,
        note=f"{records / usage.syncs:.0f} records for each" if usage.syncs else "",
    )


def _records(target: Target) -> int:
    """What the partition holds. Raises MeasurementError when that is nothing."""
    reader = consumer(target.bootstrap_servers)
    try:
        partition = TopicPartition(target.topic, PARTITION)
        high = int(reader.get_watermark_offsets(partition, timeout=ANSWER_TIMEOUT_S)[1])
    finally:
        reader.close()
    if not high:
        raise MeasurementError("the partition is empty")
    return high


if __name__ == "__main__":
    sys.exit(main())
