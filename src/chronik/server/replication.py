"""How replicas of a node are made: log, store and group brought together, first leaders begun.

Made for a node of a cluster before its first replica is opened. A node alone has none.
"""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from chronik.cluster.image import TopicPartitionImage
from chronik.log.partition_log import PartitionLog
from chronik.raft.core.types import BEFORE_FIRST, FIRST_TERM, NO_TERM, HardState, Membership
from chronik.raft.group_id import GroupId
from chronik.raft.group_setting import GroupSetting, RestartHooks
from chronik.raft.host import RaftHost
from chronik.raft.markers import MarkerBase
from chronik.raft.reconcile import Reconciled, reconcile
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.solo import FlushPolicy
from chronik.raft.state_store import StateStore
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, TopicPartition

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReplica:
    """What a replica is made as, where it is not there yet."""

    name: TopicPartition
    topic_id: TopicId
    membership: Membership
    # Leads the first term without an election; None where somebody must be elected.
    first_leader: NodeId | None
    first_epoch: LeaderEpoch = FIRST_TERM
    hooks: RestartHooks | None = None

    @property
    def group_id(self) -> GroupId:
        return GroupId(self.topic_id, self.name.partition)


class Replication:
    """One per node of a cluster, for the node's life."""

    def __init__(self, host: RaftHost, setting: GroupSetting) -> None:
        self.host = host
        self._setting = setting
        # Replicas that were opened and have not begun.
        self._unbegun: set[GroupId] = set()

    @property
    def directory_id(self) -> str:
        return self._setting.directory_id

    @property
    def store(self) -> StateStore:
        return self._setting.store

    def new_replica(self, created: TopicPartitionImage) -> NewReplica:
        """As the metadata describes it."""
        image = created.image
        return NewReplica(
            name=TopicPartition(created.topic.name, created.partition),
            topic_id=created.topic.topic_id,
            membership=Membership(
                voters=frozenset(image.replicas),
                directories=frozenset(zip(image.replicas, image.directories, strict=True)),
            ),
            first_leader=image.first_leader,
            first_epoch=image.first_epoch,
        )

    def open(self, new: NewReplica, log: PartitionLog, write_caching: FlushPolicy | None) -> ReplicatedGroup:
        """The group of a replica, which hears nobody before `begin`. Raises OSError."""
        if not self._prepare(new, log):
            self._unbegun.add(new.group_id)
        return ReplicatedGroup(
            new.group_id,
            log,
            self._setting,
            write_caching=write_caching,
            hooks=new.hooks,
            first_epoch=new.first_epoch,
        )

    def begin(self, group: ReplicatedGroup, new: NewReplica) -> None:
        """Its partition is there: from now on it takes part."""
        if group.id in self._unbegun:
            self._unbegun.discard(group.id)
            if new.first_leader is not None:
                group.bootstrap(new.first_leader)
        self.host.add(group)

    def on_closed(self, log_ends: Mapping[GroupId, Offset]) -> None:
        """These logs were closed cleanly, durable up to there. Raises OSError."""
        self.store.raise_log_ends(log_ends)

    def end(self, group: ReplicatedGroup) -> None:
        """It is closed, and takes no part any more."""
        self.host.remove(group)

    def forget(self, group: ReplicatedGroup) -> None:
        """It is deleted. What the store does not take it forgets at the next start."""
        with suppress(OSError):
            self.store.forget(group.id)

    def forget_others(self, known: Collection[GroupId]) -> None:
        """Drop what the store has of groups that the metadata does not know."""
        for group in list(self.store.groups()):
            if group not in known:
                self.store.forget(group)

    def _report(self, name: TopicPartition, found: Reconciled) -> None:
        if found.is_loss:
            _log.error(
                "replica lost records: they were durable; it is a learner until the leader has sent them",
                extra={
                    "partition": str(name),
                    "expected_end_offset": found.expected_offset,
                    "found_end_offset": found.end_offset,
                    "finding": found.finding.value,
                },
            )

    def _begin_again(self, new: NewReplica, log: PartitionLog) -> None:
        """What the log begins with stands on a snapshot that is gone."""
        extra = {"partition": str(new.name), "log_start_offset": log.start_offset}
        _log.error(
            "replica lost its snapshot: it is a learner until the leader has sent another", extra=extra
        )
        self.store.record_loss(new.group_id, Offset(0))
        self.store.restart(new.group_id, _beginning(new))
        self.store.sync_now()
        log.reset(0)

    def _prepare(self, new: NewReplica, log: PartitionLog) -> bool:
        """Have log and store agree; whether the replica ever took part in its group."""
        group = new.group_id
        state = self.store.get(group)
        if state is None:
            if log.end_offset > 0:
                # It was made and written to, and a crash took the store's word of it: nobody was told. Or the
                # store was lost, and this node is another one to the group.
                extra = {"partition": str(new.name), "end_offset": log.end_offset}
                _log.warning("records dropped: their terms are not known; the leader sends them", extra=extra)
                log.reset(0)
            state = self.store.create(group, _beginning(new))
        else:
            self._report(new.name, reconcile(log, self.store, group))
            if new.hooks is not None and log.start_offset > new.hooks.snapshot()[0]:
                self._begin_again(new, log)
        with suppress(OSError):
            # Before it promises anything: a crash may have taken what the store was told.
            self.store.raise_log_ends({group: log.synced_offset})
        return state.hard_state != HardState() or state.markers.last is not None or log.end_offset > 0


def _beginning(new: NewReplica) -> MarkerBase:
    """Of a log that has nothing yet."""
    return MarkerBase(
        index=BEFORE_FIRST,
        offset=Offset(0),
        term=NO_TERM,
        membership=new.membership,
        membership_index=BEFORE_FIRST,
    )
