"""A broker whose groups and metadata are real, over logs in memory and on virtual time.

Its answers come over the wire.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, TypeVar

from chronik.broker.context import Broker
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.service import GroupService
from chronik.broker.groups.topics import MetadataTopics
from chronik.cluster.internal_topics import internal_topic
from chronik.cluster.leadership import Leader, PartitionKey
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.topic_creation import ensure_topic
from chronik.sim.virtual_time import LoopClock, VirtualLoop
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC
from chronik.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from chronik.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from chronik.wire.schema import Message
from tests.unit.broker.groups.memory_log import MemoryLog
from tests.unit.broker.groups.play import subscription

from .metadata_stage import NODE, MetadataStage, context, over_the_wire

R = TypeVar("R", bound=Message)


class GroupStage(MetadataStage):
    """Topic `t` has two partitions, `u` one."""

    broker: Broker

    def __init__(self, **settings: str) -> None:
        super().__init__(offsets_topic_num_partitions="4", **settings)
        self.group_log = MemoryLog()
        self.groups = self.broker.groups = GroupService(
            log=self.group_log,
            ensure_topic=self._ensure_topic,
            clock=LoopClock(),
            randomness=random.Random(1),
            config=GroupConfig(),
            topics=MetadataTopics(self.metadata),
        )
        self.leadership.subscribe(self._on_leader)
        self.metadata.subscribe(self.groups.runtime.on_metadata)

    async def _ensure_topic(self) -> int:
        command = internal_topic(CONSUMER_OFFSETS_TOPIC, self.broker.settings)
        assert command is not None
        deadline = asyncio.get_running_loop().time() + 10
        return len((await ensure_topic(self.metadata, self.leadership, command, deadline)).partitions)

    def _on_leader(self, key: PartitionKey, leader: Leader) -> None:
        topic = self.metadata.image.topics_by_id.get(key.topic_id)
        if topic is not None and topic.name == CONSUMER_OFFSETS_TOPIC and leader.node == NODE:
            self.groups.runtime.on_leader(key.partition, leader.epoch)

    async def create(self, name: str, partitions: int) -> None:
        await self.metadata.submit(CreateTopic(name=name, partitions=partitions))

    async def ask(self, request: Message, version: int, response_type: type[R]) -> R:
        """As the dispatcher does it: what a handler raises is answered by `on_error`."""
        received = over_the_wire(request, version)
        api = import_module(f"chronik.broker.handlers.{type(request).__module__.rpartition('.')[2]}")
        try:
            response = await api.handle(self.broker, context(version), received)
        except KafkaError as error:
            response = api.on_error(received, error.code, error.message)
        assert isinstance(response, response_type)
        return over_the_wire(response, version)

    # What tests of most group APIs begin with.

    async def join(
        self, member_id: str = "", *, version: int = 9, group_id: str = "g", instance_id: str | None = None
    ) -> JoinGroupResponse:
        request = JoinGroupRequest(
            group_id=group_id,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=60_000 if version else -1,
            member_id=member_id,
            group_instance_id=instance_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=subscription(["t"]))],
        )
        return await self.ask(request, version, JoinGroupResponse)

    async def sync(
        self, joined: JoinGroupResponse, assignment: bytes = b"all", *, version: int = 5
    ) -> SyncGroupResponse:
        request = SyncGroupRequest(
            group_id="g",
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            protocol_type="consumer" if version >= 5 else None,
            protocol_name="range" if version >= 5 else None,
            assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=assignment)],
        )
        return await self.ask(request, version, SyncGroupResponse)

    async def member(self) -> JoinGroupResponse:
        """The only member of `g`, which is stable."""
        joined = await self.join(version=3)
        await self.sync(joined)
        return joined


def play_groups(scene: Callable[[GroupStage], Coroutine[Any, Any, None]], **settings: str) -> None:
    """Run a scene on a stage with one node, in no time."""

    async def run() -> None:
        stage = GroupStage(**settings)
        await stage.register()
        await stage.create("t", 2)
        await stage.create("u", 1)
        await scene(stage)
        await stage.groups.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
