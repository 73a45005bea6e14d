"""Many connections, each with one small produce request in flight: what requests cost, rather than bytes.

The client is a loop over a selector that sends prepared bytes and looks at two bytes of each answer. That it
is not what limits the brokers was measured; see benchmarks/README.md.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator

from chronik.cli.perf.client import ANSWER_TIMEOUT_S, leader_address
from chronik.cli.perf.figure import Figure, MeasurementError
from chronik.cli.perf.prepared import error_code_position, produce_request
from chronik.cli.perf.workload import Target

CONNECTIONS = 16
RECORD_BYTES = 100
WARM_UP_S = 0.3

_TITLE = f"{CONNECTIONS} connections"
# A response for one partition takes about 80 bytes; twice that would be two answers to one request.
_RECEIVE_BYTES = 4096


class _Connection:
    """One socket that always has exactly one request in flight. Created connected, closed by its creator."""

    def __init__(self, address: tuple[str, int], topic: str) -> None:
        self._request = produce_request(topic, bytes(RECORD_BYTES), int(time.time() * 1000))
        self._error_position = error_code_position(topic)
        self._received = b""
        self.socket = socket.create_connection(address, timeout=ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        """Send the request; it is far smaller than the socket's empty buffer, so this never blocks."""
        self.socket.sendall(self._request)

    def is_answered(self) -> bool:
        """Reads available data; returns whether the answer is whole. Raises MeasurementError when it is an
        error.
        """
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise MeasurementError("the broker closed a connection")
        if self._received:
            data = self._received + data
        if len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4]):
            self._received = data
            return False
        self._received = b""
        error = data[self._error_position : self._error_position + 2]
        if error != b"\x00\x00":
            raise MeasurementError(f"a request was answered with error {int.from_bytes(error, signed=True)}")
        return True


def measure_small_requests(target: Target) -> Iterator[Figure]:
    """Figure `16 connections`, in requests a second. Raises MeasurementError."""
    address = leader_address(target.bootstrap_servers, target.topic)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = _Connection(address, target.topic)
            stack.callback(connection.socket.close)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        _exchange_for(WARM_UP_S, selector, target)
        answered, elapsed = _exchange_for(target.seconds, selector, target)
    yield Figure(name=_TITLE, value=answered / elapsed, unit="requests/s", note=f"{answered} requests")


def _exchange_for(seconds: float, selector: selectors.BaseSelector, target: Target) -> tuple[int, float]:
    """Answers received, and the seconds it took; every answer is followed by the next request at once."""
    answered = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        target.progress(_TITLE, elapsed / seconds)
        ready = selector.select(ANSWER_TIMEOUT_S)
        if not ready:
            raise MeasurementError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s")
        for key, _ in ready:
            if key.data.is_answered():
                answered += 1
                key.data.send()
    return answered, elapsed
