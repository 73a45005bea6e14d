"""How long a broker takes to start, what it weighs then, and how long it takes to end."""

import contextlib
import socket
import statistics
import time

from benchmarks.footprint.measure import Options
from benchmarks.footprint.waiting import first_record_s, group_consumer, with_one_record
from benchmarks.peers import Peer, running
from chronik.cli.perf.client import ANSWER_TIMEOUT_S, producer
from chronik.cli.perf.figure import Direction, Figure, MeasurementError

# After the first answer a broker may still be finishing its start; this is when it has come to rest.
_SETTLE_S = 1.0

_IDLE_CONNECTIONS = 10
_END_TIMEOUT_S = 15.0


def measure_start(peer: Peer, options: Options) -> list[Figure]:
    """Figures `start` and `idle memory`, medians over all starts."""
    start_ms, idle_mb = [], []
    for index in range(options.starts):
        with running(peer, options.data_parent) as broker:
            start_ms.append(broker.start_s * 1000)
            # Waiting for every start would take long, and the weight hardly varies.
            if index < 3:
                time.sleep(_SETTLE_S)
                idle_mb.append(broker.process.resident_mb())
        options.progress(f"{peer.name}: starts", (index + 1) / options.starts)
    spread = f"{min(start_ms):.0f} to {max(start_ms):.0f} ms in {options.starts} starts"
    return [
        Figure(
            name="start", value=statistics.median(start_ms), unit="ms", better=Direction.LOWER, note=spread
        ),
        Figure(name="idle memory", value=statistics.median(idle_mb), unit="MB", better=Direction.LOWER),
    ]


def measure_end(peer: Peer, options: Options) -> list[Figure]:
    """Figure `SIGTERM`: with a producer, a group's member in a long poll, and idle connections attached."""
    with running(peer, options.data_parent) as broker, contextlib.ExitStack() as clients:
        servers = broker.bootstrap_servers
        for _ in range(_IDLE_CONNECTIONS):
            clients.enter_context(socket.create_connection(broker.process.address, ANSWER_TIMEOUT_S))
        with_one_record(servers, "attached")
        sender = producer(servers, linger_ms=0, failures=[])
        sender.produce("attached", b"kept open")
        sender.flush(ANSWER_TIMEOUT_S)
        member = group_consumer(servers, "attached")
        clients.callback(member.close)
        first_record_s(member)
        options.progress(f"{peer.name}: SIGTERM", 0.5)
        took_s = broker.process.terminate(_END_TIMEOUT_S)
        if took_s is None:
            # Ended here, so that the clients' own closing does not wait for it.
            broker.process.stop()
    if took_s is None:
        raise MeasurementError(f"still running {_END_TIMEOUT_S:.0f} s after SIGTERM")
    return [Figure(name="SIGTERM", value=took_s * 1000, unit="ms", better=Direction.LOWER)]
