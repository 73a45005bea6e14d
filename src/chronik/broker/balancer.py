"""Returns leaderships to the preferred leaders of partitions, a few at a time.

Placement spreads first leaders evenly; failovers undo that, and a node that is back leads nothing. Every
`leader.imbalance.check.interval.seconds` each node checks the partitions it leads. One task per node.
"""

import asyncio
import logging
from collections.abc import Callable

from chronik.broker.leadership_transfer import LeadershipTransfer
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager
from chronik.cluster.image import ClusterImage
from chronik.cluster.peers import Peers
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NO_NODE, NodeId

_log = logging.getLogger(__name__)

# A transfer stops a partition's producers for a round trip; this many in a second go unnoticed, and a
# thousand are done in twenty seconds.
_PER_SECOND = 50

# A transfer that did not come about, because the other node is slow for example, is not tried again before.
_RETRY_SECONDS = 60.0


class Balancer:
    """Made, started and stopped by the node."""

    def __init__(
        self,
        *,
        replicas: ReplicaManager,
        transfers: LeadershipTransfer,
        peers: Peers,
        image: Callable[[], ClusterImage],
        settings: BrokerConfig,
    ) -> None:
        self._replicas = replicas
        self._transfers = transfers
        self._peers = peers
        self._image = image
        self._settings = settings
        # The live nodes at the last check: a node that has just started is given nothing until the next.
        self._live_before: frozenset[NodeId] = frozenset()
        # When this node last started a transfer of a partition that it still leads.
        self._begun: dict[Partition, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="leadership-balancer")

    async def stop(self) -> None:
        """Stops the task; no transfer starts after this."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.int("leader.imbalance.check.interval.seconds"))
            try:
                await self.run_once()
            except Exception as error:  # it must not be the last time
                _log.critical("could not check leader balance; the next check tries again", exc_info=error)

    async def run_once(self) -> int:
        """Runs one check; returns how many transfers it started."""
        live = self._peers.live()
        steady, self._live_before = live & self._live_before, live
        if not self._settings.bool("auto.leader.rebalance.enable"):
            return 0
        count = 0
        self._begun = {one: begun for one, begun in self._begun.items() if one.is_leader}
        for partition in self._replicas.led():
            preferred = self._preferred(partition)
            # Nothing can be written while the target catches up, so it must have all that is committed.
            if preferred in steady and self._is_due(partition) and partition.has_committed(preferred):
                count += self._begin(partition, preferred)
                await asyncio.sleep(1 / _PER_SECOND)
        if count:
            _log.info("leaderships returned to their preferred replicas", extra={"partitions": count})
        return count

    def _preferred(self, partition: Partition) -> NodeId:
        """The preferred leader of a partition that this node leads; NO_NODE when it is this node."""
        topic = self._image().topics_by_id.get(partition.topic_id)
        if topic is None or not partition.is_leader:
            return NO_NODE
        first = topic.partitions[partition.name.partition].preferred_leader
        return NO_NODE if first == self._peers.node else first

    def _is_due(self, partition: Partition) -> bool:
        begun = self._begun.get(partition)
        return begun is None or asyncio.get_running_loop().time() - begun >= _RETRY_SECONDS

    def _begin(self, partition: Partition, preferred: NodeId) -> bool:
        self._begun[partition] = asyncio.get_running_loop().time()
        try:
            self._transfers.begin(partition, preferred)
        except KafkaError as error:
            extra = {"partition": str(partition.name), "to": preferred, "error": str(error)}
            _log.debug("leadership not transferred", extra=extra)
            return False
        return True
