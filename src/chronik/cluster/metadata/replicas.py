"""Where a partition lives: its founders, its present replicas, and its target. `replica_decisions` decides.

A replica is named by its node and by the change of the partition that added it, because one that was removed
has forgotten its term and its vote: created again under the same name it would vote as if it had never voted.
In memberships the data directory is part of the name as well (`raft.core.state.ReplicaId`); the metadata does
not follow disks.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from chronik.cluster.json_codec import Plain
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, TopicId

# From this level of the metadata on replicas can change.
REPLICAS_LEVEL = 2

# What founders are of: no change has added them.
FOUNDING_REVISION = 0


class ReplicaRef(NamedTuple):
    """A replica by its node and the revision that added it: 0 for founders, never the same again."""

    node: NodeId
    revision: int = FOUNDING_REVISION


class PartitionChange(NamedTuple):
    """The result of the last change of a partition's replicas."""

    # All that may hold data, leaving ones last. Invariant: one a node, and not empty.
    replicas: tuple[ReplicaRef, ...]
    # The nodes that shall hold data. Empty: those of `replicas`.
    target: tuple[NodeId, ...]
    # Counts the partition's changes, from 1 on.
    revision: int


class PartitionImage(NamedTuple):
    """Where a partition lives.

    The leadership table knows its present leader, the group its voters; `first_leader`, one of the founders,
    led its first epoch.
    """

    # Between nodes it has the name that it had before replicas could change.
    founders: Annotated[tuple[NodeId, ...], Plain(name="replicas")]
    first_leader: NodeId
    # The data directory of each founder, in their order; empty when the record had none.
    directories: tuple[str, ...] = ()
    first_epoch: LeaderEpoch = FIRST_EPOCH
    # None, as of nearly all partitions: the founders are its replicas.
    change: Annotated[PartitionChange | None, Plain(is_omitted=True)] = None

    @property
    def replicas(self) -> tuple[ReplicaRef, ...]:
        """All replicas that may hold data."""
        return tuple(map(ReplicaRef, self.founders)) if self.change is None else self.change.replicas

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes of `replicas`, in their order. Clients see them: while replicas change, old and new
        ones.
        """
        if self.change is None:
            return self.founders
        return tuple(replica.node for replica in self.change.replicas)

    @property
    def target(self) -> tuple[NodeId, ...]:
        """The nodes that shall hold data. Empty: those of `replicas`."""
        return () if self.change is None else self.change.target

    @property
    def wanted(self) -> tuple[NodeId, ...]:
        """The nodes that shall hold data, whether they do already or not; the preferred leader is first."""
        return self.target or self.nodes

    @property
    def revision(self) -> int:
        """How often the replicas have changed."""
        return FOUNDING_REVISION if self.change is None else self.change.revision

    @property
    def preferred_leader(self) -> NodeId:
        """The leader when all replicas are live."""
        return self.first_leader if self.change is None else self.wanted[0]

    def revision_of(self, node: NodeId) -> int | None:
        """Returns the revision of the replica of `node`; None when it has none."""
        return next((replica.revision for replica in self.replicas if replica.node == node), None)

    def changed(
        self, replicas: tuple[ReplicaRef, ...], target: tuple[NodeId, ...], revision: int
    ) -> "PartitionImage":
        """The partition after a change."""
        return self._replace(change=PartitionChange(replicas, target, revision))


class PartitionChanged(NamedTuple):
    """The replicas of a partition, or its target, have changed.

    A full state: one record replaces all changes before it.
    """

    topic_id: TopicId
    partition: int
    replicas: tuple[ReplicaRef, ...]
    target: tuple[NodeId, ...]
    # One above the last one; replicas that this change adds have it too.
    revision: int


# Commands.


class ChangeReplicas(NamedTuple):
    """Places a partition on `nodes`, of which the first shall lead.

    A new node is a replica at once; one to be removed stays until a leader reports that its group has removed
    it (`ReportMembers`).
    """

    topic_id: TopicId
    partition: int
    nodes: Sequence[NodeId]


class ReportMembers(NamedTuple):
    """A leader's group has no other members than `members`, and a majority confirmed it after `revision`
    was known: a replica that is neither a member nor in the target may delete its data.
    """

    topic_id: TopicId
    partition: int
    revision: int
    members: Sequence[NodeId]
