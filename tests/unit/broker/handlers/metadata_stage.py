"""A broker with the real metadata rooms over a log in memory, for the handlers that only need those."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from chronik.broker.context import Broker, RequestContext
from chronik.broker.slices import Sliced, Steps
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.brokers import BrokerEndpoint, RegisterBroker
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.peers import NoPeers
from chronik.cluster.producer_ids import ProducerIds
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.ids import LeaderEpoch, NodeId
from chronik.wire.apis import ApiKey
from chronik.wire.codec import decode, encode
from chronik.wire.schema import Message
from tests.support.client_session import client_session
from tests.support.nulls import check_nulls
from tests.unit.cluster.fakes import FakeMetadataLog

M = TypeVar("M", bound=Message)

NODE = NodeId(1)


class MetadataStage:
    """`broker` is node 1 of a cluster of itself.

    It leads each new partition at once while `leads` says so.
    """

    def __init__(self, **settings: str) -> None:
        self.settings = {name.replace("_", "."): value for name, value in settings.items()}
        self.log = FakeMetadataLog()
        self.leadership = LeadershipTable()
        config = BrokerConfig(self.settings)
        self.metadata = MetadataService(
            self.log, lambda: TopicDefaults(partitions=config.int("num.partitions")), random.Random(0)
        )
        self.metadata.subscribe(self._on_metadata)
        self.leads = True
        self.broker = Broker(**self._rooms(config))

    def _rooms(self, config: BrokerConfig) -> dict[str, Any]:
        absent = dict.fromkeys(name for name in Broker.__slots__ if name not in ("access", "quotas"))
        return {
            **absent,
            "node_id": NODE,
            "cluster_id": "cluster",
            "settings": config,
            "randomness": random.Random(0),
            "metadata": self.metadata,
            "leadership": self.leadership,
            "peers": NoPeers(NODE),
            "producer_ids": ProducerIds(self.metadata, NODE),
        }

    def _on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        if self.leads:
            self.lead(delta)

    def lead(self, delta: ClusterDelta) -> None:
        """Announce node 1 as leader of all that was created."""
        for created in delta.partitions_created:
            self.leadership.announce(created.topic.topic_id, created.partition, Leader(NODE, LeaderEpoch(3)))

    async def register(self, node: int = NODE, rack: str | None = None) -> None:
        await self.metadata.submit(
            RegisterBroker(
                node=NodeId(node),
                directory_id=f"directory-{node}",
                endpoints=[BrokerEndpoint(listener="PLAINTEXT", host="localhost", port=9091 + node)],
                rack=rack,
            )
        )


def context(api_version: int, *, listener: str = "PLAINTEXT") -> RequestContext:
    return RequestContext(
        api_key=0,
        api_version=api_version,
        correlation_id=1,
        client_id=None,
        session=client_session(listener=listener, client_host="127.0.0.1"),
    )


def play(scene: Callable[[MetadataStage], Coroutine[None, None, None]], **settings: str) -> None:
    """Run a scene on a stage with one registered node."""

    async def run() -> None:
        stage = MetadataStage(**settings)
        await stage.register()
        stage.log.appends = 0
        await scene(stage)

    asyncio.run(run())


async def answered(response: M | Awaitable[M] | Steps[M]) -> M:
    """The response of a handler that answers now, in steps or later."""
    if isinstance(response, Generator):
        return await Sliced(response, lambda: 0.0).finish()
    return response if isinstance(response, Message) else await response


def over_the_wire(message: M, api_version: int) -> M:
    """What the other side has of `message` in one version: fails for what cannot be encoded."""
    sent = decode(type(message), api_version, encode(message, api_version))
    api = type(message).__module__.rpartition(".")[2].upper()
    if type(message).__name__.endswith("Response"):
        check_nulls(ApiKey[api], api_version, sent)
    return sent
