"""Limits of how many partitions one request may add: a bound on what a few bytes can request.

Kafka's controller refuses requests of more than 10,000 partitions, and operations of more than 10,000
records, with POLICY_VIOLATION for everything named: none of it is done.
"""

from collections.abc import Callable, Mapping
from typing import Any

from chronik.broker.context import Broker
from chronik.cluster.metadata.premises import RECORDS_PER_REQUEST_MAX
from chronik.cluster.metadata.topics import USE_DEFAULT
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_partitions import CreatePartitionsRequest
from chronik.wire.messages.create_topics import CreateTopicsRequest
from chronik.wire.schema import Message


def check_additions(broker: Broker, api_key: ApiKey, request: Message) -> None:
    """Raises KafkaError POLICY_VIOLATION when a request as a whole adds too much: before it is cut."""
    count = _COUNTS.get(api_key)
    records = 0 if count is None else count(broker, request)
    if records > RECORDS_PER_REQUEST_MAX:
        raise KafkaError(
            ErrorCode.POLICY_VIOLATION,
            f"The request would add {records} topics and partitions; {RECORDS_PER_REQUEST_MAX} is the most.",
        )


def _new_topics(broker: Broker, request: CreateTopicsRequest) -> int:
    default = broker.settings.int("num.partitions")
    asked = (
        len(topic.assignments) or (default if topic.num_partitions == USE_DEFAULT else topic.num_partitions)
        for topic in request.topics
    )
    return len(request.topics) + sum(max(0, partitions) for partitions in asked)


def _growth(broker: Broker, request: CreatePartitionsRequest) -> int:
    """Topics that are not there count as none: each of them is refused as such."""
    topics = broker.metadata.image.topics
    added = (
        asked.count - len(topics[asked.name].partitions) for asked in request.topics if asked.name in topics
    )
    return sum(max(0, partitions) for partitions in added)


# One function for each API, which takes that API's request: the table loses this, hence Any.
_COUNTS: Mapping[ApiKey, Callable[[Broker, Any], int]] = {
    ApiKey.CREATE_TOPICS: _new_topics,
    ApiKey.CREATE_PARTITIONS: _growth,
}
