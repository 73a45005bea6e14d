"""Producers: idempotent, every replica's majority, and patient."""

import threading
import time
from pathlib import Path

from tests.chaos.histories import Note, Place, Recorder, Send
from tests.proofs.cluster.restart_clients import CLIENTS, Settings
from tests.proofs.cluster.streams import Written

# A record may wait as long as any fault goes on, and the recovery after it: to give up would tell of the
# limit.
_PATIENCE_MS = 300_000
# confluent-kafka tries to reach a node that was away only after up to ten seconds, kafka-python after up to
# half a minute. Nodes go away much more often here than in life.
_RECONNECT_MS = 500
SETTINGS: dict[str, Settings] = {
    "confluent-kafka": {
        "enable.idempotence": True,
        "message.timeout.ms": _PATIENCE_MS,
        "reconnect.backoff.max.ms": _RECONNECT_MS,
    },
    "kafka-python": {
        "enable_idempotence": True,
        "acks": "all",
        "delivery_timeout_ms": _PATIENCE_MS,
        "reconnect_backoff_max_ms": _RECONNECT_MS,
    },
    # One setting for a request and for a record: a node that is paused, and comes back, answers in time.
    "aiokafka": {"enable_idempotence": True, "acks": "all", "request_timeout_ms": 60_000},
}


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

    def note(self, text: str) -> None:
        with self._lock:
            self._recorder.add(Note(at=time.monotonic(), text=f"{self.client}: {text}"))

    def close(self) -> None:
        """What was never answered is written down, too."""
        for place, number in list(self._sent_at):
            self._add(place, number, offset=None, error=None)

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


def write(
    client: str, servers: str, topic: str, partitions: int, path: Path, is_over: threading.Event
) -> None:
    """Send until it is over, and wait until everything is answered."""
    with Recorder(path) as recorder:
        writes = RecordedWrites(client, topic, partitions, recorder)
        while not is_over.is_set():
            writes.has_failed.clear()
            CLIENTS[client].write(servers, writes, _Either(is_over, writes.has_failed), SETTINGS[client])
        writes.close()


class _Either(threading.Event):
    """Set when one of two events is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._events = one, other

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)

    def wait(self, timeout: float | None = None) -> bool:
        self._events[0].wait(timeout)
        return self.is_set()
