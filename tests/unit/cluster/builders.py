"""Images and commands for the tests of this room."""

import random
from collections.abc import Iterable

from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerEndpoint, RegisterBroker
from chronik.cluster.metadata.premises import Live, Premises, TopicDefaults
from chronik.cluster.metadata.subject import Command, MetadataRecord
from chronik.vocab.ids import LeaderEpoch, NodeId, TopicId

DEFAULTS = TopicDefaults(partitions=1, replication_factor=1)


def register(node: int, *, rack: str | None = None) -> RegisterBroker:
    """A node's registration, reachable under two listeners."""
    return RegisterBroker(
        node=NodeId(node),
        directory_id=f"directory-{node}",
        endpoints=[
            BrokerEndpoint(listener="PLAINTEXT", host="localhost", port=9092 + node),
            BrokerEndpoint(listener="INTERNAL", host="inside", port=19092 + node),
        ],
        rack=rack,
    )


class World:
    """An image that commands are carried out on, with every record they left."""

    def __init__(self, nodes: int = 1, *, defaults: TopicDefaults = DEFAULTS, seed: int = 0) -> None:
        self.image = ClusterImage()
        self.records: list[MetadataRecord] = []
        self.defaults = defaults
        self.randomness = random.Random(seed)
        # In which epochs topics' partitions are led, for those that were led.
        self.epochs: dict[TopicId, dict[int, LeaderEpoch]] = {}
        for node in range(1, nodes + 1):
            self.do(register(node))

    def decide(self, command: Command) -> list[MetadataRecord]:
        return list(decide(self.image, command, self.premises()))

    def premises(self, live: Live = None) -> Premises:
        return Premises(
            defaults=self.defaults,
            randomness=self.randomness,
            live=live,
            epochs_heard=lambda topic_id: self.epochs.get(topic_id, {}),
        )

    def do(self, command: Command) -> ClusterDelta:
        return self.apply(self.decide(command))

    def apply(self, records: Iterable[MetadataRecord]) -> ClusterDelta:
        records = list(records)
        self.image, delta = apply_records(self.image, records)
        self.records.extend(records)
        return delta
