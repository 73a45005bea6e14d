"""How long a broker takes to start, what it weighs then, and how long it takes to end."""

import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.footprint.measure import Options
from benchmarks.peers import Peer, running
from benchmarks.processes import start
from chronik.cli.perf.figure import Direction, Figure, MeasurementError

# After the first answer a broker may still be finishing its start; this is when it has come to rest.
_SETTLE_S = 1.0

_END_TIMEOUT_S = 15.0
# The member's join is in it, and that took the slowest broker 23 s.
_ATTACH_TIMEOUT_S = 60.0


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
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(running(peer, options.data_parent))
        output = stack.enter_context(tempfile.NamedTemporaryFile())
        command = [sys.executable, "-m", "benchmarks.footprint.attached", broker.bootstrap_servers]
        clients = stack.enter_context(start(command, Path(output.name)))
        clients.first_line(_ATTACH_TIMEOUT_S)
        options.progress(f"{peer.name}: SIGTERM", 0.5)
        took_s = broker.process.terminate(_END_TIMEOUT_S)
    if took_s is None:
        raise MeasurementError(f"still running {_END_TIMEOUT_S:.0f} s after SIGTERM")
    return [Figure(name="SIGTERM", value=took_s * 1000, unit="ms", better=Direction.LOWER)]
