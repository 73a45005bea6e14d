"""`python -m benchmarks.paced.client`: a producer that hands over records at a steady rate.

Records are due at fixed times, whatever became of the earlier ones, and a record's latency counts from when
it was due: what waits because the cluster or the client was late is in the figures. Prints one line of JSON.
"""

import argparse
import json
import sys
import time

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.cli.perf.figure import percentile

TOPIC = "paced"
_ANSWER_TIMEOUT_S = 30.0
# How often records that are due are handed over and deliveries are looked at.
_TICK_S = 0.0005


def main() -> int:
    """Exit code 1, with the reason on standard error, when a record was not acknowledged."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paced.client")
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="records a second")
    parser.add_argument("--record-bytes", type=int, required=True)
    parser.add_argument("--linger-ms", type=float, required=True)
    parser.add_argument("--warm-up", type=float, required=True, help="seconds that do not count")
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": options.bootstrap_server})
    admin.create_topics([NewTopic(TOPIC, options.partitions, 3)])[TOPIC].result(_ANSWER_TIMEOUT_S)
    latencies_ms, failure = _send(options)
    if failure is not None:
        print(failure, file=sys.stderr)
        return 1
    print(json.dumps({percent: percentile(latencies_ms, percent) for percent in (50, 99)}))
    return 0


def _send(options: argparse.Namespace) -> tuple[list[float], str | None]:
    """Latencies in milliseconds of the records that count, and why that is not all."""
    value = bytes(options.record_bytes)
    count_of_warm_up = int(options.warm_up * options.rate)
    count = count_of_warm_up + int(options.seconds * options.rate)
    latencies_ms: list[float] = []
    failures: list[str] = []
    sender = Producer(
        {
            "bootstrap.servers": options.bootstrap_server,
            "acks": "all",
            "linger.ms": options.linger_ms,
            "socket.nagle.disable": True,
            "log_level": 3,
        }
    )
    begin = time.perf_counter()

    def send(number: int) -> None:
        due = begin + number / options.rate

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error.str())
            elif number >= count_of_warm_up:
                latencies_ms.append((time.perf_counter() - due) * 1000)

        sender.produce(TOPIC, value, partition=number % options.partitions, on_delivery=on_delivery)

    sent = 0
    while sent < count and not failures:
        due_now = min(count, int((time.perf_counter() - begin) * options.rate))
        for number in range(sent, due_now):
            send(number)
        sent = due_now
        sender.poll(_TICK_S)
    left = sender.flush(_ANSWER_TIMEOUT_S)
    if failures or left:
        return latencies_ms, failures[0] if failures else f"{left} records not acknowledged in time"
    return latencies_ms, None


if __name__ == "__main__":
    sys.exit(main())
