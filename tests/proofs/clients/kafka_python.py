"""kafka-python: pure Python, idempotent by default."""

from collections.abc import Collection, Iterable

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tests.proofs.clients.client import ANSWER_SECONDS_MAX, ClientFailed, Member
from tests.proofs.clients.load import Record

# kafka-python 3.0.12 never takes up an assignment when `poll` times out between the answers to JoinGroup and
# SyncGroup. So a poll that waits for a share of the partitions takes longer than that on a busy machine, and
# others seldom end in the middle of a rebalance that begins meanwhile.
_JOINING_POLL_MS = 30_000
_POLL_MS = 3_000


class KafkaPythonWriter:
    def __init__(self, bootstrap_servers: str, codec: str) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers, compression_type=None if codec == "none" else codec
        )

    def send_all(self, topic: str, records: Iterable[Record]) -> None:
        try:
            futures = [self._producer.send(topic, record.value, record.key) for record in records]
            self._producer.flush(ANSWER_SECONDS_MAX)
            for future in futures:
                future.get(0)
        except KafkaError as error:
            raise ClientFailed(str(error)) from error

    def close(self) -> None:
        self._producer.close()


class KafkaPython:
    name = "kafka-python"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = False
    has_groups = True

    def open_writer(self, bootstrap_servers: str, codec: str) -> KafkaPythonWriter:
        return KafkaPythonWriter(bootstrap_servers, codec)

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers, group_id=group, auto_offset_reset="earliest"
        )
        assignments = _Assignments(member)
        consumer.subscribe([topic], listener=assignments)
        try:
            while not member.is_over:
                timeout_ms = _POLL_MS if assignments.is_assigned else _JOINING_POLL_MS
                for batch in consumer.poll(timeout_ms=timeout_ms).values():
                    for message in batch:
                        member.take(message.partition, message.offset, message.value)
        except KafkaError as error:
            raise ClientFailed(str(error)) from error
        finally:
            consumer.close()


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    def __init__(self, member: Member) -> None:
        self._member = member
        self.is_assigned = False

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.is_assigned = bool(assigned)
        self._member.on_assigned(len(assigned))

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The next assignment says what is left."""
        self.is_assigned = False
