"""Internal topics are created with the settings their coordinators need."""

import pytest

from chronik.cluster.internal_topics import internal_topic
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.topic_names import INTERNAL_TOPICS

from .builders import World


@pytest.mark.parametrize("name", sorted(INTERNAL_TOPICS))
def test_every_internal_topic_can_be_created(name: str) -> None:
    command = internal_topic(name, BrokerConfig({}))
    assert command is not None
    world = World(command.replication_factor)
    world.do(command)
    assert world.image.topics[name].is_internal
    assert world.image.topic_config(name)["cleanup.policy"] == "compact"


def test_the_brokers_settings_count() -> None:
    config = BrokerConfig({"offsets.topic.num.partitions": "7", "offsets.topic.segment.bytes": "1048576"})
    command = internal_topic("__consumer_offsets", config)
    assert command is not None
    assert command.partitions == 7
    assert command.configs["segment.bytes"] == "1048576"


def test_other_topics_are_not_internal() -> None:
    assert internal_topic("orders", BrokerConfig({})) is None
