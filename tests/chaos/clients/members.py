"""The member of a group, the same in three libraries: it polls, and commits what it was given by itself."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka import ConsumerRebalanceListener as AiokafkaRebalances
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import Consumer, KafkaException, TopicPartition
from kafka import ConsumerRebalanceListener as KafkaPythonRebalances
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPythonPartition
from kafka.errors import KafkaError as KafkaPythonError
from kafka.structs import OffsetAndMetadata

from chronik.history.events import Place
from tests.chaos.clients.member import Given, MakeMember, MemberFailed, Offsets

T = TypeVar("T")

ANSWER_SECONDS_MAX = 60.0
_SESSION_MS = 10_000
_RECONNECT_MS = 500
# See tests/proofs/clients/kafka_python.py.
_KAFKA_PYTHON_POLL_MS = 1000
_POLL_MS = 200
_RECORDS_MAX = 500


class ConfluentMember:
    def __init__(self, servers: str, group: str, topics: Sequence[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": _SESSION_MS,
                "reconnect.backoff.max.ms": _RECONNECT_MS,
                "log_level": 0,
            }
        )
        self.assignments = 0
        self._consumer.subscribe(list(topics), on_assign=self._on_assign)

    def poll(self) -> Sequence[Given]:
        given = []
        for message in self._consumer.consume(_RECORDS_MAX, timeout=_POLL_MS / 1000):
            # Errors are of the partition that an answer was for; librdkafka goes on after them.
            if message.error() is None:
                topic, partition = message.topic(), message.partition()
                offset, value = message.offset(), message.value()
                assert topic is not None
                assert partition is not None
                assert offset is not None
                assert value is not None
                given.append((topic, partition, offset, int(value)))
        return given

    def commit(self, offsets: Offsets) -> None:
        wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        try:
            answers = self._consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            raise MemberFailed(str(error)) from error
        for answer in answers or ():
            if answer.error is not None:
                raise MemberFailed(str(answer.error))

    def committed(self) -> dict[Place, int]:
        try:
            answers = self._consumer.committed(self._consumer.assignment(), timeout=ANSWER_SECONDS_MAX)
        except KafkaException as error:
            raise MemberFailed(str(error)) from error
        return {
            f"{answer.topic}-{answer.partition}": max(answer.offset, -1)
            for answer in answers
            if answer.error is None
        }

    def close(self) -> None:
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assignments += 1


class KafkaPythonMember:
    def __init__(self, servers: str, group: str, topics: Sequence[str]) -> None:
        self._listener = _KafkaPythonListener()
        self._consumer = KafkaConsumer(
            bootstrap_servers=servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=_SESSION_MS,
            reconnect_backoff_max_ms=_RECONNECT_MS,
        )
        self._consumer.subscribe(list(topics), listener=self._listener)

    @property
    def assignments(self) -> int:
        return self._listener.assignments

    def poll(self) -> Sequence[Given]:
        try:
            batches = self._consumer.poll(timeout_ms=_KAFKA_PYTHON_POLL_MS, max_records=_RECORDS_MAX)
        except KafkaPythonError as error:
            raise MemberFailed(repr(error)) from error
        return [_given(record) for batch in batches.values() for record in batch]

    def commit(self, offsets: Offsets) -> None:
        wanted = {
            KafkaPythonPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in offsets.items()
        }
        try:
            self._consumer.commit(wanted, timeout_ms=ANSWER_SECONDS_MAX * 1000)
        except (KafkaPythonError, TimeoutError) as error:
            raise MemberFailed(repr(error)) from error

    def committed(self) -> dict[Place, int]:
        try:
            offsets = {
                place: self._consumer.committed(place, timeout_ms=ANSWER_SECONDS_MAX * 1000)
                for place in self._consumer.assignment()
            }
        except (KafkaPythonError, TimeoutError) as error:
            raise MemberFailed(repr(error)) from error
        return {f"{place.topic}-{place.partition}": _or_none(offset) for place, offset in offsets.items()}

    def close(self) -> None:
        self._consumer.close()


class AiokafkaMember:
    """Its loop runs while it is asked for something; it polls all the time."""

    def __init__(self, servers: str, group: str, topics: Sequence[str]) -> None:
        self._listener = _AiokafkaListener()
        self._runner = asyncio.Runner()
        self._consumer = self._run(self._start(servers, group, topics))

    @property
    def assignments(self) -> int:
        return self._listener.assignments

    def poll(self) -> Sequence[Given]:
        batches = self._run(self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX))
        return [_given(record) for batch in batches.values() for record in batch]

    def commit(self, offsets: Offsets) -> None:
        self._run(
            self._consumer.commit({AiokafkaPartition(*place): offset for place, offset in offsets.items()})
        )

    def committed(self) -> dict[Place, int]:
        return self._run(self._committed())

    def close(self) -> None:
        self._run(self._consumer.stop())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(work)
        except (AiokafkaError, TimeoutError) as error:
            raise MemberFailed(repr(error)) from error

    async def _start(self, servers: str, group: str, topics: Sequence[str]) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=_SESSION_MS,
        )
        consumer.subscribe(list(topics), listener=self._listener)
        await consumer.start()
        return consumer

    async def _committed(self) -> dict[Place, int]:
        places = self._consumer.assignment()
        offsets = {place: await self._consumer.committed(place) for place in places}
        return {f"{place.topic}-{place.partition}": _or_none(offset) for place, offset in offsets.items()}


class _KafkaPythonListener(KafkaPythonRebalances):  # type: ignore[misc]  # kafka-python has no types
    def __init__(self) -> None:
        self.assignments = 0

    def on_partitions_revoked(self, revoked: object) -> None:
        """The next assignment tells."""

    def on_partitions_assigned(self, assigned: object) -> None:
        self.assignments += 1


class _AiokafkaListener(AiokafkaRebalances):  # type: ignore[misc]  # nor has aiokafka
    def __init__(self) -> None:
        self.assignments = 0

    def on_partitions_revoked(self, revoked: object) -> None:
        """The next assignment tells."""

    def on_partitions_assigned(self, assigned: object) -> None:
        self.assignments += 1


def _given(record: Any) -> Given:
    return record.topic, record.partition, record.offset, int(record.value)


def _or_none(offset: int | None) -> int:
    return -1 if offset is None else offset


MEMBERS: Mapping[str, MakeMember] = {
    "confluent-kafka": ConfluentMember,
    "kafka-python": KafkaPythonMember,
    "aiokafka": AiokafkaMember,
}
