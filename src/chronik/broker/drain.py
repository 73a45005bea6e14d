"""Drains a node before it stops: transfers each leadership to a replica that is in sync.

Clients then find a live leader, instead of waiting for an election. Runs once, before the listener closes;
partitions without a candidate stay. `__meta` is its owner's affair.
"""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.peers import Peers
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId

if TYPE_CHECKING:
    from chronik.broker.leadership_transfer import LeadershipTransfer

_log = logging.getLogger(__name__)

# Under way at once: each stops its partition's producers for a round trip, and all share the links.
_AT_ONCE = 256

# A transfer that has not succeeded after this time is started again, perhaps to another replica.
_RETRY_SECONDS = 0.5

# Without a notification, transfers are checked again after this time.
_LOOK_SECONDS = 0.05


class Drain:
    """Made for one stop."""

    def __init__(
        self,
        replicas: ReplicaManager,
        leadership: LeadershipTable,
        transfers: "LeadershipTransfer",
        peers: Peers,
    ) -> None:
        self._replicas = replicas
        self._leadership = leadership
        self._transfers = transfers
        self._peers = peers
        # Transfers in progress: partition -> start time of the latest attempt.
        self._begun: dict[Partition, float] = {}
        # Leaderships that each node has or is being given.
        self._load: Counter[NodeId] = Counter()
        self._begun_count = 0

    async def run(self, deadline: float) -> list[Partition]:
        """Transfers leaderships until every partition has another leader, or `deadline` on the loop's clock
        in seconds.

        Returns the partitions that this node still leads although others have replicas.
        """
        started = asyncio.get_running_loop().time()
        self._load.update({node: len(self._leadership.led_by(node)) for node in self._peers.live()})
        news = asyncio.Event()

        def on_leader(key: PartitionKey, leader: Leader) -> None:
            news.set()

        unsubscribe = self._leadership.subscribe(on_leader)
        try:
            while self._step() and asyncio.get_running_loop().time() < deadline:
                await _wait(news, deadline)
        finally:
            unsubscribe()
        left = [partition for partition in self._replicas.led() if partition.is_replicated]
        took_ms = round((asyncio.get_running_loop().time() - started) * 1000)
        extra = {"transfers": self._begun_count, "left": len(left), "took_ms": took_ms}
        _log.info("leaderships transferred before shutdown", extra=extra)
        return left

    def _step(self) -> bool:
        """Starts the transfers that can be started; returns whether anything is left to wait for."""
        now = asyncio.get_running_loop().time()
        for partition in [one for one in self._begun if self._is_taken(one)]:
            del self._begun[partition]
        hopeful = [one for one in self._replicas.led() if self._has_heir(one)]
        under_way = {one for one, begun in self._begun.items() if now - begun < _RETRY_SECONDS}
        due = [one for one in hopeful if one not in under_way]
        for partition in due[: max(0, _AT_ONCE - len(under_way))]:
            self._begin(partition, now)
        return bool(hopeful or self._begun)

    def _begin(self, partition: Partition, now: float) -> None:
        candidates = self._transfers.candidates(partition)
        if not candidates:
            # The connected replicas lag; they may still catch up.
            return
        transfer_target = min(
            candidates, key=lambda node: (not partition.has_committed(node), self._load[node])
        )
        try:
            self._transfers.begin(partition, transfer_target)
        except KafkaError:
            # It leads no more, or hands over already.
            pass
        else:
            self._load[transfer_target] += 1
            self._begun_count += 1
        self._begun[partition] = now

    def _has_heir(self, partition: Partition) -> bool:
        live = self._peers.live()
        return any(node in live and self._transfers.may_be_heir(node) for node in partition.replicas)

    def _is_taken(self, partition: Partition) -> bool:
        if not partition.is_open:
            return True
        if partition.is_leader:
            return False
        leader = self._leadership.leader(partition.topic_id, partition.name.partition)
        return leader is not None and leader.node != self._peers.node


async def _wait(news: asyncio.Event, deadline: float) -> None:
    news.clear()
    soon = asyncio.get_running_loop().time() + _LOOK_SECONDS
    try:
        async with asyncio.timeout_at(min(soon, deadline)):
            await news.wait()
    except TimeoutError:
        pass
