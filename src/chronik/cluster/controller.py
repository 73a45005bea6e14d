"""The pure controller: an image and a command in, the records that carry it out or a KafkaError out.

It decides everything two clients could disagree about: names, placement, ids. It changes nothing itself; the
records count once they are committed and applied.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from chronik.cluster.commands import (
    AllocateProducerIds,
    AlterConfigs,
    Command,
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    FenceBroker,
    IncrementalAlterConfigs,
    RegisterBroker,
)
from chronik.cluster.config_decisions import alter_configs, incremental_alter_configs
from chronik.cluster.image import ClusterImage
from chronik.cluster.records import BrokerFenced, BrokerRegistered, MetadataRecord, ProducerIdsAllocated
from chronik.cluster.topic_decisions import (
    EpochsHeard,
    Live,
    TopicDefaults,
    create_partitions,
    create_topic,
    delete_topic,
)
from chronik.vocab.ids import ProducerId
from chronik.vocab.seams import Randomness

# Kafka's ProducerIdsBlock: large enough that a node asks rarely, small enough that restarts do not eat up the
# ids.
PRODUCER_ID_BLOCK = 1000


def decide(
    image: ClusterImage,
    command: Command,
    defaults: TopicDefaults,
    randomness: Randomness,
    live: Live = None,
    epochs_heard: EpochsHeard = lambda topic_id: {},
) -> Sequence[MetadataRecord]:
    """The records that carry out `command`, to be committed together; empty when it is so already.

    New replicas go to brokers among `live`, those that whoever decides is connected to; None: all are.
    `epochs_heard` says in which epochs a topic's partitions are led. Raises KafkaError when the command is
    refused.
    """
    match command:
        case CreateTopic():
            return create_topic(image, command, defaults, randomness, live)
        case DeleteTopic():
            return delete_topic(image, command, epochs_heard)
        case CreatePartitions():
            return create_partitions(image, command, defaults, randomness, live)
        case IncrementalAlterConfigs():
            return incremental_alter_configs(image, command, defaults.settings)
        case AlterConfigs():
            return alter_configs(image, command, defaults.settings)
        case RegisterBroker():
            return _register_broker(image, command)
        case FenceBroker():
            return _fence_broker(image, command)
        case AllocateProducerIds():
            return _allocate_producer_ids(image, command)
        case _:
            assert_never(command)


def _register_broker(image: ClusterImage, command: RegisterBroker) -> list[MetadataRecord]:
    record = BrokerRegistered(
        node=command.node,
        directory_id=command.directory_id,
        endpoints=tuple(command.endpoints),
        rack=command.rack,
    )
    before = image.brokers.get(command.node)
    if before is None:
        return [record]
    if replace(record, epoch=before.epoch) == before and command.node not in image.fenced:
        return []
    return [replace(record, epoch=before.epoch + 1)]


def _fence_broker(image: ClusterImage, command: FenceBroker) -> list[MetadataRecord]:
    registered = image.brokers.get(command.node)
    if registered is None or registered.epoch != command.epoch or command.node in image.fenced:
        return []
    return [BrokerFenced(node=command.node)]


def _allocate_producer_ids(image: ClusterImage, command: AllocateProducerIds) -> list[MetadataRecord]:
    first = image.next_producer_id
    end = ProducerId(first + PRODUCER_ID_BLOCK)
    return [ProducerIdsAllocated(node=command.node, first=first, end=end)]
