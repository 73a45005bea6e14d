"""Transfers the leadership of a partition to another of its replicas, on request of any node.

The leader decides: only a replica that is connected and in sync may get it, because nothing can be written
while it catches up. Success shows in the leadership table.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from chronik.broker.drain import Drain
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.peers import Peers
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, TopicId

_METHOD = "leadership.transfer"
_TOPIC_ID_BYTES = 16
_INT_BYTES = 4
_REQUEST_BYTES = _TOPIC_ID_BYTES + 2 * _INT_BYTES


class _Asked(NamedTuple):
    """Arguments of a call."""

    key: PartitionKey
    to: NodeId

    def encode(self) -> bytes:
        numbers = (self.key.partition, self.to)
        return self.key.topic_id + b"".join(number.to_bytes(_INT_BYTES, "big") for number in numbers)


class LeadershipTransfer:
    """One per node, for its life."""

    def __init__(self, replicas: ReplicaManager, leadership: LeadershipTable, peers: Peers) -> None:
        self._replicas = replicas
        self._leadership = leadership
        self._peers = peers
        peers.serve(_METHOD, self._on_call)

    async def ask(self, key: PartitionKey, to: NodeId, deadline: float) -> None:
        """Requests the leader of a partition to transfer leadership to `to`; it has started when this
        returns.

        Raises KafkaError LEADER_NOT_AVAILABLE when there is no leader, PREFERRED_LEADER_NOT_AVAILABLE when
        `to` is not in sync, and as `Peers.call` and `raft.group.Group.transfer`.
        """
        leader = self._leadership.leader(*key)
        if leader is None:
            raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, "nobody leads the partition now")
        await self._peers.call(leader.node, _METHOD, _Asked(key, to).encode(), deadline)

    def begin(self, partition: Partition, to: NodeId) -> None:
        """Transfers a partition that this node leads. Raises KafkaError as `ask`."""
        partition.check_leader()
        if to not in self.candidates(partition):
            raise KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, f"node {to} does not keep up")
        partition.transfer(to)

    def candidates(self, partition: Partition) -> list[NodeId]:
        """Returns the nodes that could take over from this node, which leads."""
        live = self._peers.live()
        return [node for node in partition.in_sync() if node in live and self.may_be_heir(node)]

    def may_be_heir(self, node: NodeId) -> bool:
        """True if it is another node, and not on its way out itself: nodes that stop together would hand over
        to each other forever.
        """
        return node != self._peers.node and not self._replicas.is_leaving(node)

    async def drain_all(self, deadline: float) -> list[Partition]:
        """Before this node stops: see `broker.drain`. Returns the partitions it still leads at `deadline`."""
        return await Drain(self._replicas, self._leadership, self, self._peers).run(deadline)

    async def wait_led_by(
        self, wanted: Mapping[PartitionKey, NodeId], deadline: float
    ) -> Mapping[PartitionKey, NodeId]:
        """Waits until the table shows each partition led by the wanted node; returns those for which it
        does not at `deadline`.
        """
        missing = {key: node for key, node in wanted.items() if not self._is_led_by(key, node)}
        done = asyncio.Event()

        def on_leader(key: PartitionKey, leader: Leader) -> None:
            if missing.get(key) == leader.node:
                del missing[key]
            if not missing:
                done.set()

        if missing:
            unsubscribe = self._leadership.subscribe(on_leader)
            try:
                async with asyncio.timeout_at(deadline):
                    await done.wait()
            except TimeoutError:
                pass
            finally:
                unsubscribe()
        return missing

    def _is_led_by(self, key: PartitionKey, node: NodeId) -> bool:
        leader = self._leadership.leader(*key)
        return leader is not None and leader.node == node

    async def _on_call(self, sender: NodeId, request: bytes) -> bytes:
        asked = _decode(request)
        self.begin(self._replicas.replica_by_id(*asked.key), asked.to)
        return b""


def _decode(request: bytes) -> _Asked:
    if len(request) != _REQUEST_BYTES:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "no such question about a leadership")
    partition, to = (
        int.from_bytes(request[start : start + _INT_BYTES], "big")
        for start in range(_TOPIC_ID_BYTES, _REQUEST_BYTES, _INT_BYTES)
    )
    return _Asked(PartitionKey(TopicId(request[:_TOPIC_ID_BYTES]), partition), NodeId(to))
