"""Nodes that die, are cut off or stop just when a topic is deleted and made again."""

import asyncio

from chronik.broker.coordinator.partitioning import partition_of
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.workload.recreating import GROUP, TOPIC
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NodeId

_WAIT_SECONDS_MAX = 1.5
# Of the deletion and the next creation: the new topic is there, and led, some round trips later.
_MOMENT_SECONDS_MAX = 0.2
_COORDINATOR, _LEADER, _CONTROLLER = 4, 2, 1


class RecreationFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives) -> None:
        self._stage = stage
        self._lives = lives
        self._cluster = stage.cluster
        self._random = stage.random

    async def befall(self) -> None:
        """Strikes the coordinator of the topic's group, the topic's leader, or the controller."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS_MAX):
                await self._stage.about_to_delete.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._random.random() ** 2 * _MOMENT_SECONDS_MAX)
        victim = self._victim()
        if victim is not None and not self._stage.is_stopping:
            await self._random.choice((self._kill, self._isolate, self._pause))(victim)

    def _victim(self) -> NodeId | None:
        """Returns None when no node has the drawn role."""
        what = self._random.choices(
            ("coordinator", "leader", "controller"), (_COORDINATOR, _LEADER, _CONTROLLER)
        )[0]
        if what == "leader":
            return self._leader_of(TOPIC, 0)
        nodes = [node for node in self._cluster.nodes.values() if node.is_open]
        if what == "controller":
            return next((node.node for node in nodes if node.broker.metadata.is_controller), None)
        topics = [node.broker.metadata.image.topics.get(CONSUMER_OFFSETS_TOPIC) for node in nodes]
        made = next((topic for topic in topics if topic is not None), None)
        if made is None:
            return None
        return self._leader_of(CONSUMER_OFFSETS_TOPIC, partition_of(GROUP, len(made.partitions)))

    def _leader_of(self, topic: str, index: int) -> NodeId | None:
        leading = [
            node.node
            for node in self._cluster.nodes.values()
            if node.is_open
            and (found := node.broker.replicas.find(topic, index)) is not None
            and found.is_leader
        ]
        return leading[0] if leading else None

    async def _kill(self, victim: NodeId) -> None:
        self._stage.begin("recreation", f"without {victim}")
        await self._lives.take_down("kill", victim, is_power_lost=False)

    async def _isolate(self, victim: NodeId) -> None:
        self._stage.begin("recreation", f"apart from {victim}")
        self._cluster.network.isolate(victim)
        await self._stage.last()
        self._stage.end("recreation", f"apart from {victim}")
        for other in self._cluster.all_nodes:
            if other != victim:
                self._cluster.network.heal(victim, other)

    async def _pause(self, victim: NodeId) -> None:
        running = self._cluster.nodes.get(victim)
        if running is None or running.process.is_paused or victim in self._stage.down:
            return
        self._stage.begin("recreation", f"while {victim} is paused")
        running.pause()
        await self._stage.last()
        running.resume()
        self._stage.end("recreation", f"while {victim} is paused")
