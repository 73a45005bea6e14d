"""One idempotent producer that writes numbered records to every partition of a topic, steadily, until told to
end, and keeps the ledger.
"""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message, Producer

from tests.proofs.cluster.ledger import Ledger
from tests.support.waiting import wait_until

# A record to each partition so often: short against the gaps to be measured.
INTERVAL_SECONDS = 0.005
# Longer values make no difference here; some length makes batches.
_VALUE_BYTES = 100
FLUSH_SECONDS_MAX = 120.0
ACKNOWLEDGEMENT_SECONDS_MAX = 60.0


class NumberedLoad:
    """In a thread of its own, between entering and leaving the context."""

    def __init__(
        self,
        servers: str,
        topic: str,
        partitions: int,
        settings: Mapping[str, str | int | bool],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """`settings` of the producer beside idempotence, which implies acks=all. Without an interval it sends
        as fast as it can.
        """
        self.ledger = Ledger(topic, partitions, value_bytes=_VALUE_BYTES)
        self._interval_seconds = interval_seconds
        self._settings = {"bootstrap.servers": servers, "enable.idempotence": True, **settings}
        self._is_over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="numbered-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything that was sent is acknowledged."""
        self._is_over.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def wait_acknowledged(self) -> None:
        """Return when each partition has acknowledged something that was sent after this call.

        Raises TimeoutError.
        """
        marks = list(self.ledger.sent)
        wait_until(
            lambda: self._failure is not None or self.ledger.is_everywhere_past(marks),
            "acknowledgements from every partition",
            ACKNOWLEDGEMENT_SECONDS_MAX,
        )
        if self._failure is not None:
            raise RuntimeError("the load has ended") from self._failure

    def _run(self) -> None:
        try:
            producer = Producer(self._settings)
            while not self._is_over.is_set():
                self._send_each(producer)
                self._poll_for(producer, self._interval_seconds)
            # What is not answered by then is told of by the ledger.
            producer.flush(FLUSH_SECONDS_MAX)
        except BaseException as error:
            self._failure = error

    def _send_each(self, producer: Producer) -> None:
        ledger = self.ledger
        for partition in ledger.partitions:
            value = ledger.next_value(partition)
            try:
                producer.produce(ledger.topic, value, partition=partition, on_delivery=self._on_delivery)
            except BufferError:
                # Its queue is full (100,000 records by default); what waits is acknowledged first.
                return
            ledger.count_sent(partition)

    def _poll_for(self, producer: Producer, seconds: float) -> None:
        """Take acknowledgements as they come."""
        deadline = time.monotonic() + seconds
        producer.poll(0)
        while (left := deadline - time.monotonic()) > 0:
            producer.poll(left)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert value is not None
        if error is not None:
            self.ledger.on_failed(partition, value, str(error))
        elif offset is not None:
            self.ledger.on_acknowledged(partition, value, offset)
