"""Producing: records gathered into batches by partition, sent to their leaders."""

import random
import time
from dataclasses import dataclass, field

from chronik.client.client import Client
from chronik.client.errors import ClientError, check, error_of, only
from chronik.client.partitioner import partition_of, partitions_text
from chronik.records.batch import Codec
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Headers, Record
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

# Bytes of keys and values in one batch: well below the 1 MiB that brokers accept by default.
BATCH_BYTES_MAX = 256 * 1024

NO_ACKS = 0
ALL_ACKS = -1


@dataclass(slots=True)
class _Pending:
    records: list[Record] = field(default_factory=list)
    size: int = 0
    # Lines of the input, the first and the last, that its records come from; 0 where they come from none.
    first_line: int = 0
    last_line: int = 0

    @property
    def lines(self) -> str:
        one = self.first_line == self.last_line
        return f"line {self.first_line}" if one else f"lines {self.first_line} to {self.last_line}"


class Producer:
    """Sends to one topic. `send` may send gathered records, `flush` sends the rest; both wait for answers.

    Records without a key stay on one partition per batch. Not idempotent: after Unreachable, records in
    flight may be there or not.
    """

    def __init__(
        self,
        client: Client,
        topic: str,
        *,
        acks: int = ALL_ACKS,
        codec: Codec = Codec.NONE,
        partition: int | None = None,
    ) -> None:
        """Raises ClientError when the topic or the partition is not there."""
        self._client = client
        self._topic = topic
        self._acks = acks
        self._codec = codec
        self._fixed = partition
        self._partitions = len(client.retry(lambda: client.leaders(topic)))
        if partition is not None and not 0 <= partition < self._partitions:
            raise error_of(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                f"produce to {topic}-{partition}",
                f"the topic has {partitions_text(self._partitions)}",
            )
        self._keyless = self._choose()
        self._pending: dict[int, _Pending] = {}
        # Records that were acknowledged, or sent where nothing is.
        self.sent = 0

    def send(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        line: int = 0,
    ) -> None:
        """Add a record, of that line of the input if of any. Raises ClientError when a batch that it filled,
        or did not fit into, is refused.
        """
        partition = self._place(key)
        size = len(key or b"") + len(value or b"")
        pending = self._pending.setdefault(partition, _Pending(first_line=line))
        if pending.records and pending.size + size > BATCH_BYTES_MAX:
            # A record that is too large is refused alone.
            self._send(partition, self._pending.pop(partition))
            partition = self._place(key)
            pending = self._pending.setdefault(partition, _Pending(first_line=line))
        timestamp = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        pending.records.append(Record(key, value, timestamp, headers))
        pending.size += size
        pending.last_line = line
        if pending.size >= BATCH_BYTES_MAX:
            self._send(partition, self._pending.pop(partition))

    def flush(self) -> None:
        """Sends everything. Raises ClientError."""
        while self._pending:
            self._send(*self._pending.popitem())

    def _place(self, key: bytes | None) -> int:
        if self._fixed is not None:
            return self._fixed
        return self._keyless if key is None else partition_of(key, self._partitions)

    def _choose(self) -> int:
        return random.randrange(self._partitions)

    def _send(self, partition: int, pending: _Pending) -> None:
        batch = build_batch(pending.records, BatchOptions(codec=self._codec))
        request = ProduceRequest(
            transactional_id=None,
            acks=self._acks,
            timeout_ms=int(self._client.timeout_s * 1000),
            topic_data=[
                TopicProduceData(
                    name=self._topic,
                    partition_data=[PartitionProduceData(index=partition, records=bytes(batch.data))],
                )
            ],
        )
        try:
            self._client.retry(lambda: self._send_once(partition, request))
        except ClientError as error:
            if pending.last_line:
                error.message = f"{pending.lines}: {error.message}"
            raise
        self.sent += len(pending.records)
        if partition == self._keyless:
            self._keyless = self._choose()

    def _send_once(self, partition: int, request: ProduceRequest) -> None:
        leader = self._client.leaders(self._topic).get(partition)
        if leader is None:
            raise ClientError(f"{self._topic}-{partition} is gone")
        if self._acks == NO_ACKS:
            leader.tell(ApiKey.PRODUCE, request)
            return
        answer = leader.ask(ApiKey.PRODUCE, request, ProduceResponse)
        what = f"produce to {self._topic}-{partition}"
        result = only(only(answer.responses, what).partition_responses, what)
        check(result.error_code, what, result.error_message)
