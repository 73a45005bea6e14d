"""The one thing the coordinator reads in a consumer's metadata: the topics it subscribes to.

Needed for offset expiry and OffsetDelete, which spare topics in use. Version 0 of
ConsumerProtocolSubscription is a prefix of every later version, so only it is read.
"""

from chronik.broker.coordinator.primitives import MalformedRecord, Reader

CONSUMER_PROTOCOL_TYPE = "consumer"


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """None when these bytes are no consumer subscription: other clients may write anything."""
    reader = Reader(metadata)
    try:
        if reader.int16() < 0:
            return None
        return frozenset(reader.string() for _ in range(reader.array_length()))
    except MalformedRecord:
        return None
