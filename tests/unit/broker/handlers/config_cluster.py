"""A broker whose metadata is real and whose log is memory, for the handlers of configuration."""

import random
from types import SimpleNamespace
from typing import cast

from chronik.broker.context import Broker, RequestContext
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.brokers import BrokerEndpoint, RegisterBroker
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigResource
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.metadata_service import MetadataService
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.ids import NodeId
from tests.support.client_session import client_session
from tests.unit.cluster.fakes import FakeMetadataLog

OWN = ConfigResource(ResourceType.BROKER, "1")


class ConfigCluster:
    """Node 1 with the topic `orders`; dynamic settings reach its configuration as they do in a node."""

    def __init__(self, static: dict[str, str] | None = None) -> None:
        self.config = BrokerConfig(static or {})
        self.metadata = MetadataService(
            FakeMetadataLog(), lambda: TopicDefaults(partitions=1, replication_factor=1), random.Random(0)
        )
        self.metadata.subscribe(self._on_metadata)
        # Only what these handlers reach.
        parts = SimpleNamespace(node_id=NodeId(1), settings=self.config, metadata=self.metadata)
        self.broker = cast(Broker, parts)

    async def start(self) -> "ConfigCluster":
        endpoint = BrokerEndpoint(listener="PLAINTEXT", host="localhost", port=9092)
        await self.metadata.submit(
            RegisterBroker(node=NodeId(1), directory_id="directory", endpoints=[endpoint])
        )
        await self.metadata.submit(CreateTopic(name="orders", configs={"retention.ms": "5"}))
        return self

    def _on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        self.config.set_dynamic(broker=image.config(OWN), cluster=image.config(CLUSTER_DEFAULT))


def context(api_version: int = 1) -> RequestContext:
    return RequestContext(
        api_key=0,
        api_version=api_version,
        correlation_id=0,
        client_id=None,
        session=client_session(client_host="127.0.0.1"),
    )
