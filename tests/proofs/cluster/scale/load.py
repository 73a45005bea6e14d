"""As many records as one client can make, over all partitions in turn."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

RECORD_BYTES = 100
# To one partition before the next. Small on purpose: every group has something to do all the time.
_IN_A_ROW = 20
_FLUSH_SECONDS_MAX = 120.0


class FullLoad:
    """One idempotent producer with acks=all, which counts what was acknowledged."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                # A callback in Python for every record would be most of the client's work.
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
                "log_level": 0,
            }
        )
        self._topic = topic
        self._partitions = partitions
        self._next = 0
        self._sent = 0
        self._unanswered = 0
        self.failures: list[str] = []

    @property
    def unanswered(self) -> int:
        """After `run`: records that are neither acknowledged nor failed."""
        return self._unanswered

    @property
    def acknowledged(self) -> int:
        """After `run`."""
        return self._sent - self._unanswered - len(self.failures)

    def run(self, seconds: float, on_progress: Callable[[float], None]) -> None:
        """Send for so long, and wait for the last acknowledgement."""
        begun = shown = time.monotonic()
        while (now := time.monotonic()) < begun + seconds:
            self._send_in_a_row()
            if now > shown + 0.5:
                shown = now
                on_progress((now - begun) / seconds)
        self._unanswered = self._producer.flush(_FLUSH_SECONDS_MAX)

    def _send_in_a_row(self) -> None:
        value = bytes(RECORD_BYTES)
        try:
            for _ in range(_IN_A_ROW):
                self._producer.produce(self._topic, value, partition=self._next)
                self._sent += 1
            self._producer.poll(0)
        except BufferError:
            # The client's queue is full: the nodes are what limits it, as they should.
            self._producer.poll(0.01)
        self._next = (self._next + 1) % self._partitions

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(f"{message.topic()}-{message.partition()}: {error}")
