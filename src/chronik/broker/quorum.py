"""The quorum of `__meta` as its leader sees it (DescribeQuorum, KIP-595); other nodes ask the leader.

Created by the node, which gives it the partition of `__meta`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from chronik.broker.partition import Partition
from chronik.cluster.peers import Peers
from chronik.raft.group import Replica
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset
from chronik.vocab.seams import Clock

_METHOD = "quorum.describe"

_UNKNOWN = -1


class QuorumReplica(NamedTuple):
    """One voter or observer. Times are Unix milliseconds, -1 when they are not known."""

    node: NodeId
    is_voter: bool
    end_offset: int
    heard_ms: int
    caught_up_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumState:
    """The leader first among the replicas."""

    leader: NodeId
    leader_epoch: LeaderEpoch
    high_watermark: Offset
    replicas: tuple[QuorumReplica, ...]


class Quorum:
    """One per node, for its life."""

    def __init__(self, find: Callable[[], Partition], peers: Peers, clock: Clock) -> None:
        """`find` gives the partition of `__meta` on this node, and raises KafkaError while there is none."""
        self._find = find
        self._peers = peers
        self._clock = clock
        peers.serve(_METHOD, self._on_call)

    @property
    def leader(self) -> NodeId | None:
        """The leader of `__meta`, as far as this node knows. Raises KafkaError while it is not open."""
        return self._find().known_leader

    async def describe(self, deadline: float) -> QuorumState:
        """Describes the quorum. `deadline` is on the loop's clock, in seconds. Raises KafkaError
        NOT_LEADER_OR_FOLLOWER while no leader is known, and as `Peers.call`.
        """
        partition = self._find()
        if partition.is_leader:
            return self._state(partition)
        leader = partition.known_leader
        if leader is None or leader == self._peers.node:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "the cluster has no controller now")
        return _decode(await self._peers.call(leader, _METHOD, b"", deadline))

    async def _on_call(self, sender: NodeId, request: bytes) -> bytes:
        partition = self._find()
        partition.check_leader()
        return _encode(self._state(partition))

    def _state(self, partition: Partition) -> QuorumState:
        return QuorumState(
            leader=self._peers.node,
            leader_epoch=partition.leader_epoch,
            high_watermark=partition.high_watermark,
            replicas=tuple(self._replica(replica) for replica in partition.replica_progress()),
        )

    def _replica(self, replica: Replica) -> QuorumReplica:
        node, is_voter, end_offset = replica.node, replica.is_voter, replica.end_offset
        if node == self._peers.node:
            # A leader is always up with itself.
            now_ms = self._clock.now_ms()
            return QuorumReplica(node, is_voter, end_offset, now_ms, now_ms)
        heard_ms, caught_up_ms = self._wall_ms(replica.last_contact_ms), self._wall_ms(replica.caught_up_ms)
        return QuorumReplica(node, is_voter, end_offset, heard_ms, caught_up_ms)

    def _wall_ms(self, monotonic_ms: int) -> int:
        if monotonic_ms == _UNKNOWN:
            return _UNKNOWN
        return self._clock.now_ms() - (self._clock.monotonic_ms() - monotonic_ms)


def _encode(state: QuorumState) -> bytes:
    return json.dumps(asdict(state)).encode()


def _decode(answer: bytes) -> QuorumState:
    """Decodes an answer; fields of a later release are skipped. Raises KafkaError for a malformed one."""
    try:
        fields = json.loads(answer)
        return QuorumState(
            leader=NodeId(fields["leader"]),
            leader_epoch=LeaderEpoch(fields["leader_epoch"]),
            high_watermark=Offset(fields["high_watermark"]),
            replicas=tuple(
                QuorumReplica(*replica[: len(QuorumReplica._fields)]) for replica in fields["replicas"]
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        message = f"the controller's answer cannot be read: {error!r}"
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, message) from error
