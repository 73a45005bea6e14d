"""One client of a run: `python -m tests.chaos.clients ROLE …`, as `tests.chaos.processes` starts it.

A line on its standard input ends it: a writer and an onlooker at once, a reader when it has read up to the
ends that the line names. So does the end of its input, at once.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from chronik.history.events import Place


class Orders:
    """What the standard input says, heard by a thread of its own."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.ends: Mapping[Place, int] | None = None

    def listen(self) -> None:
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def _listen(self) -> None:
        line = sys.stdin.readline()
        if not line:
            # The starter of this process is gone, and nothing reads its output.
            os._exit(1)
        ends = json.loads(line)
        if ends:
            self.ends = ends
        else:
            self.is_over.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("write", "read", "look"))
    parser.add_argument("--client", default="")
    parser.add_argument("--servers", required=True)
    parser.add_argument("--topic", action="append", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--history", type=Path, required=True)
    arguments = parser.parse_args()
    orders = Orders()
    orders.listen()
    _play(arguments, orders)


def _play(arguments: argparse.Namespace, orders: Orders) -> None:
    # Each imports its client library alone.
    servers, topics, path = arguments.servers, arguments.topic, arguments.history
    match arguments.role:
        case "write":
            from tests.chaos.clients.writing import write

            write(arguments.client, servers, topics[0], arguments.partitions, path, orders.is_over)
        case "read":
            from tests.chaos.clients.members import MEMBERS
            from tests.chaos.clients.reading import read

            client = arguments.client
            read(MEMBERS[client], f"chaos-{client}", servers, topics, path, orders)
        case _:
            from tests.chaos.clients.looking import look

            look(servers, topics, arguments.partitions, path, orders.is_over)


if __name__ == "__main__":
    main()
