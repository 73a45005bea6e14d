"""What became of the records of a producer, written down as it is known."""

import threading
import time

from chronik.history.events import Place, Send
from chronik.history.files import Recorder
from tests.proofs.cluster.streams import Written


class RecordedWrites(Written):
    """`Written`, and what became of each record. Callbacks may come from another thread than `next`."""

    def __init__(self, client: str, topic: str, partitions: int, recorder: Recorder) -> None:
        super().__init__(client, topic, partitions)
        self._recorder = recorder
        self._lock = threading.Lock()
        self._sent_at: dict[tuple[Place, int], float] = {}
        # Set when a record fails: its producer is given up for a new one, as most applications do.
        self.has_failed = threading.Event()

    def next(self) -> tuple[int, bytes]:
        partition, value = super().next()
        with self._lock:
            self._sent_at[self._place(partition), int(value)] = time.monotonic()
        return partition, value

    def on_acknowledged(self, partition: int, value: bytes, offset: int = -1) -> None:
        self._on_done(partition, value, offset=offset)

    def on_failed(self, partition: int, value: bytes, why: str) -> None:
        self._on_done(partition, value, error=why)
        self.has_failed.set()

    def give_up(self, why: str | None) -> None:
        """What has no answer yet will have none: its producer is gone."""
        for place, number in list(self._sent_at):
            self._add(place, number, offset=None, error=why)

    def _on_done(
        self, partition: int, value: bytes, *, offset: int | None = None, error: str | None = None
    ) -> None:
        self._add(self._place(partition), int(value), offset=offset, error=error)

    def _add(self, place: Place, number: int, *, offset: int | None, error: str | None) -> None:
        with self._lock:
            sent_at = self._sent_at.pop((place, number))
            self._recorder.add(
                Send(
                    place=place,
                    number=number,
                    sent_at=sent_at,
                    done_at=time.monotonic(),
                    offset=offset,
                    error=error,
                )
            )

    def _place(self, partition: int) -> Place:
        return f"{self.topic}-{partition}"


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
