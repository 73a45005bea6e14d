"""A busy life of three nodes in which one of them crashes at a given change of its disk.

Producers write to every partition all the time, while topics come and go, leaders change, one is cut off and
comes back with a suffix that nobody else has, the metadata is cut behind a snapshot, and a node that was away
finds that the others' logs begin after the end of its own. Whatever crashes comes back. In the end the nodes
must be of one mind, and have kept what they promised.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

from chronik.cluster.metadata.configs import AlterOp, ConfigChange, ConfigResource, IncrementalAlterConfigs
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreateTopic, DeleteTopic
from chronik.raft import state_store
from chronik.sim.agreement import broken_promises, votes_everywhere, wait_for_agreement
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import ProcessDied, ProcessLoop
from chronik.sim.producers import Producer, leader_of, open_nodes
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset
from tests.support.crash_plan import CrashPlan, CrashWatch, Part
from tests.support.durability_points import Point

# Far more than elections, restarts and silences need one after the other.
SETTLE_SECONDS = 20.0
STEP_SECONDS = 20.0
LIFE_SECONDS = 200.0

# So that a life of some seconds passes what a real one does in hours.
_SETTINGS = {
    "metadata_log_max_record_bytes_between_snapshots": "2500",
    "log_retention_check_interval_ms": "1500",
}
_STATE_REWRITE_BYTES = 2_500
_STATE_GROWTH_MAX = 2
_SEGMENT_BYTES = "1500"


@dataclass(slots=True)
class LifeReport:
    """What one life came to; `problems` is empty when every promise was kept."""

    plan: CrashPlan | None
    seed: int
    crashed_at: str | None = None
    problems: list[str] = field(default_factory=list)
    acked: int = 0
    # Acknowledged from memory and gone with it: what write.caching allows when the power goes.
    lost_cached: int = 0
    seconds: float = 0.0
    changes: int = 0
    seen: Counter[tuple[Point, Part]] = field(default_factory=Counter)


class _Stuck(Exception):
    """Nothing goes on; what comes later would only say so again."""


class ClusterLife:
    """Run it once, in a `ProcessLoop` of its own."""

    def __init__(self, seed: int, plan: CrashPlan | None) -> None:
        self.seed = seed
        self.plan = plan
        self.random = Random(seed)
        self.room = SimCluster(seed, **_SETTINGS)
        self.watch = CrashWatch(self.room)
        self.report = LifeReport(plan, seed)
        self.producers: list[Producer] = []
        self._running: dict[asyncio.Task[None], Producer] = {}
        self._restarts: set[asyncio.Task[None]] = set()
        self._next_producer_id = 1000
        self._away: set[NodeId] = set()
        # Where a life is, for those who look at a problem.
        self.at = "bootstrap"
        self._on_crashed, self.room.on_crashed = self.room.on_crashed, self._crashed  # type: ignore[method-assign]

    async def run(self) -> LifeReport:
        with (
            patch.object(state_store, "REWRITE_BYTES_MIN", _STATE_REWRITE_BYTES),
            patch.object(state_store, "_GROWTH_MAX", _STATE_GROWTH_MAX),
        ):
            try:
                async with asyncio.timeout(LIFE_SECONDS):
                    await self._run()
            except TimeoutError:
                self._problem(f"did not get over: {self.at}")
            except _Stuck as stuck:
                self._problem(f"{self.at}: {stuck}")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        report = self.report
        report.seconds = loop.time()
        report.crashed_at = self.watch.crashed_at
        report.changes = self.watch.changes
        report.seen = self.watch.seen
        report.problems += loop.problems + self.watch.problems
        report.problems += [f"a frame was not taken: {error!r}" for error in self.room.network.failures]
        await self._end()
        return report

    async def _run(self) -> None:
        if self.plan is not None:
            self.watch.arm(self.plan)
        await self._found()
        for step in self._steps():
            self.at = step.__name__
            await step()
            await asyncio.sleep(self.random.random() * 0.4)
        self.at = "agreement"
        await self._check()

    def _steps(self) -> list[Callable[[], Awaitable[None]]]:
        """Drawn by the seed alone: what a life passes is known from one without a crash."""
        chance = Random(self.seed)
        return [
            self._create,
            self._work,
            self._transfer,
            self._cut_off,
            self._elect_unheard,
            *[self._replace_disk] * (chance.random() < 0.4),
            self._leave_one_behind,
            self._delete,
            *[self._lose_all_power] * (chance.random() < 0.3),
        ]

    def _problem(self, text: str) -> None:
        self.report.problems.append(text)

    # Crashes.

    def _crashed(self, node: SimNode) -> None:
        self._on_crashed(node)
        if node.node not in self._away:
            task = asyncio.get_running_loop().create_task(self._restart(node.node))
            self._restarts.add(task)

    async def _restart(self, node: NodeId) -> None:
        await asyncio.sleep(0.02 + self.random.random() * 2)
        if node not in self._away:
            await self._open(node)

    async def _open(self, node: NodeId) -> None:
        if node in self.room.nodes:
            return
        try:
            await self.room.open_node(node)
        except ProcessDied:
            pass
        except Exception as error:
            self._problem(f"node {node} does not come back: {error!r}")

    # Steps.

    async def _found(self) -> None:
        await asyncio.gather(*(self._open(node) for node in NODES))
        await self._until("three nodes", lambda: len(open_nodes(self.room)) == len(NODES))

    async def _create(self) -> None:
        configs = {"internal.segment.bytes": _SEGMENT_BYTES}
        await self._submit(CreateTopic(name="a", partitions=3, configs=configs))
        await self._submit(CreateTopic(name="cached", partitions=1, configs={"write.caching": "true"}))
        for index in range(3):
            self._produce("a", index)
        self._produce("cached", 0, is_idempotent=False)

    async def _work(self) -> None:
        await asyncio.sleep(1)

    async def _transfer(self) -> None:
        """Somebody else leads."""
        found = leader_of(self.room, "a", 0)
        if found is None:
            return
        leader, _ = found
        others = [node for node in open_nodes(self.room) if node is not leader]
        if not others:
            return
        partition = leader.partition("a", 0)
        try:
            leader.broker.transfers.begin(partition, self.random.choice(others).node)
        except KafkaError:
            return
        await asyncio.sleep(0.2)

    async def _cut_off(self) -> None:
        """A leader appends what nobody hears of; the others go on."""
        found = leader_of(self.room, "a", 1)
        node = found[0].node if found is not None else self.random.choice(NODES)
        self.room.network.isolate(node)
        await asyncio.sleep(2.5)
        self.room.network.heal_all()
        await asyncio.sleep(0.5)

    async def _elect_unheard(self) -> None:
        """One is elected, and cut off before anybody hears of it: what opens its term is to go."""
        found = leader_of(self.room, "a", 2)
        others = [node for node in open_nodes(self.room) if found is not None and node is not found[0]]
        if found is None or not others:
            return
        leader, next_leader = found[0], self.random.choice(others)
        try:
            leader.broker.transfers.begin(leader.partition("a", 2), next_leader.node)
        except KafkaError:
            return
        for _ in range(200):
            await asyncio.sleep(0.0001)
            if not next_leader.is_open or next_leader.partition("a", 2).is_leader:
                break
        self.room.network.isolate(next_leader.node)
        await asyncio.sleep(1.5)
        self.room.network.heal_all()
        await asyncio.sleep(0.5)

    async def _replace_disk(self) -> None:
        """A node comes back with nothing, and votes again when it has everything."""
        node = self.random.choice(NODES)
        self._away.add(node)
        if node in self.room.nodes:
            self.room.nodes[node].crash(is_power_lost=True)
        self.room.replace_disk(node)
        await asyncio.sleep(self.random.random() * 2)
        self._away.discard(node)
        await self._open(node)
        await self._until(f"node {node} votes again", lambda: votes_everywhere(self.room, node))

    async def _lose_all_power(self) -> None:
        self._away.update(NODES)
        for node in list(self.room.nodes.values()):
            node.crash(is_power_lost=True)
        await asyncio.sleep(0.5)
        self._away.clear()
        await asyncio.gather(*(self._open(node) for node in NODES))

    async def _leave_one_behind(self) -> None:
        """What a node lacks when it comes back is not in the others' logs any more."""
        node = self.random.choice(NODES)
        self._away.add(node)
        await self._stop(node)
        for number in range(24):
            change = ConfigChange("retention.ms", AlterOp.SET, str(10_000_000 + number))
            resource = ConfigResource(ResourceType.TOPIC, "a")
            await self._submit(IncrementalAlterConfigs(resource=resource, changes=[change]))
        await asyncio.sleep(1)
        for index in range(3):
            await self._delete_records("a", index)
        self._away.discard(node)
        await self._open(node)

    async def _stop(self, node: NodeId) -> None:
        is_clean = self.random.random() < 0.5
        if node not in self.room.nodes or not self.room.nodes[node].is_open:
            return
        try:
            if is_clean:
                await self.room.stop(node)
            else:
                self.room.nodes[node].crash(is_power_lost=self.random.random() < 0.5)
        except ProcessDied:
            pass

    async def _delete_records(self, topic: str, index: int) -> None:
        async def attempt() -> bool:
            found = leader_of(self.room, topic, index)
            if found is None:
                return False
            leader, _ = found
            await leader.do(leader.partition(topic, index).delete_records(Offset(-1)))
            return True

        await self._try_until("records deleted", attempt)

    async def _delete(self) -> None:
        """A topic comes, goes, and comes again."""
        await self._submit(CreateTopic(name="b", partitions=2))
        first = [self._produce("b", index) for index in range(2)]
        await asyncio.sleep(0.5)
        await self._finish(first)
        await self._submit(DeleteTopic(name="b"))
        await self._submit(CreateTopic(name="b", partitions=2))
        for index in range(2):
            self._produce("b", index)
        await asyncio.sleep(0.5)

    # Parts of steps.

    def _produce(self, topic: str, index: int, *, is_idempotent: bool = True) -> Producer:
        self._next_producer_id += 1
        producer = Producer(self.room, topic, index, self._next_producer_id, is_idempotent=is_idempotent)
        self.producers.append(producer)
        self._running[asyncio.get_running_loop().create_task(producer.run())] = producer
        return producer

    async def _finish(self, producers: list[Producer]) -> None:
        """They end, and their partitions are about to go."""
        for producer in producers:
            producer.is_stopping = True
        for task in [task for task, producer in self._running.items() if producer in producers]:
            await task
            del self._running[task]
        self.producers = [producer for producer in self.producers if producer not in producers]
        self.report.acked += sum(len(producer.acked) for producer in producers)
        self.report.problems += [refusal for producer in producers for refusal in producer.refusals]

    async def _submit(self, command: Command) -> None:
        """Carries it out, whichever node crashes during it; no-op if it was carried out before."""

        async def attempt() -> bool:
            nodes = open_nodes(self.room)
            if not nodes:
                return False
            node = self.random.choice(nodes)
            try:
                await node.do(node.broker.metadata.submit(command))
            except KafkaError as error:
                if error.code not in (
                    ErrorCode.TOPIC_ALREADY_EXISTS,
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                ):
                    raise
            return True

        await self._try_until(f"{command}", attempt)

    async def _try_until(self, what: str, attempt: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        deadline = asyncio.get_running_loop().time() + STEP_SECONDS
        last: Exception | None = None
        while asyncio.get_running_loop().time() < deadline:
            try:
                if await attempt():
                    return
            except (KafkaError, ProcessDied) as error:
                last = error
            await asyncio.sleep(0.05)
        raise _Stuck(f"not within {STEP_SECONDS} s: {what} ({last!r})")

    async def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        async def attempt() -> bool:
            return is_so()

        await self._try_until(what, attempt)

    # The end.

    async def _check(self) -> None:
        for restart in self._restarts:
            await restart
        self._restarts.clear()
        await self._until("three nodes", lambda: len(open_nodes(self.room)) == len(NODES))
        for producer in self.producers:
            producer.is_stopping = True
        _, hanging = await asyncio.wait(self._running, timeout=SETTLE_SECONDS)
        for task in hanging:
            self._problem(f"{self._running[task].topic}-{self._running[task].index} takes no records")
        await self._resume()
        self.report.problems += await wait_for_agreement(self.room, SETTLE_SECONDS)
        self._check_promises()

    async def _resume(self) -> None:
        """New topics, and one more record everywhere."""
        self.at = "resuming"
        await self._submit(CreateTopic(name="after", partitions=3))
        new = [self._producer("after", index) for index in range(3)]
        self.producers += new
        sends: list[Awaitable[None]] = [producer.send() for producer in self.producers]
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await asyncio.gather(*sends)
        except TimeoutError:
            self._problem("no records are taken in the end")

    def _producer(self, topic: str, index: int) -> Producer:
        self._next_producer_id += 1
        return Producer(self.room, topic, index, self._next_producer_id)

    def _check_promises(self) -> None:
        for producer in self.producers:
            self.report.acked += len(producer.acked)
            broken = broken_promises(self.room, producer)
            if producer.is_idempotent or not self.room.power_losses:
                self.report.problems += broken
            else:
                self.report.lost_cached += len(broken)

    async def _end(self) -> None:
        """Stop what is left, so that the loop can end."""
        self.watch._plan = None
        self._away.update(NODES)
        for task in [*self._running, *self._restarts]:
            task.cancel()
        for node in list(self.room.nodes.values()):
            node.crash(is_power_lost=False)
        await asyncio.sleep(1)


async def live(seed: int, plan: CrashPlan | None = None) -> LifeReport:
    """See `ClusterLife`. In a loop of its own: `sim_process.on_processes`."""
    return await ClusterLife(seed, plan).run()
