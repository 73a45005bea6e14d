"""The topics that coordinators keep their state in, with the settings they need, as Kafka creates them."""

from collections.abc import Callable
from typing import Protocol

from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC


class IntSettings(Protocol):
    """The broker's settings, as far as this module reads them."""

    def int(self, name: str) -> int: ...


def internal_topic(name: str, settings: IntSettings) -> CreateTopic | None:
    """Returns the command that creates the internal topic `name`; None when that is not an internal topic."""
    describe = _INTERNAL.get(name)
    return describe(settings) if describe is not None else None


def _consumer_offsets(settings: IntSettings) -> CreateTopic:
    return CreateTopic(
        name=CONSUMER_OFFSETS_TOPIC,
        partitions=settings.int("offsets.topic.num.partitions"),
        replication_factor=settings.int("offsets.topic.replication.factor"),
        configs={
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": str(settings.int("offsets.topic.segment.bytes")),
        },
    )


def _transaction_state(settings: IntSettings) -> CreateTopic:
    return CreateTopic(
        name=TRANSACTION_STATE_TOPIC,
        partitions=settings.int("transaction.state.log.num.partitions"),
        replication_factor=settings.int("transaction.state.log.replication.factor"),
        configs={
            "cleanup.policy": "compact",
            "compression.type": "uncompressed",
            "min.insync.replicas": str(settings.int("transaction.state.log.min.isr")),
            "segment.bytes": str(settings.int("transaction.state.log.segment.bytes")),
            "unclean.leader.election.enable": "false",
        },
    )


_INTERNAL: dict[str, Callable[[IntSettings], CreateTopic]] = {
    CONSUMER_OFFSETS_TOPIC: _consumer_offsets,
    TRANSACTION_STATE_TOPIC: _transaction_state,
}
