"""A process full of clients of one broker: idle connections, a producer, a group's member in its long poll.

It is a process of its own so it can be ended with them: a client that says goodbye to a broker that is gone
takes its time. Prints `attached` once all of them are.
"""

import argparse
import contextlib
import signal
import socket

from benchmarks.footprint.waiting import first_record_s, group_consumer, with_one_record
from chronik.cli.perf.api_versions import first_address
from chronik.cli.perf.client import ANSWER_TIMEOUT_S, producer

IDLE_CONNECTIONS = 10
TOPIC = "attached"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap_servers")
    servers: str = parser.parse_args().bootstrap_servers
    with contextlib.ExitStack() as clients:
        for _ in range(IDLE_CONNECTIONS):
            clients.enter_context(socket.create_connection(first_address(servers), ANSWER_TIMEOUT_S))
        with_one_record(servers, TOPIC)
        sender = producer(servers, linger_ms=0, failures=[])
        sender.produce(TOPIC, b"kept open")
        sender.flush(ANSWER_TIMEOUT_S)
        first_record_s(group_consumer(servers, TOPIC))
        print("attached", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
