"""The records of a producer with their outcome, written down as it is known."""

import threading

from chronik.history.files import Recorder
from tests.proofs.cluster.ledger import Ledger


class RecordedWrites(Ledger):
    """A ledger in a file. `has_failed` is set when a record fails: its producer is given up for a new one, as
    most applications do.
    """

    def __init__(self, client: str, topic: str, partitions: int, recorder: Recorder) -> None:
        super().__init__(topic, partitions, client=client, sink=recorder.add)
        self.has_failed = threading.Event()

    def on_failed(self, partition: int, value: bytes, why: str) -> None:
        super().on_failed(partition, value, why)
        self.has_failed.set()


class Either(threading.Event):
    """Set when one of two events is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._events = one, other

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)

    def wait(self, timeout: float | None = None) -> bool:
        self._events[0].wait(timeout)
        return self.is_set()
