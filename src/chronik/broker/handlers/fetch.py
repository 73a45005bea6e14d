"""Fetch (key 1), versions 4 to 18: whole record batches, now or as soon as there are enough.

Sessions are resolved here (KIP-227), reading and waiting is `broker.delayed_fetch`. With a rack-aware
`replica.selector.class` the leader sends consumers that name their rack (version 11) to a replica in it, and
followers answer (KIP-392); otherwise, unlike in Kafka, only leaders do, so that no consumer keeps reading
from a replica that lost its leader. Left out: fields that only followers send (replica ids, last fetched
epoch, snapshots), because replication here does not go through Fetch.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from chronik.broker.context import Broker, RequestContext
from chronik.broker.delayed_fetch import Answer, DelayedFetch
from chronik.broker.fetch_reader import NOTHING_DENIED, Fetched, FetchLimits
from chronik.broker.fetch_session import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    NO_SESSION,
    FetchedPartition,
    FetchSession,
    PartitionKey,
)
from chronik.broker.large_fetch import LARGE_PARTITIONS, LargeFetch
from chronik.broker.leader_hints import endpoints_of
from chronik.broker.needs import Inside, Needs
from chronik.broker.read_replicas import NO_RACK, is_rack_aware
from chronik.broker.slices import Steps
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_NODE, TopicId
from chronik.wire.messages.fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)

_FIRST_VERSION_WITH_RACKS = 11
_FIRST_VERSION_WITH_TOPIC_IDS = 13
# Older clients receive no leader's address with its number, and may not know it: as Kafka's, they get
# neither.
_FIRST_VERSION_WITH_LEADERS = 16
_READ_COMMITTED = 1
# The replica id of who is none.
_CONSUMER = -1
_NOT_HERE = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    }
)
# Partitions of an answer that are made in one step.
_STEP = 128


NEEDS = Needs(
    inside=(
        Inside(
            operation=AclOperation.READ,
            resource_type=AclResourceType.TOPIC,
            otherwise="its partitions are refused",
        ),
        Inside(
            operation=AclOperation.CLUSTER_ACTION,
            resource_type=AclResourceType.CLUSTER,
            otherwise="all is refused to a client that sends a replica id",
        ),
    ),
)


def handle(
    broker: Broker, context: RequestContext, request: FetchRequest
) -> FetchResponse | asyncio.Future[FetchResponse] | Coroutine[Any, Any, FetchResponse]:
    uses_topic_ids = context.api_version >= _FIRST_VERSION_WITH_TOPIC_IDS
    wanted = _wanted(request, uses_topic_ids)
    if request.session_epoch in (INITIAL_EPOCH, FINAL_EPOCH):
        broker.fetch_sessions.close(request.session_id)
        session = None
        if wanted and request.session_epoch == INITIAL_EPOCH:
            session = broker.fetch_sessions.open(wanted, uses_topic_ids=uses_topic_ids)
        answer: Answer = _FullAnswer(broker, context, session)
        partitions = wanted
    else:
        session = broker.fetch_sessions.use(
            request.session_id, request.session_epoch, uses_topic_ids=uses_topic_ids
        )
        broker.fetch_sessions.update(session, wanted, _forgotten(request, uses_topic_ids))
        # A session that has become empty is closed, as in Kafka, and its last answer names none.
        answer = (
            _IncrementalAnswer(broker, context, session)
            if session.partitions
            else _FullAnswer(broker, context, None)
        )
        partitions = dict(session.partitions)
    max_bytes = min(request.max_bytes, broker.settings.int("fetch.max.bytes"))
    reads_followers = context.api_version >= _FIRST_VERSION_WITH_RACKS and is_rack_aware(broker.settings)
    limits = FetchLimits(
        # A client whose min_bytes exceeds the maximum is answered at the maximum.
        min_bytes=min(request.min_bytes, max_bytes),
        max_bytes=max_bytes,
        max_wait_ms=request.max_wait_ms,
        is_read_committed=request.isolation_level == _READ_COMMITTED,
        reads_followers=reads_followers,
        rack=request.rack_id if reads_followers else NO_RACK,
        denied=NOTHING_DENIED if broker.access.allows_all else _denied(broker, context, request, partitions),
    )
    if len(partitions) > LARGE_PARTITIONS:
        return LargeFetch(broker, partitions, limits, answer).run()
    return DelayedFetch(broker, partitions, limits, answer).start()


def _denied(
    broker: Broker, context: RequestContext, request: FetchRequest, partitions: Iterable[PartitionKey]
) -> frozenset[str | bytes]:
    """Returns the topics that the client may not read, by name or id as the partitions are named. An
    unknown id is not one of them.
    """
    topics = {topic for topic, _ in partitions}
    state = request.replica_state
    if request.replica_id != _CONSUMER or (state is not None and state.replica_id != _CONSUMER):
        is_replica = broker.access.is_allowed(
            context.session, AclOperation.CLUSTER_ACTION, AclResourceType.CLUSTER
        )
        return NOTHING_DENIED if is_replica else frozenset(topics)
    names: dict[str | bytes, str] = {}
    for topic in topics:
        if isinstance(topic, str):
            names[topic] = topic
        elif (found := broker.metadata.image.topics_by_id.get(TopicId(topic))) is not None:
            names[topic] = found.name
    denied = broker.access.denied(context.session, AclOperation.READ, AclResourceType.TOPIC, names.values())
    return frozenset(topic for topic, name in names.items() if name in denied)


def on_error(request: FetchRequest, code: ErrorCode, message: str | None) -> FetchResponse:
    return FetchResponse(error_code=code, session_id=NO_SESSION)


def _wanted(request: FetchRequest, uses_topic_ids: bool) -> dict[PartitionKey, FetchedPartition]:
    return {
        (topic.topic_id if uses_topic_ids else topic.topic, partition.partition): FetchedPartition(
            fetch_offset=partition.fetch_offset,
            partition_max_bytes=partition.partition_max_bytes,
            current_leader_epoch=partition.current_leader_epoch,
            last_fetched_epoch=partition.last_fetched_epoch,
        )
        for topic in request.topics
        for partition in topic.partitions
    }


def _forgotten(request: FetchRequest, uses_topic_ids: bool) -> Iterator[PartitionKey]:
    for topic in request.forgotten_topics_data:
        for partition in topic.partitions:
            yield (topic.topic_id if uses_topic_ids else topic.topic, partition)


class _FullAnswer:
    """The answer with every requested partition."""

    def __init__(self, broker: Broker, context: RequestContext, session: FetchSession | None) -> None:
        self._broker = broker
        self._context = context
        self._session = session

    def build(self, fetched: Iterable[Fetched]) -> FetchResponse:
        fetched = list(fetched)
        if self._session is not None:
            for one in fetched:
                _remember(one)
        return _response(self._broker, self._context, self._session_id(), fetched)

    def build_in_steps(self, fetched: Iterable[Fetched]) -> Steps[FetchResponse]:
        fetched = list(fetched)
        for number, one in enumerate(fetched):
            if self._session is not None:
                _remember(one)
            if not number % _STEP:
                yield
        return (yield from _response_in_steps(self._broker, self._context, self._session_id(), fetched))

    def _session_id(self) -> int:
        return NO_SESSION if self._session is None else self._session.session_id


class _IncrementalAnswer:
    """The answer with changed partitions only; they are read last next time."""

    def __init__(self, broker: Broker, context: RequestContext, session: FetchSession) -> None:
        self._broker = broker
        self._context = context
        self._session = session

    def build(self, fetched: Iterable[Fetched]) -> FetchResponse:
        news = [one for one in fetched if self._take(one)]
        return _response(self._broker, self._context, self._session.session_id, news)

    def build_in_steps(self, fetched: Iterable[Fetched]) -> Steps[FetchResponse]:
        news = []
        for number, one in enumerate(fetched):
            if self._take(one):
                news.append(one)
            if not number % _STEP:
                yield
        session_id = self._session.session_id
        return (yield from _response_in_steps(self._broker, self._context, session_id, news))

    def _take(self, one: Fetched) -> bool:
        """True if the partition has changes to send; its state then counts as sent."""
        is_news = _is_news(one)
        if is_news:
            _remember(one)
            # As Kafka does with those that had records. One that failed has had its turn, too: a cold read
            # takes its bytes from those behind it before it is known to fail.
            had_its_turn = one.size > 0 or one.code is not ErrorCode.NONE
            if had_its_turn and one.key in self._session.partitions:
                self._session.partitions.move_to_end(one.key)
        return is_news


def _is_news(one: Fetched) -> bool:
    wanted = one.wanted
    return (
        one.size > 0
        or one.code is not ErrorCode.NONE
        or one.preferred_read_replica != NO_NODE
        or wanted.told_error
        or wanted.told_high_watermark != one.high_watermark
        or wanted.told_log_start_offset != one.log_start_offset
    )


def _remember(one: Fetched) -> None:
    one.wanted.told_high_watermark = one.high_watermark
    one.wanted.told_log_start_offset = one.log_start_offset
    one.wanted.told_error = one.code is not ErrorCode.NONE


def _response(
    broker: Broker, context: RequestContext, session_id: int, fetched: Sequence[Fetched]
) -> FetchResponse:
    steps = _response_in_steps(broker, context, session_id, fetched)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            response: FetchResponse = stop.value
            return response


def _response_in_steps(
    broker: Broker, context: RequestContext, session_id: int, fetched: Sequence[Fetched]
) -> Steps[FetchResponse]:
    leaders_named = context.api_version >= _FIRST_VERSION_WITH_LEADERS
    response = FetchResponse(
        session_id=session_id, responses=(yield from _by_topic(fetched, leaders_named=leaders_named))
    )
    if leaders_named:
        leaders = [one.leader for one in fetched if one.leader is not None]
        response.node_endpoints = [
            NodeEndpoint(node_id=view.node, host=view.host, port=view.port, rack=view.rack)
            for view in endpoints_of(broker, context.session.listener, leaders)
        ]
    return response


def _by_topic(fetched: Iterable[Fetched], *, leaders_named: bool) -> Steps[list[FetchableTopicResponse]]:
    topics: dict[str | bytes, FetchableTopicResponse] = {}
    for number, one in enumerate(fetched, 1):
        if not number % _STEP:
            yield
        topic_key, _ = one.key
        topic = topics.get(topic_key)
        if topic is None:
            topic = topics[topic_key] = FetchableTopicResponse(partitions=[])
            if isinstance(topic_key, bytes):
                topic.topic_id = topic_key
            else:
                topic.topic = topic_key
        data = _partition_data(one)
        if leaders_named and one.leader is not None:
            data.current_leader = LeaderIdAndEpoch(leader_id=one.leader.node, leader_epoch=one.leader.epoch)
        topic.partitions.append(data)
    return list(topics.values())


def _partition_data(one: Fetched) -> PartitionData:
    data = PartitionData(
        partition_index=one.key[1],
        error_code=one.code,
        high_watermark=one.high_watermark,
        last_stable_offset=one.last_stable_offset,
        log_start_offset=one.log_start_offset,
        # Never null: librdkafka rejects it.
        records=one.buffers,
        preferred_read_replica=one.preferred_read_replica,
    )
    if one.aborted is not None:
        data.aborted_transactions = [
            AbortedTransaction(producer_id=producer_id, first_offset=first)
            for producer_id, first in one.aborted
        ]
    else:
        # Null means not requested; a partition that is not here has none, as in Kafka's answer.
        data.aborted_transactions = [] if one.code and one.code in _NOT_HERE else None
    return data
