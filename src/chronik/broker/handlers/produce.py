"""Produce (key 0), versions 3 to 13: append record batches, answer when they are committed.

Versions 0 to 2 are advertised, because librdkafka stops compressing without them (KAFKA-18659), and answered
with UNSUPPORTED_VERSION.

`acks` -1 answers when the records are committed, and appends nothing while fewer than `min.insync.replicas`
are in sync (NOT_ENOUGH_REPLICAS). `acks` 1 answers once the leader has appended, as Kafka does; with one
replica it waits like -1, for both mean "on this node's device" there. `acks` 0 is not answered.

A leader that loses its term keeps waiting for the commit of its appends: the next leader's commit
acknowledges them, its truncation is NOT_LEADER_OR_FOLLOWER, and so is a third of a second without any leader.
Such answers name the leader and its address (KIP-951). Transactions are not served yet: a transactional id
never gets this far, because InitProducerId refuses it.
"""

import asyncio
from collections.abc import Callable

from chronik.broker.context import Broker, NoAnswer, RequestContext
from chronik.broker.deadlines import deadline_after
from chronik.broker.gateway import PartitionGateway
from chronik.broker.leader_hints import endpoints_of, leader_hint
from chronik.broker.needs import Needs, Whole, each_topic_by_name_or_id
from chronik.cluster.leadership import Leader
from chronik.records.batch import HEADER_BYTES, BatchHeader, Codec, parse_header
from chronik.records.validate import RejectedRecords
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from chronik.wire.schema import Records

_ALL = -1
_LEADER = 1
_NOBODY = 0
_ACKS = (_ALL, _NOBODY, _LEADER)
_FIRST_VERSION_WITH_TOPIC_IDS = 13
_FIRST_VERSION_SERVED = 3
# KIP-110: consumers of that age could not read it.
_FIRST_VERSION_WITH_ZSTD = 7
# Answers that `failedproducerequests` does not count, as in Kafka: leaders move, and producers err.
_EXPECTED = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)
# Kafka's own tools, which alone may write to internal topics.
_ADMIN_CLIENT = "__admin_client"


def _transactional_id(request: ProduceRequest) -> str | None:
    """Returns the id if there are records of a transaction; without an id the partition refuses them."""
    is_transactional = any(
        _has(data.records, lambda header: header.is_transactional)
        for topic in request.topic_data
        for data in topic.partition_data
    )
    return request.transactional_id if is_transactional else None


NEEDS = Needs(
    whole=(
        Whole(
            operation=AclOperation.WRITE,
            resource_type=AclResourceType.TRANSACTIONAL_ID,
            name=_transactional_id,
        ),
    ),
    each=(each_topic_by_name_or_id(AclOperation.WRITE),),
    is_explained=False,
)


def handle(
    broker: Broker, context: RequestContext, request: ProduceRequest
) -> ProduceResponse | asyncio.Future[ProduceResponse] | None:
    """Appends everything at once, in order; the future resolves when all of it is committed or the timeout
    passed.
    """
    if context.api_version < _FIRST_VERSION_SERVED:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    if request.acks not in _ACKS:
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    operation = ProduceOperation(broker, context, request)
    operation.append()
    if request.acks == _NOBODY:
        if operation.has_failed:
            raise NoAnswer("a produce request with acks=0 failed")
        return None
    return operation.answer()


def on_error(request: ProduceRequest, code: ErrorCode, message: str | None) -> ProduceResponse | None:
    """The same error for every partition named; None for clients that expect no answer (acks=0)."""
    if request.acks == 0 and request.topic_data:
        return None
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    PartitionProduceResponse(
                        index=data.index,
                        error_code=code,
                        base_offset=-1,
                        log_append_time_ms=-1,
                        error_message=message,
                    )
                    for data in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )


class ProduceOperation:
    """One produce request from its appends to its answer. Waits on each of its partitions; ends by
    answering once.
    """

    __slots__ = (
        "_broker",
        "_context",
        "_future",
        "_is_old",
        "_leaders",
        "_request",
        "_response",
        "_timer",
        "_waiting",
        "has_failed",
    )

    def __init__(self, broker: Broker, context: RequestContext, request: ProduceRequest) -> None:
        self._broker = broker
        self._context = context
        self._request = request
        self._is_old = context.api_version < _FIRST_VERSION_WITH_ZSTD
        self._response = ProduceResponse(responses=[])
        # The leaders that the answer names.
        self._leaders: list[Leader] = []
        # Appended, but not committed.
        self._waiting: dict[PartitionGateway, list[PartitionProduceResponse]] = {}
        self._future: asyncio.Future[ProduceResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.has_failed = False

    def append(self) -> None:
        for topic in self._request.topic_data:
            self._response.responses.append(
                TopicProduceResponse(
                    name=topic.name,
                    topic_id=topic.topic_id,
                    partition_responses=[self._append(topic, data) for data in topic.partition_data],
                )
            )

    def answer(self) -> ProduceResponse | asyncio.Future[ProduceResponse]:
        if not self._waiting:
            if self._leaders:
                self._name_endpoints()
            return self._response
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        self._timer = loop.call_at(deadline_after(self._request.timeout_ms), self._on_timeout)
        return self._future

    def on_committed(self, partition: PartitionGateway) -> None:
        if self._waiting.pop(partition, None) is not None and not self._waiting:
            self._finish()

    def on_commit_failed(self, partition: PartitionGateway, code: ErrorCode) -> None:
        for response in self._waiting.pop(partition, []):
            self._mark_failed(response, code)
            self._name_leader(response, code, partition.topic_id, "")
        if not self._waiting:
            self._finish()

    def _append(self, topic: TopicProduceData, data: PartitionProduceData) -> PartitionProduceResponse:
        response = PartitionProduceResponse(index=data.index, base_offset=-1, log_append_time_ms=-1)
        partition: PartitionGateway | None = None
        acks = self._request.acks
        try:
            partition = self._partition(topic, data.index)
            partition.traffic.produces += 1
            if partition.is_internal or partition in self._waiting or self._is_old:
                self._check(partition, data.records)
            appended = partition.append(data.records or b"", needs_in_sync=acks == _ALL)
        except KafkaError as error:
            if partition is not None and error.code not in _EXPECTED:
                partition.traffic.failed_produces += 1
            self._on_error(response, topic, error)
            return response
        finally:
            # The kernel has them, and the request waits for the device: hundreds of them may.
            data.records = None
        response.base_offset = appended.base_offset
        response.log_append_time_ms = appended.log_append_time_ms
        response.log_start_offset = appended.log_start_offset
        if (acks == _ALL or self._waits_for(partition)) and partition.wait_committed(
            appended.end_offset, self
        ):
            self._waiting.setdefault(partition, []).append(response)
        return response

    def _waits_for(self, partition: PartitionGateway) -> bool:
        """True if `acks` 1 waits for the commit."""
        return self._request.acks == _LEADER and not partition.is_replicated

    def _partition(self, topic: TopicProduceData, index: int) -> PartitionGateway:
        replicas = self._broker.replicas
        if self._context.api_version >= _FIRST_VERSION_WITH_TOPIC_IDS:
            return replicas.replica_by_id(topic.topic_id, index)
        return replicas.replica(topic.name, index)

    def _check(self, partition: PartitionGateway, records: Records | None) -> None:
        if self._is_old and _is_zstd(records):
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "Produce takes zstd from version 7 on")
        if partition.is_internal and self._context.client_id != _ADMIN_CLIENT:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, "internal topics are written by the broker")
        if partition in self._waiting:
            # Its first commit would answer for both.
            raise KafkaError(ErrorCode.INVALID_REQUEST, "the partition is named twice")

    def _on_error(
        self, response: PartitionProduceResponse, topic: TopicProduceData, error: KafkaError
    ) -> None:
        self._mark_failed(response, error.code)
        response.error_message = error.message
        if isinstance(error, RejectedRecords):
            response.record_errors = [
                BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message=problem)
                for index, problem in error.record_errors
            ]
        self._name_leader(response, error.code, topic.topic_id, topic.name)

    def _name_leader(
        self, response: PartitionProduceResponse, code: ErrorCode, topic_id: bytes, topic: str
    ) -> None:
        leader = leader_hint(self._broker, code, topic_id, topic, response.index)
        if leader is not None:
            self._leaders.append(leader)
            response.current_leader = LeaderIdAndEpoch(leader_id=leader.node, leader_epoch=leader.epoch)

    def _name_endpoints(self) -> None:
        self._response.node_endpoints = [
            NodeEndpoint(node_id=view.node, host=view.host, port=view.port, rack=view.rack)
            for view in endpoints_of(self._broker, self._context.session.listener, self._leaders)
        ]

    def _mark_failed(self, response: PartitionProduceResponse, code: ErrorCode) -> None:
        self.has_failed = True
        response.error_code = code
        response.base_offset = -1
        response.log_append_time_ms = -1
        response.log_start_offset = -1

    def _on_timeout(self) -> None:
        for responses in self._waiting.values():
            for response in responses:
                self._mark_failed(response, ErrorCode.REQUEST_TIMED_OUT)
        self._waiting.clear()
        self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._future is not None and not self._future.done():
            if self._leaders:
                self._name_endpoints()
            self._future.set_result(self._response)


def _is_zstd(records: Records | None) -> bool:
    return _has(records, lambda header: header.codec_id == Codec.ZSTD)


def _has(records: Records | None, is_so: Callable[[BatchHeader], bool]) -> bool:
    """True if the batch has the property; a buffer too short for a batch is refused elsewhere."""
    return isinstance(records, bytes) and len(records) >= HEADER_BYTES and is_so(parse_header(records))
