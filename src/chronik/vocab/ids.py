"""Ids and positions. Distinct numbers get distinct types, so that an offset is never taken for an epoch."""

import base64
from typing import NamedTuple, NewType

NodeId = NewType("NodeId", int)
Offset = NewType("Offset", int)
LeaderEpoch = NewType("LeaderEpoch", int)
ProducerId = NewType("ProducerId", int)

# The 16 raw bytes of a UUID, as the wire carries them: hashing and comparing them costs a fraction of
# uuid.UUID.
TopicId = NewType("TopicId", bytes)

NO_TOPIC_ID = TopicId(bytes(16))
NO_NODE = NodeId(-1)
NO_EPOCH = LeaderEpoch(-1)
# The lowest epoch that a partition of several replicas is led in.
FIRST_EPOCH = LeaderEpoch(1)
NO_PRODUCER = ProducerId(-1)

# The topics the broker keeps for itself. Clients may read the first two; `__meta` is never shown to them.
CONSUMER_OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTION_STATE_TOPIC = "__transaction_state"
METADATA_TOPIC = "__meta"


class TopicPartition(NamedTuple):
    """A partition's name; prints as its directory is called on disk, `topic-0`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def format_topic_id(topic_id: TopicId) -> str:
    """A topic id as Kafka's tools print it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def parse_topic_id(text: str) -> TopicId:
    """The inverse of `format_topic_id`. Raises ValueError for anything else."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != 16:
        raise ValueError(f"not a topic id: {text!r}")
    return TopicId(raw)
