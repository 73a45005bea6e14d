"""Metadata (key 3), versions 0 to 13: brokers, topics, partitions and their leaders.

Creates topics on request. Leaders come from the leadership table alone. A topic that is shown has leaders:
one that is being created, by this request or by another, is waited for, so that a client's first send works,
and so is, for half a second, an election that must be under way. Without an authorizer every topic is visible
and every operation allowed. The controller named is this node: it takes all requests for the controller, and
forwards them.

A node that reaches no majority of the others does not know the leaders. It omits itself from the brokers of
an answer that lacks a leader for that reason: the client then asks another node, instead of this one
repeatedly, and returns here when they name it. Partitions that this node leads by its own account have no
leader in that answer, too: kafka-python waits forever for a leader that is not among the brokers.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from chronik.broker.access import NOT_ASKED
from chronik.broker.context import Broker, RequestContext
from chronik.broker.elections import soon_led, wait_until_led
from chronik.broker.needs import Inside, Needs
from chronik.broker.slices import Sliced, Steps
from chronik.cluster.image import ClusterImage
from chronik.cluster.internal_topics import internal_topic
from chronik.cluster.metadata.topics import CreateTopic, TopicImage
from chronik.cluster.topic_creation import ensure_topics
from chronik.cluster.views import BrokerViews, PartitionView, broker_views, partition_views
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.config.topic_names import topic_name_problem
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, TopicId
from chronik.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

# A third of the shortest request timeout that clients have by default (30 s): the client still listens to the
# answer.
_LEADER_WAIT_S = 10.0

# Partitions shown in one step: some 5 microseconds for each.
_STEP = 64

_FIRST_VERSION_WITH_EMPTY_LIST = 1
_FIRST_VERSION_WITH_LISTENER_NOT_FOUND = 6
_FIRST_VERSION_WITH_NULL_NAMES = 12


NEEDS = Needs(
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.TOPIC,
            otherwise="refused where it is named, left out where all are asked for",
        ),
        Inside(
            operation=AclOperation.CREATE,
            resource_type=AclResourceType.CLUSTER,
            otherwise="topics are refused that may not be created themselves",
        ),
        Inside(
            operation=AclOperation.CREATE,
            resource_type=AclResourceType.TOPIC,
            otherwise="refused instead of created",
        ),
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.CLUSTER,
            otherwise="no operation on it is named as allowed",
        ),
    ),
)


def handle(
    broker: Broker, context: RequestContext, request: MetadataRequest
) -> Steps[MetadataResponse] | Coroutine[Any, Any, MetadataResponse]:
    """Answer at once when nothing has to be created or waited for, which is nearly always."""
    metadata_request = _Request(broker, context, request)
    if metadata_request.is_ready():
        return metadata_request.answer_in_steps()
    return metadata_request.answer_later()


def on_error(request: MetadataRequest, code: ErrorCode, message: str | None) -> MetadataResponse:
    """The same error for the request and for every topic named."""
    return MetadataResponse(
        error_code=code,
        topics=[
            MetadataResponseTopic(error_code=code, name=topic.name or "", topic_id=topic.topic_id)
            for topic in request.topics or ()
        ],
    )


class _Request:
    """One request, from authorization to its answer."""

    def __init__(self, broker: Broker, context: RequestContext, request: MetadataRequest) -> None:
        self._broker = broker
        self._version = context.api_version
        self._session = context.session
        self._request = request
        self._names, self._ids = _asked(request, context.api_version)
        # Of names that are shown as topics that are there or not there, no more.
        self._failures: dict[str, KafkaError] = {}
        self._hidden: frozenset[str] = frozenset()
        if not broker.access.allows_all:
            self._hide()
        self._shown = 0
        # True: omitted from the brokers, and so from the leaders.
        self._is_left_out = False

    def _hide(self) -> None:
        """Hides topics that the client may not describe, and refuses those it may not create."""
        topics = self._broker.metadata.image.topics
        by_id = (self._broker.metadata.image.topics_by_id.get(topic_id) for topic_id in self._ids)
        names = [*(topics if self._names is None else self._names), *(topic.name for topic in by_id if topic)]
        self._hidden = self._denied(AclOperation.DESCRIBE, names)
        refused = set(self._hidden)
        creations = self._creations()
        if creations and not self._broker.access.is_allowed(
            self._session, AclOperation.CREATE, AclResourceType.CLUSTER
        ):
            refused |= self._denied(AclOperation.CREATE, creations)
        for name in refused:
            self._failures[name] = KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)

    def _denied(self, operation: AclOperation, names: Iterable[str]) -> frozenset[str]:
        return self._broker.access.denied(self._session, operation, AclResourceType.TOPIC, names)

    def is_ready(self) -> bool:
        return not self._creations() and not soon_led(self._broker, self._existing())

    async def answer_later(self) -> MetadataResponse:
        now = asyncio.get_running_loop().time()
        deadline = now + _LEADER_WAIT_S
        creations = self._creations()
        if creations:
            await self._create(creations, deadline)
        unled = soon_led(self._broker, self._existing())
        await wait_until_led(self._broker, unled, now, deadline)
        return await Sliced(self.answer_in_steps(), asyncio.get_running_loop().time).finish()

    def answer_in_steps(self) -> Steps[MetadataResponse]:
        image = self._broker.metadata.image
        brokers = broker_views(image, self._session.listener)
        asked_cluster = self._request.include_cluster_authorized_operations
        topics = yield from self._topics(image, brokers)
        if self._is_cut_off(image) and _lacks_a_leader(topics):
            self._is_left_out = True
            brokers = {node: view for node, view in brokers.items() if node != self._broker.node_id}
            topics = yield from self._topics(image, brokers)
        return MetadataResponse(
            brokers=[
                MetadataResponseBroker(node_id=view.node, host=view.host, port=view.port, rack=view.rack)
                for view in brokers.values()
            ],
            cluster_id=self._broker.cluster_id,
            controller_id=self._broker.node_id,
            topics=topics,
            cluster_authorized_operations=self._broker.access.cluster_operations(self._session)
            if asked_cluster
            else NOT_ASKED,
        )

    def _is_cut_off(self, image: ClusterImage) -> bool:
        live = self._broker.peers.live()
        # A node that is its own cluster is a majority of one.
        return 2 * sum(node in live for node in image.brokers) <= len(image.brokers)

    def _creations(self) -> list[str]:
        """Names of topics that this request shall create."""
        if self._names is None or not self._request.allow_auto_topic_creation:
            return []
        topics = self._broker.metadata.image.topics
        missing = [name for name in self._names if name not in topics and name not in self._failures]
        if not missing or not self._broker.settings.bool("auto.create.topics.enable"):
            return []
        return missing

    async def _create(self, names: Sequence[str], deadline: float) -> None:
        broker = self._broker
        commands = [internal_topic(name, broker.settings) or CreateTopic(name=name) for name in names]
        created = await ensure_topics(broker.metadata, broker.leadership, commands, deadline)
        for name, outcome in zip(names, created, strict=True):
            if isinstance(outcome, KafkaError):
                self._failures[name] = outcome

    def _existing(self) -> Iterable[TopicImage]:
        """The requested topics that exist."""
        image, hidden = self._broker.metadata.image, self._hidden
        if self._names is None:
            topics = image.topics.values()
            return [topic for topic in topics if topic.name not in hidden] if hidden else topics
        by_name = (image.topics.get(name) for name in self._names)
        by_id = (image.topics_by_id.get(topic_id) for topic_id in self._ids)
        return [topic for topic in (*by_name, *by_id) if topic is not None and topic.name not in hidden]

    def _topics(self, image: ClusterImage, brokers: BrokerViews) -> Steps[list[MetadataResponseTopic]]:
        topics: list[MetadataResponseTopic] = []
        for name in self._all_names(image) if self._names is None else self._names:
            topic = image.topics.get(name)
            if topic is not None and name not in self._failures:
                topics.append((yield from self._topic(topic, brokers)))
            else:
                topics.append(self._missing(name))
        for topic_id in self._ids:
            topic = image.topics_by_id.get(topic_id)
            if topic is not None and topic.name not in self._hidden:
                topics.append((yield from self._topic(topic, brokers)))
            else:
                name_or_none = None if self._version >= _FIRST_VERSION_WITH_NULL_NAMES else ""
                # An id is no secret, as in Kafka, but the name is.
                code = ErrorCode.UNKNOWN_TOPIC_ID if topic is None else ErrorCode.TOPIC_AUTHORIZATION_FAILED
                topics.append(MetadataResponseTopic(error_code=code, name=name_or_none, topic_id=topic_id))
        return topics

    def _all_names(self, image: ClusterImage) -> list[str]:
        """At this moment: topics may have been created since the request began."""
        denied = self._denied(AclOperation.DESCRIBE, image.topics)
        return [name for name in image.topics if name not in denied]

    def _missing(self, name: str) -> MetadataResponseTopic:
        code = self._missing_code(name)
        is_told = (
            self._request.include_topic_authorized_operations
            and code is not ErrorCode.TOPIC_AUTHORIZATION_FAILED
        )
        operations = self._operations(name) if is_told else NOT_ASKED
        return MetadataResponseTopic(error_code=code, name=name, topic_authorized_operations=operations)

    def _operations(self, name: str) -> int:
        return self._broker.access.operations(self._session, AclResourceType.TOPIC, name)

    def _missing_code(self, name: str) -> ErrorCode:
        failure = self._failures.get(name)
        if failure is not None:
            return failure.code
        if topic_name_problem(name) is not None:
            return ErrorCode.INVALID_TOPIC_EXCEPTION
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def _topic(self, topic: TopicImage, brokers: BrokerViews) -> Steps[MetadataResponseTopic]:
        is_asked = self._request.include_topic_authorized_operations
        partitions = []
        for view in partition_views(topic, self._broker.leadership, brokers):
            partitions.append(self._partition(view))
            self._shown += 1
            if not self._shown % _STEP:
                yield
        return MetadataResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.is_internal,
            partitions=partitions,
            topic_authorized_operations=self._operations(topic.name) if is_asked else NOT_ASKED,
        )

    def _partition(self, view: PartitionView) -> MetadataResponsePartition:
        error = view.error
        is_old = self._version < _FIRST_VERSION_WITH_LISTENER_NOT_FOUND
        if error is ErrorCode.LISTENER_NOT_FOUND and (is_old or self._is_left_out):
            error = ErrorCode.LEADER_NOT_AVAILABLE
        return MetadataResponsePartition(
            error_code=error,
            partition_index=view.partition,
            leader_id=view.leader,
            leader_epoch=view.leader_epoch,
            replica_nodes=view.replicas,
            isr_nodes=view.in_sync,
            offline_replicas=view.offline,
        )


def _lacks_a_leader(topics: Iterable[MetadataResponseTopic]) -> bool:
    return any(
        partition.error_code == ErrorCode.LEADER_NOT_AVAILABLE
        for topic in topics
        for partition in topic.partitions
    )


def _asked(request: MetadataRequest, version: int) -> tuple[list[str] | None, list[TopicId]]:
    """Returns the requested names and ids, each once; no names at all (None) means every topic."""
    topics = request.topics
    if topics is None or (not topics and version < _FIRST_VERSION_WITH_EMPTY_LIST):
        return None, []
    ids = dict.fromkeys(TopicId(topic.topic_id) for topic in topics if topic.topic_id != NO_TOPIC_ID)
    names = dict.fromkeys(_name(topic) for topic in topics if topic.topic_id == NO_TOPIC_ID)
    return list(names), list(ids)


def _name(topic: MetadataRequestTopic) -> str:
    if topic.name is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A topic is asked for with neither name nor id")
    return topic.name
