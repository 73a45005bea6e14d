"""CreateTopics (key 19), versions 2 to 7: creates topics, each decided and answered separately.

The answer waits, within the request's timeout, until every partition has a leader and every live node knows
the topic. After the timeout the answer is REQUEST_TIMED_OUT, and the topic may still appear, as from Kafka.
Without an authorizer all settings are shown. A topic with two replicas is created with a message about the
consequences (decision 0017), besides error 0. A request for more than 10,000 topics and partitions is refused
as a whole.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from chronik.broker.context import Broker, RequestContext
from chronik.broker.creation_limits import check_additions
from chronik.broker.deadlines import deadline_after
from chronik.broker.needs import Inside, Needs, each_topic
from chronik.cluster.metadata.topics import CreateTopic, TopicImage
from chronik.cluster.topic_creation import create_topic, replication_notice
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.definition import ConfigSource
from chronik.vocab.config.names import TOPIC_CONFIGS, TOPIC_SYNONYMS
from chronik.vocab.config.topic import topic_defaults
from chronik.vocab.config.values import format_value
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, NodeId
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

NEEDS = Needs(
    each=(each_topic(AclOperation.CREATE, or_on_cluster=AclOperation.CREATE, is_once=True),),
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE_CONFIGS,
            resource_type=AclResourceType.TOPIC,
            otherwise="the answer has no settings, and an error in their place",
        ),
    ),
)


async def handle(
    broker: Broker, context: RequestContext, request: CreateTopicsRequest
) -> CreateTopicsResponse:
    check_additions(broker, ApiKey.CREATE_TOPICS, request)
    deadline = deadline_after(request.timeout_ms)
    named = Counter(topic.name for topic in request.topics)
    results = await asyncio.gather(
        *(
            _answer(broker, topic, deadline, request.validate_only)
            for topic in request.topics
            if named[topic.name] == 1
        )
    )
    _hide_configs(broker, context, results)
    duplicates = [
        _failure(name, KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name."))
        for name, count in named.items()
        if count > 1
    ]
    return CreateTopicsResponse(topics=[*results, *duplicates])


def on_denied(
    broker: Broker, context: RequestContext, request: CreateTopicsRequest, code: ErrorCode
) -> CreateTopicsResponse:
    """Returns the refusal, in Kafka's words."""
    return on_error(request, code, "Authorization failed.")


def _hide_configs(broker: Broker, context: RequestContext, results: Iterable[CreatableTopicResult]) -> None:
    """Removes the settings of topics created by a client that may not see them, as Kafka does."""
    created = {result.name: result for result in results if result.error_code == ErrorCode.NONE}
    denied = broker.access.denied(
        context.session, AclOperation.DESCRIBE_CONFIGS, AclResourceType.TOPIC, created
    )
    for name in denied:
        hidden = created[name]
        hidden.topic_config_error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        hidden.num_partitions, hidden.replication_factor, hidden.configs = -1, -1, []


def on_error(request: CreateTopicsRequest, code: ErrorCode, message: str | None) -> CreateTopicsResponse:
    """The same error for every topic named."""
    error = KafkaError(code, message)
    return CreateTopicsResponse(topics=[_failure(topic.name, error) for topic in request.topics])


async def _answer(
    broker: Broker, request: CreatableTopic, deadline: float, validate_only: bool
) -> CreatableTopicResult:
    try:
        topic = await create_topic(
            broker.metadata, broker.leadership, _command(request), deadline, validate_only=validate_only
        )
    except KafkaError as error:
        return _failure(request.name, error)
    return _success(broker, topic, request, validate_only)


def _command(request: CreatableTopic) -> CreateTopic:
    assignments = {
        assignment.partition_index: [NodeId(node) for node in assignment.broker_ids]
        for assignment in request.assignments
    }
    if len(assignments) != len(request.assignments):
        raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "A partition is assigned more than once")
    nulls = [config.name for config in request.configs if config.value is None]
    if nulls:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Settings without a value: {', '.join(nulls)}")
    return CreateTopic(
        name=request.name,
        partitions=request.num_partitions,
        replication_factor=request.replication_factor,
        assignments=assignments,
        configs={config.name: config.value for config in request.configs},
    )


def _success(
    broker: Broker, topic: TopicImage, request: CreatableTopic, validate_only: bool
) -> CreatableTopicResult:
    overrides = {config.name: config.value for config in request.configs if config.value is not None}
    return CreatableTopicResult(
        name=topic.name,
        # A topic that was not created has no id to look it up by.
        topic_id=NO_TOPIC_ID if validate_only else topic.topic_id,
        # Clients look at it where there is an error, tools show it.
        error_message=replication_notice(topic),
        num_partitions=len(topic.partitions),
        replication_factor=len(topic.partitions[0].nodes),
        configs=_configs(broker.settings, overrides),
    )


def _configs(settings: BrokerConfig, overrides: Mapping[str, str]) -> list[CreatableTopicConfigs]:
    """All settings of the new topic, with the source of each (KIP-525)."""
    defaults = topic_defaults(settings)
    return [
        CreatableTopicConfigs(
            name=name,
            value=overrides.get(name, format_value(defaults[name])),
            config_source=ConfigSource.TOPIC_CONFIG if name in overrides else _source(settings, name),
        )
        for name, definition in TOPIC_CONFIGS.items()
        if not definition.is_internal
    ]


def _source(settings: BrokerConfig, name: str) -> ConfigSource:
    """Returns the source of a topic's default value."""
    named = (synonym.name for synonym in TOPIC_SYNONYMS.get(name, ()))
    return next(
        (settings.source(name) for name in named if settings.raw(name) is not None),
        ConfigSource.DEFAULT_CONFIG,
    )


def _failure(name: str, error: KafkaError) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=error.code, error_message=error.message)
