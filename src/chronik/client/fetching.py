"""Fetching: records from the leaders of a topic's partitions, in a position per partition that moves on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chronik.client.client import Client
from chronik.client.connection import Connection
from chronik.client.errors import ClientError, check, error_of
from chronik.records.batch import HEADER_BYTES, LOG_OVERHEAD, MAGIC, Batch, parse_header
from chronik.records.control import parse_end_txn_marker
from chronik.records.record import Headers, decode_records
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import ApiKey
from chronik.wire.messages.fetch import (
    AbortedTransaction,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)

FETCH_BYTES_MAX = 8 * 1024 * 1024
PARTITION_BYTES_MAX = 1024 * 1024

_CONSUMER = -1
# No session: each request names everything (KIP-227).
_NO_SESSION_EPOCH = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRecord:
    """One record and its position."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Unreadable(ClientError):
    """Records at an offset that can be fetched and not decoded, or that the broker reports as damaged.

    `next_offset` is the first after their batch, None where only the broker has seen it.
    """

    def __init__(
        self, where: str, why: str, code: ErrorCode, *, partition: int, offset: int, next_offset: int | None
    ) -> None:
        super().__init__(f"cannot read {where}: {why}", name=code.name, code=code)
        self.why = why
        self.partition = partition
        self.offset = offset
        self.next_offset = next_offset


class Fetcher:
    """Reads one topic. `positions` is the next offset by partition; `ends` the last known ends of the
    readable records.
    """

    def __init__(
        self, client: Client, topic: str, positions: Mapping[int, int], *, read_committed: bool = False
    ) -> None:
        self._client = client
        self._topic = topic
        self._isolation_level = 1 if read_committed else 0
        self.positions = dict(positions)
        self.ends: dict[int, int] = {}

    def poll(self, max_wait_ms: int) -> Iterator[FetchedRecord]:
        """Yields the records that arrive within a time, possibly none. A position moves as its record is
        taken.

        Raises ClientError; Unreadable is one after which reading may continue elsewhere.
        """
        leaders = self._client.retry(lambda: self._client.leaders(self._topic))
        by_leader: dict[Connection, list[int]] = {}
        for partition in self.positions:
            if partition not in leaders:
                raise error_of(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"fetch from {self._topic}-{partition}")
            by_leader.setdefault(leaders[partition], []).append(partition)
        for leader, partitions in by_leader.items():
            answer = self._fetch(leader, partitions, max_wait_ms // len(by_leader))
            for topic in answer.responses:
                for data in topic.partitions:
                    yield from self._take(data)

    def is_readable(self, partition: int, offset: int) -> bool:
        """True if the broker gives records at an offset, or none, rather than CORRUPT_MESSAGE.

        Raises ClientError.
        """
        leader = self._client.retry(lambda: self._client.leaders(self._topic))[partition]
        before, self.positions[partition] = self.positions[partition], offset
        try:
            answer = self._fetch(leader, [partition], 0)
        finally:
            self.positions[partition] = before
        code = answer.responses[0].partitions[0].error_code
        if code == ErrorCode.CORRUPT_MESSAGE:
            return False
        check(code, f"fetch from {self._topic}-{partition} at offset {offset}")
        return True

    def _fetch(self, leader: Connection, partitions: list[int], max_wait_ms: int) -> FetchResponse:
        rows = [
            FetchPartition(
                partition=partition,
                current_leader_epoch=-1,
                fetch_offset=self.positions[partition],
                last_fetched_epoch=-1,
                log_start_offset=-1,
                partition_max_bytes=PARTITION_BYTES_MAX,
            )
            for partition in partitions
        ]
        request = FetchRequest(
            replica_id=_CONSUMER,
            max_wait_ms=max_wait_ms,
            min_bytes=1,
            max_bytes=FETCH_BYTES_MAX,
            isolation_level=self._isolation_level,
            session_id=0,
            session_epoch=_NO_SESSION_EPOCH,
            topics=[FetchTopic(topic=self._topic, partitions=rows)],
        )
        timeout_s = self._client.timeout_s + max_wait_ms / 1000
        answer = leader.ask(ApiKey.FETCH, request, FetchResponse, timeout_s)
        check(answer.error_code, f"fetch from {self._topic}")
        return answer

    def _take(self, data: PartitionData) -> Iterator[FetchedRecord]:
        partition = data.partition_index
        if data.error_code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE):
            return  # the next poll looks up the leader
        where = f"{self._topic}-{partition} at offset {self.positions[partition]}"
        if data.error_code == ErrorCode.CORRUPT_MESSAGE:
            raise self._unreadable(partition, "the broker says that it is damaged", None)
        check(data.error_code, f"fetch from {where}")
        self.ends[partition] = data.high_watermark if self._isolation_level == 0 else data.last_stable_offset
        records = data.records
        if records is None:
            return
        assert isinstance(records, bytes), "the decoder gives bytes"
        for batch in _whole_batches(records):
            if batch.header.magic != MAGIC:
                why = f"message format {batch.header.magic} is not supported"
                code = ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT
                raise self._unreadable(partition, why, batch.header.next_offset, code)
            try:
                yield from self._records(batch, partition, data.aborted_transactions or [])
            except KafkaError as error:
                raise self._unreadable(partition, str(error), batch.header.next_offset, error.code) from error

    def _unreadable(
        self,
        partition: int,
        why: str,
        next_offset: int | None,
        code: ErrorCode = ErrorCode.CORRUPT_MESSAGE,
    ) -> Unreadable:
        offset = self.positions[partition]
        where = f"{self._topic}-{partition} at offset {offset}"
        return Unreadable(where, why, code, partition=partition, offset=offset, next_offset=next_offset)

    def _records(
        self, batch: Batch, partition: int, aborted: list[AbortedTransaction]
    ) -> Iterator[FetchedRecord]:
        header = batch.header
        is_hidden = header.is_control or _is_aborted(batch, aborted)
        if not is_hidden:
            for record in decode_records(batch):
                if record.offset < self.positions[partition]:
                    continue
                self.positions[partition] = record.offset + 1
                yield FetchedRecord(
                    topic=self._topic,
                    partition=partition,
                    offset=record.offset,
                    timestamp=record.timestamp,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                )
        elif header.is_control:
            _end_transaction(batch, aborted)
        self.positions[partition] = max(self.positions[partition], header.next_offset)


def _whole_batches(data: bytes) -> Iterator[Batch]:
    """The batches in an answer; the last may be cut off, and is left for the next fetch."""
    position = 0
    while len(data) - position >= HEADER_BYTES:
        header = parse_header(data, position)
        end = position + LOG_OVERHEAD + header.length
        if end > len(data):
            return
        yield Batch(header, data[position:end])
        position = end


def _is_aborted(batch: Batch, aborted: list[AbortedTransaction]) -> bool:
    header = batch.header
    return header.is_transactional and any(
        transaction.producer_id == header.producer_id and transaction.first_offset <= header.base_offset
        for transaction in aborted
    )


def _end_transaction(batch: Batch, aborted: list[AbortedTransaction]) -> None:
    """An abort marker ends the producer's oldest aborted transaction; batches after it are others'."""
    marker = parse_end_txn_marker(batch)
    if marker is None or not marker.is_abort:
        return
    for transaction in sorted(aborted, key=lambda transaction: transaction.first_offset):
        if transaction.producer_id == batch.header.producer_id:
            aborted.remove(transaction)
            return
