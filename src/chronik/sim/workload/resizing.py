"""Topics whose replicas change: the replication factor goes up to 3 and down to 1, again and again.

No API of Kafka's clients is served for it: it asks a node for the controller's command, as a handler would.
While a change is under way, and on nodes that hold what few others do, no fault may take files (`Scarcity`):
one copy survives no lost disk.
"""

import asyncio
from collections.abc import Iterator, Sequence

from chronik.cluster.metadata.replica_decisions import factor_changes
from chronik.cluster.metadata.replicas import ChangeReplicas, PartitionImage
from chronik.cluster.metadata.topics import TopicImage
from chronik.sim.checks.replicas import unfinished
from chronik.sim.client import SimClient
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.faults.scarcity import Scarcity
from chronik.sim.process import ProcessDied
from chronik.sim.trace import Trace
from chronik.sim.workload.history import History
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

TOPIC = "elastic"
PARTITIONS = 2

_FACTORS = (1, 1, 2, 3, 3)
_PAUSE_SECONDS_MAX = 0.6
_SUBMIT_SECONDS = 1.5
_RETRY_SECONDS = 0.05
# Under faults; then the next change comes upon one that is not done.
_DONE_SECONDS_MAX = 4.0
# How often it does not wait at all.
_HASTE = 0.2
# How often other nodes are chosen than placement would.
_WHIM = 0.5

# What a cluster in trouble answers, and what it answers to who asks what another one has changed meanwhile.
_IN_TROUBLE = frozenset(
    {
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        # The node chosen for a new replica was fenced since.
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        # One that asks a node before it has heard of the topic.
        ErrorCode.UNKNOWN_TOPIC_ID,
    }
)


class SimResizer:
    """Owned by the run. Runs until `stop`."""

    def __init__(
        self, client: SimClient, cluster: SimCluster, history: History, scarcity: Scarcity, trace: Trace
    ) -> None:
        self._client = client
        self._random = client.random
        self._cluster = cluster
        self._history = history
        self._scarcity = scarcity
        self._trace = trace
        self._is_stopping = False
        # Changes that were asked for, and taken.
        self.changes = 0

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        while not self._is_stopping and not self._history.problems:
            await asyncio.sleep(self._random.random() * _PAUSE_SECONDS_MAX)
            if self._scarcity.may_change and not self._is_stopping:
                self._scarcity.is_changing = True
                await self._change()
                if self._random.random() >= _HASTE:
                    await self._wait_until_done(_DONE_SECONDS_MAX)
            # Also after one that was not waited for.
            self._scarcity.is_changing = bool(unfinished(self._cluster, TOPIC))

    async def _change(self) -> None:
        node = self._node()
        topic = None if node is None else node.broker.metadata.image.topics.get(TOPIC)
        if node is None or topic is None:
            return
        factor = self._random.choice(_FACTORS)
        try:
            for command in self._commands(node, topic, factor):
                self._trace.tell("resizer", f"{TOPIC}-{command.partition} to {list(command.nodes)}")
                await self._ask_for(command)
        except KafkaError:
            # Too few nodes are there for the factor.
            return

    def _commands(self, node: SimNode, topic: TopicImage, factor: int) -> Iterator[ChangeReplicas]:
        metadata, live = node.broker.metadata, node.broker.peers.live()
        if self._random.random() >= _WHIM:
            yield from factor_changes(metadata.image, topic, factor, live, self._random)
            return
        for index, partition in enumerate(topic.partitions):
            nodes = self._whim(partition, factor)
            yield ChangeReplicas(topic_id=topic.topic_id, partition=index, nodes=nodes)

    def _whim(self, partition: PartitionImage, factor: int) -> Sequence[NodeId]:
        """Those there are, in any order, and others when there are too few."""
        present, all_nodes = list(partition.wanted), list(self._cluster.all_nodes)
        self._random.shuffle(present)
        others = [node for node in all_nodes if node not in present]
        self._random.shuffle(others)
        return tuple([*present, *others][:factor])

    def _node(self) -> SimNode | None:
        nodes = [node for _, node in sorted(self._cluster.nodes.items()) if node.is_open]
        return self._random.choice(nodes) if nodes else None

    async def _ask_for(self, command: ChangeReplicas) -> None:
        """Until it is so, or faults end."""
        while not self._history.problems and not self._is_so(command):
            node = self._node()
            if node is not None:
                await self._ask(node, command)
            if self._is_stopping:
                return
            await asyncio.sleep(_RETRY_SECONDS)
        self.changes += 1

    async def _ask(self, node: SimNode, command: ChangeReplicas) -> None:
        deadline = asyncio.get_running_loop().time() + _SUBMIT_SECONDS
        try:
            async with asyncio.timeout(_SUBMIT_SECONDS):
                await node.do(node.broker.metadata.submit(command, deadline=deadline))
        except (ProcessDied, TimeoutError):
            pass
        except KafkaError as error:
            if error.code not in _IN_TROUBLE:
                self._history.problems.append(f"change {TOPIC}: {error.code.name}: {error}")
            elif error.code is ErrorCode.INVALID_REPLICA_ASSIGNMENT:
                raise

    def _is_so(self, command: ChangeReplicas) -> bool:
        found = newest_partition(self._cluster, TOPIC, command.partition)
        return found is not None and found.wanted == tuple(command.nodes)

    async def _wait_until_done(self, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while unfinished(self._cluster, TOPIC) and not self._is_stopping:
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(_RETRY_SECONDS)


def newest_partition(cluster: SimCluster, topic: str, index: int) -> PartitionImage | None:
    """As the node knows it that has heard most."""
    found = [
        image.partitions[index]
        for node in cluster.nodes.values()
        if node.is_open
        and (image := node.broker.metadata.image.topics.get(topic)) is not None
        and index < len(image.partitions)
    ]
    return max(found, key=lambda partition: partition.revision, default=None)
