"""One run: a cluster, its clients, its faults, and the check of its promises.

    seed ──> cluster of 3 or 5 nodes, clients, faults ──> healing ──> agreement, checks

Everything is drawn from the seed. First the cluster is founded and topics are created; then clients work
while faults come; then all faults end, and within bounded virtual time everything must be as it should: all
nodes serve and agree, all sent records are acknowledged, every group has read everything, and there are no
more elections.
"""

import asyncio
import logging
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import FrameType
from unittest.mock import patch

from chronik.node import cluster_runtime as runtime
from chronik.node import reconciler
from chronik.raft import state_store
from chronik.raft.core.options import RaftOptions
from chronik.sim.agreement import votes_everywhere, wait_for_agreement
from chronik.sim.checks.bounds import check_bounds
from chronik.sim.checks.commits import CommitCheck
from chronik.sim.checks.coordinators import check_coordinators
from chronik.sim.checks.damages import check_damages
from chronik.sim.checks.images import ImageCheck
from chronik.sim.checks.lookups import check_lookups
from chronik.sim.checks.problems import Problems
from chronik.sim.checks.promises import check_promises
from chronik.sim.checks.replicas import ReplicaCheck, unfinished
from chronik.sim.checks.votes import VoteCheck
from chronik.sim.client import ClientNetwork, SimClient
from chronik.sim.cluster import TICKS, SimCluster, SimNode
from chronik.sim.faults.schedule import Faults
from chronik.sim.mutants import MUTANTS
from chronik.sim.network import DELAY_MS, Disorder
from chronik.sim.process import ProcessLoop
from chronik.sim.producers import open_nodes
from chronik.sim.trace import Event, Trace
from chronik.sim.workload import resizing
from chronik.sim.workload.administering import SimAdministrator
from chronik.sim.workload.auditing import SimAuditor
from chronik.sim.workload.consuming import SimConsumer
from chronik.sim.workload.history import History
from chronik.sim.workload.producing import SimProducer
from chronik.sim.workload.recreating import SimRecreator
from chronik.sim.workload.resizing import SimResizer
from chronik.vocab.ids import TopicPartition

FAULT_SECONDS = (4.0, 10.0)
HEALING_SECONDS_MAX = 60.0
# Longer than the balancer takes from one look to the next.
CALM_SECONDS = 2.5
CALM_LOOKS_MAX = 10
# A run takes some seconds. Of the processor's time, for on a busy machine any other means nothing.
PROCESSOR_SECONDS_MAX = 120
_LOOK_SECONDS = 0.02

# Read in part by each member: group "readers" has two, "auditors" one.
_MEMBERS = {"readers": 2, "auditors": 1}
_TOPICS = {"orders": 3, "events": 2}
_FACTOR = 3
_TRIMMED = TopicPartition("events", 1)

# How many runs have a topic whose replicas change, and how many it begins with.
_RESIZING_RUNS = 0.5
_FIRST_FACTORS = (1, 3)
# Of these runs, in how many no files are lost: most changes come there.
_WITHOUT_LOSSES = 0.6
# A member comes or goes in a few of these.
_STEP_SECONDS = 0.1

# Small enough that a run of seconds covers what takes a real cluster hours.
_METADATA_BYTES = 2_500
_SETTINGS = {
    "metadata_log_max_record_bytes_between_snapshots": str(_METADATA_BYTES),
    "log_retention_check_interval_ms": "1500",
    "group_min_session_timeout_ms": "1000",
    "group_initial_rebalance_delay_ms": "0",
    "leader_imbalance_check_interval_seconds": "2",
    "broker_session_timeout_ms": "3000",
    "replica_lag_time_max_ms": "1000",
}
_STATE_REWRITE_BYTES = 2_500
_STATE_GROWTH_MAX = 2
# Segments of some dozens of batches, with index entries every few.
_TOPIC_CONFIGS = {"internal_segment_bytes": "3000", "index_interval_bytes": "300"}

# Each run draws one: the delay of a frame between nodes, whether it may come out of order, how much goes into
# one, and the ticks between a leader's heartbeats.
_DELAYS_MS = ((0.1, 2.0), (0.1, 2.0), (1.0, 100.0))
_HEARTBEAT_TICKS = (TICKS.heartbeat, TICKS.heartbeat, 1)
_DISORDERS = (None, None, Disorder(twice=0.1, late=0.1, late_seconds_max=0.2))
_APPEND_BYTES_MAX = (1 << 20, 2_000, 1, 1)


@dataclass(slots=True)
class Outcome:
    """The result of one run; `problems` is empty when every promise was kept."""

    seed: int
    nodes: int
    digest: str = ""
    # Of virtual time.
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    acknowledged: int = 0
    consumed: int = 0
    elections: int = 0
    batches_compared: int = 0
    images_compared: int = 0
    topics_made_again: int = 0
    replicas_changed: int = 0
    offsets_held_to_topics: int = 0
    timeline: list[Event] = field(default_factory=list)


class Simulation:
    """Run it once, in a `ProcessLoop` of its own."""

    def __init__(self, seed: int, nodes: int, lean_on: Collection[str] = ()) -> None:
        loop = asyncio.get_running_loop()
        self._random = Random(seed)
        self._outcome = Outcome(seed, nodes)
        self._trace = Trace(loop.time)
        self._problems = Problems(self._trace)
        self._cluster = SimCluster(self._random.randrange(1 << 60), nodes, **_SETTINGS)
        self._cluster.ticks = TICKS._replace(heartbeat=self._random.choice(_HEARTBEAT_TICKS))
        self._clients = ClientNetwork(self._cluster, Random(self._random.randrange(1 << 60)))
        self._faults = Faults(
            self._cluster, self._clients, self._trace, Random(self._random.randrange(1 << 60)), lean_on
        )
        self._delay_ms = self._random.choice(_DELAYS_MS)
        self._disorder = self._random.choice(_DISORDERS)
        self._append_bytes_max = self._random.choice(_APPEND_BYTES_MAX)
        self._history = History()
        self._commits = CommitCheck(self._problems)
        self._images = ImageCheck(self._problems)
        self._votes = VoteCheck(self._problems)
        self._replicas = ReplicaCheck(self._problems)
        self._watch_cluster()
        # Drawn by itself, as all that belongs to it: the other runs are what they were without.
        self._draw = Random(f"resizing {seed}")
        self._is_resizing = self._draw.random() < _RESIZING_RUNS and not lean_on
        self._topics = {**_TOPICS, resizing.TOPIC: resizing.PARTITIONS} if self._is_resizing else _TOPICS
        self._producers = [
            SimProducer(
                SimClient(self._clients, f"producer-{number}"),
                self._history,
                topic,
                _TOPICS[topic],
                is_idempotent=number != 2,
            )
            for number, topic in enumerate(("orders", "events", "orders"))
        ]
        self._idempotent = frozenset({"producer-0", "producer-1"})
        self._consumers = [
            SimConsumer(SimClient(self._clients, f"{group}-{number}"), self._history, group, self._topics)
            for group, count in _MEMBERS.items()
            for number in range(count)
        ]
        self._administrator = SimAdministrator(
            SimClient(self._clients, "administrator"), self._history, list(_TOPICS), _TRIMMED
        )

        self._recreator = SimRecreator(
            SimClient(self._clients, "recreator"), self._history, self._faults.about_to_delete
        )
        self._auditor = SimAuditor(SimClient(self._clients, "auditor"), self._history, self._topics)
        self._resizers = [self._make_resizer()] if self._is_resizing else []
        self._faults.scarcity.spares_all = self._is_resizing and self._draw.random() < _WITHOUT_LOSSES

    def _make_resizer(self) -> SimResizer:
        producer = SimClient(self._clients, f"producer-{len(self._producers)}")
        self._producers.append(
            SimProducer(producer, self._history, resizing.TOPIC, resizing.PARTITIONS, is_idempotent=True)
        )
        self._idempotent |= {producer.name}
        client = SimClient(self._clients, "resizer")
        return SimResizer(client, self._cluster, self._history, self._faults.scarcity, self._trace)

    async def run(self) -> Outcome:
        with ExitStack() as stack:
            stack.enter_context(patch.object(state_store, "REWRITE_BYTES_MIN", _STATE_REWRITE_BYTES))
            stack.enter_context(patch.object(state_store, "_GROWTH_MAX", _STATE_GROWTH_MAX))
            options = partial(RaftOptions, append_bytes_max=self._append_bytes_max)
            stack.enter_context(patch.object(runtime, "RaftOptions", options))
            if self._is_resizing:
                stack.enter_context(patch.object(reconciler, "LOOK_SECONDS", _STEP_SECONDS))
            await self._run()
        return self._finish()

    async def _run(self) -> None:
        looking = asyncio.create_task(self._look())
        looking.add_done_callback(self._on_looked)
        await self._faults_free_start()
        clients = [asyncio.create_task(producer.run()) for producer in self._producers]
        clients += [asyncio.create_task(consumer.run()) for consumer in self._consumers]
        clients.append(asyncio.create_task(self._administrator.run()))
        clients.append(asyncio.create_task(self._auditor.run()))
        clients.append(asyncio.create_task(self._recreator.run()))
        clients += [asyncio.create_task(resizer.run()) for resizer in self._resizers]
        await self._let_faults_come()
        await self._heal(clients)
        looking.cancel()
        for task in clients:
            task.cancel()
        await self._end()

    # Phases.

    async def _faults_free_start(self) -> None:
        await self._cluster.open()
        for topic, partitions in _TOPICS.items():
            await self._administrator.create(topic, partitions, _FACTOR, **_TOPIC_CONFIGS)
        if self._is_resizing:
            factor = self._draw.choice(_FIRST_FACTORS)
            await self._administrator.create(resizing.TOPIC, resizing.PARTITIONS, factor, **_TOPIC_CONFIGS)
        self._trace.tell("cluster", "serves")

    async def _let_faults_come(self) -> None:
        self._cluster.network.delay_ms, self._cluster.network.disorder = self._delay_ms, self._disorder
        self._faults.begin()
        lanes = [asyncio.create_task(self._faults.run()) for _ in range(self._random.randint(1, 3))]
        await self._until(self._is_broken, self._random.uniform(*FAULT_SECONDS))
        self._faults.stop()
        self._cluster.network.delay_ms, self._cluster.network.disorder = DELAY_MS, None
        ended, late = await asyncio.wait(lanes, timeout=HEALING_SECONDS_MAX)
        for lane in ended:
            lane.result()
        if late:
            self._problems.add("faults do not come to an end: a node does not start, or not stop")

    async def _heal(self, clients: list[asyncio.Task[None]]) -> None:
        self._trace.tell("cluster", "is left in peace")
        self._administrator.stop()
        self._auditor.stop()
        self._recreator.stop()
        for resizer in self._resizers:
            resizer.stop()
        for producer in self._producers:
            producer.stop()
        # Before disks that are known to be rotten are replaced.
        check_lookups(self._history, open_nodes(self._cluster), self._problems)
        try:
            async with asyncio.timeout(HEALING_SECONDS_MAX):
                await self._faults.heal()
        except TimeoutError:
            self._problems.add("not all nodes start")
            return
        began = asyncio.get_running_loop().time()
        if not await self._until(self._is_done, HEALING_SECONDS_MAX):
            self._problems.add(f"not within {HEALING_SECONDS_MAX:g} s: {self._what_is_left()}")
            return
        for text in await wait_for_agreement(self._cluster, HEALING_SECONDS_MAX):
            self._problems.add(text)
        self._trace.tell("cluster", f"agrees {asyncio.get_running_loop().time() - began:.1f} s later")
        if self._is_broken():
            return
        await self._check_calm()
        for consumer in self._consumers:
            consumer.stop()
        _, late = await asyncio.wait(clients, timeout=HEALING_SECONDS_MAX)
        if late:
            self._problems.add("clients do not come to an end")
        await self._check_all()

    def _is_broken(self) -> bool:
        """True if there is nothing to hope for any more."""
        return bool(self._problems.found or self._history.problems)

    def _is_done(self) -> bool:
        return self._is_broken() or not self._what_is_left()

    def _what_is_left(self) -> str:
        unacknowledged = len(self._history.sent) - len(self._history.acknowledged)
        if unacknowledged:
            return f"{unacknowledged} records are not acknowledged"
        partitions = [TopicPartition(topic, index) for topic, n in self._topics.items() for index in range(n)]
        for group in _MEMBERS:
            left = self._history.unread(group, partitions)
            if left:
                return f"{group} has not read {len(left)} records, {left[0]} first"
        replicas = unfinished(self._cluster)
        return f"replicas are not as they should be: {'; '.join(replicas[:3])}" if replicas else ""

    async def _check_calm(self) -> None:
        """Leaderships return to the preferred leaders; after that a healthy cluster has no elections."""
        before = self._epochs()
        for _ in range(CALM_LOOKS_MAX):
            await asyncio.sleep(CALM_SECONDS)
            if before == (before := self._epochs()):
                return
        self._problems.add("leaders go on changing in peace")

    def _epochs(self) -> dict[TopicPartition, int]:
        return {
            partition.name: partition.leader_epoch
            for node in open_nodes(self._cluster)
            for partition in node.broker.replicas.led()
        }

    async def _check_all(self) -> None:
        for text in await wait_for_agreement(self._cluster, CALM_SECONDS):
            self._problems.add(f"in the end: {text}")
        nodes = open_nodes(self._cluster)
        check_promises(self._history, nodes, self._idempotent, self._problems)
        check_lookups(self._history, nodes, self._problems)
        check_coordinators(nodes, self._problems)
        check_damages(nodes, self._problems)
        for text in unfinished(self._cluster):
            self._problems.add(f"in the end: {text}")
        check_bounds(nodes, _STATE_REWRITE_BYTES, _METADATA_BYTES, self._problems)
        for node in nodes:
            if not votes_everywhere(self._cluster, node.node):
                self._problems.add(f"node {node.node} does not vote everywhere")
        for topic_id in self._administrator.deleted:
            if any(topic_id in node.broker.metadata.image.topics_by_id for node in nodes):
                self._problems.add(f"{topic_id.hex()} was deleted, and is there")
        for name in self._administrator.standing:
            if any(name not in node.broker.metadata.image.topics for node in nodes):
                self._problems.add(f"{name} was created, and is not there")

    # Watching.

    def _watch_cluster(self) -> None:
        self._cluster.on_made = self._on_made
        self._cluster.on_dying = self._look_at
        on_crashed = self._cluster.on_crashed

        def crashed(node: SimNode) -> None:
            self._commits.forget(node)
            self._replicas.forget(node)
            self._trace.tell(f"node {node.node}", "dies")
            on_crashed(node)

        self._cluster.on_crashed = crashed  # type: ignore[method-assign]
        self._cluster.network.on_arrival = self._trace.feed

    def _on_made(self, node: SimNode) -> None:
        self._images.watch(node)
        self._votes.watch(node)
        table = node.local.broker.leadership

        def on_leader(key: object, leader: object) -> None:
            self._trace.feed(node.node, key, leader)

        table.subscribe(on_leader)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for _, node in sorted(self._cluster.nodes.items()):
                self._look_at(node)

    def _on_looked(self, looking: "asyncio.Task[None]") -> None:
        """Checks that ended see nothing of the rest of the run."""
        if not looking.cancelled():
            error = looking.exception()
            self._problems.add(f"the checks ended: {type(error).__name__}: {error}")

    def _look_at(self, node: SimNode) -> None:
        # The checks read with the node's files, and are not to miss what happens to one without descriptors.
        with node.disk.unlimited_descriptors():
            self._check(node)

    def _check(self, node: SimNode) -> None:
        if node.is_made and not node.process.is_dead:
            # Also while it opens: then it deletes what was removed while it was away.
            self._votes.look_for_removed(node)
        if not node.is_open or node.process.is_dead:
            return
        partitions = [node.local.metadata_partition.partition, *node.broker.replicas.partitions()]
        self._commits.look(node, partitions)
        for partition in partitions:
            self._votes.look(node, partition)
        self._replicas.look(node, partitions)

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while not is_so():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    # The end.

    async def _end(self) -> None:
        for node in list(self._cluster.nodes.values()):
            node.crash(is_power_lost=False)
        await asyncio.sleep(1)

    def _finish(self) -> Outcome:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        outcome = self._outcome
        for text in [*self._history.problems, *self._faults.problems, *loop.problems]:
            self._problems.add(text)
        for error in self._cluster.network.failures:
            self._problems.add(f"a frame was not taken: {error!r}")
        outcome.problems = self._problems.found
        outcome.digest = self._trace.digest
        outcome.seconds = loop.time()
        outcome.faults = self._faults.counts
        outcome.sent = len(self._history.sent)
        outcome.acknowledged = len(self._history.acknowledged)
        outcome.consumed = self._history.consumed
        outcome.batches_compared = self._commits.batches_compared
        outcome.images_compared = self._images.images_compared
        outcome.topics_made_again = self._recreator.topics_made
        outcome.replicas_changed = sum(resizer.changes for resizer in self._resizers)
        outcome.offsets_held_to_topics = self._recreator.answers_checked
        outcome.timeline = self._trace.events
        return outcome


def nodes_of(seed: int) -> int:
    """Returns the number of nodes of the seed."""
    return 3 if seed % 4 else 5


def simulate(seed: int, nodes: int | None = None, mutant: str | None = None) -> Outcome:
    """Runs a seed, in a loop of its own: with its own number of nodes, or the given one; of nodes with a
    planted fault, if one is named.
    """

    async def run() -> Outcome:
        return await Simulation(seed, nodes or nodes_of(seed), lean_on).run()

    logging.disable(logging.CRITICAL)
    planted = nullcontext() if mutant is None else MUTANTS[mutant].planted()
    lean_on = () if mutant is None else MUTANTS[mutant].lean_on
    # A fault that cannot be planted is no finding.
    with planted, _watchdog() as hangs:
        try:
            with asyncio.Runner(loop_factory=ProcessLoop) as runner:
                return runner.run(run())
        except RunHangs as hang:
            problem = str(hang)
        except Exception as error:
            # An exception from a loop that is torn down in the middle means nothing.
            problem = hangs[0] if hangs else _told(error)
    return Outcome(seed, nodes or nodes_of(seed), problems=[problem])


def _told(error: Exception) -> str:
    """Describes the error in a line. A log with holes, say, raises in the check that reads it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}, in {frame.name}"


class RunHangs(BaseException):
    """Only the starter of the run may catch it."""


@contextmanager
def _watchdog() -> Iterator[list[str]]:
    """A callback that never returns would go unnoticed: no virtual time passes during it.

    The list has the stack it noticed. It is raised repeatedly, should some code catch it after all.
    """
    hangs: list[str] = []

    def bark(number: int, frame: FrameType | None) -> None:
        where = "" if frame is None else f", in {frame.f_code.co_qualname}"
        hangs.append(f"no end after {PROCESSOR_SECONDS_MAX} s of processor time{where}")
        raise RunHangs(hangs[-1])

    if threading.current_thread() is not threading.main_thread():
        yield hangs
        return
    before = signal.signal(signal.SIGPROF, bark)
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS_MAX, 1)
    try:
        yield hangs
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
