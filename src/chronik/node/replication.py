"""Creates a node's replicas: combines log, store and group, and starts first leaders."""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from chronik.cluster.metadata.topics import TopicPartitionImage
from chronik.log.damage import Damage, DamageKind
from chronik.log.names import LOG, offset_name
from chronik.log.partition_log import PartitionLog
from chronik.raft.core.memberships import Memberships
from chronik.raft.core.types import (
    BEFORE_FIRST,
    FIRST_TERM,
    NO_TERM,
    HardState,
    Membership,
    ReplicaId,
    founding_replicas,
)
from chronik.raft.directories import replica_directory
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting, RestartHooks
from chronik.raft.markers import MarkerBase
from chronik.raft.persistence import FlushPolicy
from chronik.raft.reconcile import Finding, Reconciled, adopt, reconcile
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from chronik.vocab.invariant import invariant

_log = logging.getLogger(__name__)

# An only replica that lost its store knows the terms in which its log got records. Where it was alone from
# the start it led no others than its node counts; where others were members they were elected, too, and
# clients that saw a later term would not believe an earlier one. So many without a record are none.
_UNRECORDED_TERMS = 1_000


class ReplicaHost(Protocol):
    """Who runs the groups."""

    def add(self, group: ReplicatedGroup) -> None: ...

    def remove(self, group: ReplicatedGroup) -> None: ...

    def group(self, group_id: GroupId) -> ReplicatedGroup | None: ...

    def expect(self, group: ReplicatedGroup, replicas: frozenset[NodeId]) -> None:
        """The replicas of a group are to be these, of which some may not be members yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReplica:
    """The parameters of a replica that does not exist yet."""

    name: TopicPartition
    topic_id: TopicId
    membership: Membership
    # Which of the node's replicas of the partition: 0 for a founder's, see `raft.core.types.ReplicaId`.
    revision: int = 0
    # No other node has a replica, or is to get one, by the metadata.
    is_only: bool = False
    # The partition has had other replicas, which may have led it.
    is_changed: bool = False
    # Leads the first term without an election; None where an election is needed.
    first_leader: NodeId | None
    first_epoch: LeaderEpoch = FIRST_TERM
    # What an only replica leads after, should the store not know it: not below any epoch it had before.
    least_epoch: LeaderEpoch = NO_TERM
    hooks: RestartHooks | None = None

    @property
    def group_id(self) -> GroupId:
        return GroupId(self.topic_id, self.name.partition)


class Replication:
    """One per node, for the node's life."""

    def __init__(self, host: ReplicaHost, setting: GroupSetting) -> None:
        self.host = host
        self._setting = setting
        # Of this node alone, as of the last only replica: most have the same, which takes 600 bytes.
        self._alone = Membership(voters=frozenset({setting.node}))
        # Replicas that were opened and have not begun.
        self._unbegun: set[GroupId] = set()
        # Replicas whose incomplete log was set aside, which was reported before.
        self._set_aside: set[GroupId] = set()

    @property
    def directory_id(self) -> str:
        return self._setting.directory_id

    @property
    def node(self) -> NodeId:
        return self._setting.node

    @property
    def store(self) -> StateStore:
        return self._setting.store

    def new_replica(self, created: TopicPartitionImage, earlier_epoch: LeaderEpoch | None) -> NewReplica:
        """Returns the parameters by the metadata. `earlier_epoch`: see
        `data_directory.earlier_leader_epoch`.
        """
        image = created.image
        least = NO_TERM
        if earlier_epoch is not None:
            # Such a release added the topic's first epoch, less one, to its own.
            least = LeaderEpoch(earlier_epoch + image.first_epoch - FIRST_TERM)
        return NewReplica(
            name=TopicPartition(created.topic.name, created.partition),
            topic_id=created.topic.topic_id,
            membership=Membership(
                voters=frozenset(image.founders),
                replicas=founding_replicas(dict(zip(image.founders, image.directories, strict=True))),
            ),
            revision=image.revision_of(self._setting.node) or 0,
            is_only=image.nodes == (self._setting.node,),
            is_changed=image.change is not None,
            first_leader=image.first_leader,
            first_epoch=image.first_epoch,
            least_epoch=least,
        )

    def open(
        self,
        new: NewReplica,
        log: PartitionLog,
        write_caching: FlushPolicy | None,
        on_leader_found: Callable[[], None],
    ) -> ReplicatedGroup:
        """Returns the group of a replica, which receives nothing before `begin`, and leads if it is the only
        member. Raises OSError.

        `on_leader_found` is called when a replica whose log is incomplete can have another one.
        """
        found = Finding.SOUND
        if self.is_only_replica(new):
            self._prepare_only_replica(new, log)
        else:
            found = self._prepare(new, log)
            if not self._has_begun(new, log):
                self._unbegun.add(new.group_id)
        group = ReplicatedGroup(
            new.group_id,
            log,
            self._setting,
            write_caching=write_caching,
            hooks=new.hooks,
            first_epoch=new.first_epoch,
            on_leader_found=on_leader_found if found is Finding.INCOMPLETE else None,
        )
        group.lead_alone()
        return group

    def begin(self, group: ReplicatedGroup, new: NewReplica) -> None:
        """Its partition exists: from now on the group takes part."""
        # One that was removed and made again begins nothing: the group goes on without it.
        is_new_founder = group.id in self._unbegun and new.revision == 0
        self._unbegun.discard(group.id)
        if is_new_founder and new.first_leader is not None:
            group.bootstrap(new.first_leader)
        self.host.add(group)

    def on_closed(self, log_ends: Mapping[GroupId, Offset]) -> None:
        """These logs were closed cleanly, durable up to the given ends. Raises OSError."""
        self.store.raise_log_ends(log_ends)

    def end(self, group: ReplicatedGroup) -> None:
        """The group is closed, and no longer takes part."""
        self.host.remove(group)

    def on_set_aside(self, group: ReplicatedGroup) -> None:
        """The log is about to be set aside: that it is missing at the next opening must count as a
        loss, which makes this another replica. Durable. Raises OSError.
        """
        self.store.raise_log_ends({group.id: max(group.synced_offset, Offset(1))})
        self.store.sync_now()
        self._set_aside.add(group.id)

    def forget(self, group: ReplicatedGroup) -> None:
        """The partition is deleted. If the store cannot record it, the group is forgotten at the next
        start.
        """
        with suppress(OSError):
            self.store.forget(group.id)

    def discard(self, group: GroupId) -> None:
        """Forgets a replica durably, before its files are removed. Raises OSError."""
        self.store.forget(group)
        self.store.sync_now()

    def revision_here(self, group: GroupId) -> int | None:
        """Returns the revision of this node's replica; None when it has none that took part."""
        state = self.store.get(group)
        return None if state is None else state.revision

    def forget_others(self, known: Collection[GroupId]) -> None:
        """Drops from the store the groups in which the metadata gives this node no replica; durably, because
        their files are removed next. If the store has no room to record it, they are forgotten at a later
        start: a replica that is made before that has a later revision.
        """
        unknown = [group for group in self.store.groups() if group not in known]
        with suppress(OSError):
            for group in unknown:
                self.store.forget(group)
            if unknown:
                self.store.sync_now()

    def _report(self, new: NewReplica, log: PartitionLog, found: Reconciled) -> None:
        name = str(new.name)
        if found.finding is Finding.INCOMPLETE:
            lost = [one for one in log.damages.known() if one.is_loss]
            if not any(one.first_offset <= found.end_offset < one.end_offset for one in lost):
                # The first segments, after a crash: the log alone cannot distinguish that from a reset.
                path = f"{name}/{offset_name(found.end_offset, LOG)}"
                first, end = found.end_offset, log.first_offset
                log.damages.report(Damage(DamageKind.MISSING_SEGMENT, path, 0, first, end))
            lost = [one for one in log.damages.known() if one.is_loss]
            ranges = [f"{one.first_offset} to {one.end_offset}" for one in lost]
            _log.error(
                "replica lost records inside its log: it neither votes nor leads, and keeps what it has; "
                "when there is a leader it sets the log aside and takes a whole copy",
                extra={"partition": name, "lost": ", ".join(ranges), "end_offset": log.end_offset},
            )
        elif found.is_loss and new.group_id in self._set_aside:
            self._set_aside.discard(new.group_id)
            _log.info("replica takes a whole copy of its log from the leader", extra={"partition": name})
        elif found.is_loss:
            _log.error(
                "replica lost records: they were durable; it is a learner until the leader has sent them",
                extra={
                    "partition": name,
                    "expected_end_offset": found.expected_offset,
                    "found_end_offset": found.end_offset,
                    "finding": found.finding.value,
                },
            )

    def _begin_again(self, new: NewReplica, log: PartitionLog) -> None:
        """The beginning of the log depends on a snapshot that is gone."""
        extra = {"partition": str(new.name), "log_start_offset": log.start_offset}
        _log.error(
            "replica lost its snapshot: it is a learner until the leader has sent another", extra=extra
        )
        self.store.record_loss(new.group_id, Offset(0))
        self.store.restart(new.group_id, _beginning(new))
        self.store.sync_now()
        log.reset(0)

    def is_only_replica(self, new: NewReplica) -> bool:
        """The store may know it by another name, when the metadata bears it out."""
        state = self.store.get(new.group_id)
        if state is None:
            return new.is_only
        known = Memberships(state.markers.memberships())
        named = known.current.replica(self._setting.node) if new.is_only else None
        return known.is_alone(named or self._own_replica(new), BEFORE_FIRST)

    def _own_replica(self, new: NewReplica) -> ReplicaId:
        """Returns the name of this replica in memberships."""
        state, setting = self.store.get(new.group_id), self._setting
        losses, revision = (0, new.revision) if state is None else (state.losses, state.revision)
        return ReplicaId(setting.node, replica_directory(setting.directory_id, losses), revision)

    def _prepare_only_replica(self, new: NewReplica, log: PartitionLog) -> None:
        """Have the store agree with the log."""
        own = self._own_replica(new)
        if own not in self._alone.replicas:
            self._alone = Membership(voters=frozenset({own.node}), replicas=frozenset({own}))
        least_epoch = new.least_epoch
        if new.is_changed and self.store.get(new.group_id) is None:
            least_epoch = max(least_epoch, LeaderEpoch(log.latest_epoch + _UNRECORDED_TERMS))
        found = adopt(log, self.store, new.group_id, self._alone, least_epoch, own.revision)
        if found.is_loss:
            _log.error(
                "records lost: they were durable, and this was the only replica",
                extra={
                    "partition": str(new.name),
                    "expected_end_offset": found.expected_offset,
                    "found_end_offset": found.end_offset,
                },
            )
        with suppress(OSError):
            self.store.raise_log_ends({new.group_id: log.synced_offset})

    def _prepare(self, new: NewReplica, log: PartitionLog) -> Finding:
        """Have log and store agree; what became of the log."""
        group = new.group_id
        finding = Finding.SOUND
        if self.store.get(group) is None:
            if log.end_offset > 0:
                # The log was created and written to, and a crash lost the store's record of it: nothing was
                # acknowledged. Or the store was lost, and this node is another replica to the group.
                extra = {"partition": str(new.name), "end_offset": log.end_offset}
                _log.warning("records dropped: their terms are not known; the leader sends them", extra=extra)
                log.reset(0)
            self.store.create(group, _beginning(new), new.revision)
        else:
            # The metadata's log depends on a snapshot, and on its own rules: records missing from it abort
            # the start.
            found = reconcile(log, self.store, group, may_be_incomplete=new.hooks is not None)
            finding = found.finding
            self._report(new, log, found)
            if new.hooks is not None and log.start_offset > new.hooks.snapshot()[0]:
                self._begin_again(new, log)
        with suppress(OSError):
            # Before it promises anything: a crash may have lost the store's record.
            self.store.raise_log_ends({group: log.synced_offset})
        return finding

    def _has_begun(self, new: NewReplica, log: PartitionLog) -> bool:
        """True if the replica ever took part in its group."""
        state = self.store.get(new.group_id)
        invariant(state is not None, "no state of {}", new.group_id)
        assert state is not None
        return state.hard_state != HardState() or state.markers.last is not None or log.end_offset > 0


def _beginning(new: NewReplica) -> MarkerBase:
    """Returns the base of an empty log."""
    return MarkerBase(
        index=BEFORE_FIRST,
        offset=Offset(0),
        term=NO_TERM,
        membership=new.membership,
        membership_index=BEFORE_FIRST,
    )
