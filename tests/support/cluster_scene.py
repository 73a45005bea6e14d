"""A small cluster at work: a topic, a producer for each of its partitions, and what tests do to it."""

import asyncio
from collections.abc import Callable
from itertools import cycle

from chronik.cluster.metadata.topics import CreateTopic
from chronik.sim.agreement import broken_promises, wait_for_agreement
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.producers import Producer, open_nodes
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId
from chronik.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

PARTITIONS = 3
_SECONDS_MAX = 30.0


class ClusterScene:
    """Made and opened by a test, on a `ProcessLoop`; `check` is its end."""

    def __init__(self, seed: int = 1, **settings: str) -> None:
        self.room = SimCluster(seed, **settings)
        self.producers: list[Producer] = []
        self._running: list[asyncio.Task[None]] = []

    async def open(self, **configs: str) -> "ClusterScene":
        await self.room.open()
        texts = {name.replace("_", "."): value for name, value in configs.items()}
        node = self.room.nodes[NodeId(1)]
        await node.do(
            node.broker.metadata.submit(CreateTopic(name="t", partitions=PARTITIONS, configs=texts))
        )
        for index in range(PARTITIONS):
            self.producers.append(Producer(self.room, "t", index, 100 + index))
            self._running.append(asyncio.create_task(self.producers[-1].run()))
        await self.acknowledged(3)
        return self

    @property
    def acked(self) -> int:
        return sum(len(producer.acked) for producer in self.producers)

    def leader(self, index: int = 0) -> SimNode:
        (leader,) = [node for node in open_nodes(self.room) if node.partition("t", index).is_leader]
        return leader

    def controller(self) -> SimNode:
        (leader,) = [
            node for node in open_nodes(self.room) if node.local.metadata_partition.partition.is_leader
        ]
        return leader

    def led_by(self, node: SimNode) -> list[int]:
        """Which partitions of the topic."""
        return [index for index in range(PARTITIONS) if node.partition("t", index).is_leader]

    async def until(self, is_so: Callable[[], bool], seconds: float = _SECONDS_MAX) -> float:
        """Wait for it; how many seconds that took. Raises TimeoutError."""
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(seconds):
            while True:
                if is_so():
                    return asyncio.get_running_loop().time() - started
                await asyncio.sleep(0.01)

    async def acknowledged(self, count: int, seconds: float = _SECONDS_MAX) -> float:
        """Wait until each producer has so many more records acknowledged; how many seconds that took."""
        wanted = {producer: len(producer.acked) + count for producer in self.producers}
        return await self.until(lambda: all(len(one.acked) >= wanted[one] for one in self.producers), seconds)

    async def create(self, topic: str, seconds: float = _SECONDS_MAX) -> None:
        """A topic, asked for on one node after the other until it is there."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            for node in cycle(open_nodes(self.room)):
                command, deadline = CreateTopic(name=topic), loop.time() + 1
                try:
                    await node.do(node.broker.metadata.submit(command, deadline=deadline))
                    return
                except KafkaError as error:
                    if error.code is ErrorCode.TOPIC_ALREADY_EXISTS:
                        return
                    await asyncio.sleep(0.05)

    async def create_by_request(self, node: SimNode, topic: str, timeout_ms: int) -> ErrorCode:
        """What the node answers to CreateTopics."""
        created = CreatableTopic(
            name=topic, num_partitions=1, replication_factor=3, assignments=[], configs=[]
        )
        message = CreateTopicsRequest(topics=[created], timeout_ms=timeout_ms, validate_only=False)
        response = await node.ask(message, 5, CreateTopicsResponse)
        return ErrorCode(response.topics[0].error_code)

    async def restart(self, node: NodeId) -> SimNode:
        """Its process ends as it is, and the next one begins."""
        if node in self.room.nodes:
            self.room.crash(node, is_power_lost=False)
        return await self.room.open_node(node)

    async def check(self) -> None:
        """Everybody agrees, and every promise was kept; then all is stopped."""
        for producer in self.producers:
            producer.is_stopping = True
        async with asyncio.timeout(_SECONDS_MAX):
            await asyncio.gather(*self._running)
        assert await wait_for_agreement(self.room, _SECONDS_MAX) == []
        for producer in self.producers:
            assert broken_promises(self.room, producer) == []
        assert self.room.network.failures == []
        await self.room.close()
