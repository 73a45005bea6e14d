"""Moves the members of groups towards the metadata's target: one step of a group at a time.

Replicas whose node came back with another data directory, or that lost files, are removed from the voters and
added again when caught up: their votes and acknowledgements went with their files, so they must not vote as
if they remembered (KIP-853; decisions 0009, "Lost disks", and 0013). Partitions whose replicas the metadata
changed get other members (decision 0019, "Replicas"). The leader of each group does it; `membership_steps`
decides the next step. `broker.replica_manager` creates and deletes this node's own replicas by the metadata.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, assert_never

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.replicas import PartitionImage, ReportMembers
from chronik.node.loss_reports import LossReports
from chronik.node.member_reports import MemberReports
from chronik.node.membership_steps import Propose, Report, Situation, Step, Transfer, Wait, next_steps
from chronik.node.stalled_changes import StalledChanges
from chronik.raft.core.types import Membership
from chronik.raft.group import GroupId
from chronik.raft.host import RaftHost
from chronik.raft.replicated import ReplicatedGroup
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId

_log = logging.getLogger(__name__)

# A replaced disk is a matter of minutes; looking costs a comparison for each led group.
LOOK_SECONDS = 0.5


class _Judged(NamedTuple):
    """The inputs of a check that found nothing to do in a group."""

    membership: Membership
    # The nodes and the topics of the image, each one object until something of them changes.
    brokers: object
    topics: object
    partition: PartitionImage | None


class _Repeated(NamedTuple):
    """A membership that this node put into a group's log again: in which term, knowing which revision."""

    epoch: LeaderEpoch
    membership: Membership
    revision: int


class ReplicaReconciler:
    """One per node of a cluster; created, started and ended with it."""

    def __init__(
        self,
        host: RaftHost,
        image: Callable[[], ClusterImage],
        reports: LossReports,
        submit: Callable[[ReportMembers], Awaitable[object]],
        on_look: Callable[[], None] | None = None,
    ) -> None:
        """`submit` has the controller carry out a command; `on_look` is called as often as this looks at the
        groups.
        """
        self._host = host
        self._on_look = on_look
        self._reports = reports
        self._image = image
        self._member_reports = MemberReports(submit)
        self.stalled = StalledChanges()
        self._repeated: dict[GroupId, _Repeated] = {}
        self._judged: dict[GroupId, _Judged] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._on_timer)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._reports.close()
        self._member_reports.close()

    def _on_timer(self) -> None:
        self.start()
        self.look()
        if self._on_look is not None:
            self._on_look()

    def look(self) -> None:
        """Takes one step for each group that needs one."""
        image = self._image()
        registered: dict[NodeId, str] | None = None
        groups = self._host.groups()
        self._reports.report(groups)
        if not self._reports.is_empty:
            self._reports.forget_except(groups)
        if len(self._judged) > len(groups):
            # Of some that are gone.
            self._judged.clear()
            self._repeated.clear()
        brokers, topics = image.brokers, image.topics_by_id
        judged = self._judged if self._reports.is_empty else {}
        self.stalled.begin_look()
        for group in groups:
            if not group.is_leader or not group.is_own_term_committed:
                continue
            known = judged.get(group.id)
            if known is not None and known.membership is group.membership and known.brokers is brokers:
                # Thousands of groups are in this state, and mostly all topics are the same object, too.
                if known.topics is topics:
                    continue
                if _partition(image, group.id) == known.partition:
                    self._judged[group.id] = known._replace(topics=topics)
                    continue
            if registered is None:
                registered = {node: broker.directory_id for node, broker in brokers.items()}
            self._step(group, image, registered)
        self.stalled.end_look()

    def _step(self, group: ReplicatedGroup, image: ClusterImage, registered: Mapping[NodeId, str]) -> None:
        if group.is_membership_pending or group.is_handing_over:
            self.stalled.note(group.id, "the last change of its members is not committed")
            return
        situation = self._situation(group, image, registered)
        is_anything_due, reason = False, ""
        for step in next_steps(situation, _Followers(group, self._host)):
            is_anything_due = True
            if self._carry_out(group, situation, step):
                self.stalled.forget(group.id)
                return
            if isinstance(step, Wait):
                reason = step.reason
        if is_anything_due:
            reason = reason or self._member_reports.failure(group.id) or "its next step is refused as yet"
            self.stalled.note(group.id, reason)
        elif not group.membership.learners:
            self._judged[group.id] = _Judged(
                group.membership, image.brokers, image.topics_by_id, situation.image
            )
            self._repeated.pop(group.id, None)

    def _situation(
        self, group: ReplicatedGroup, image: ClusterImage, registered: Mapping[NodeId, str]
    ) -> Situation:
        partition, membership = _partition(image, group.id), group.membership
        repeated = self._repeated.get(group.id)
        is_repeated = repeated is not None and repeated[:2] == (group.leader_epoch, membership)
        revision = 0 if partition is None else partition.revision
        return Situation(
            leader=self._host.node,
            membership=membership,
            registered=registered,
            reported={
                node: directory
                for node in membership.members
                if (directory := self._reports.directory(group.id, node)) is not None
            },
            image=partition,
            is_repeated=is_repeated,
            is_confirmed=is_repeated and repeated is not None and repeated.revision == revision,
        )

    def _carry_out(self, group: ReplicatedGroup, situation: Situation, step: Step) -> bool:
        """True if it was done, or begun."""
        match step:
            case Propose():
                return self._propose(group, situation, step)
            case Transfer():
                return _transfer(group, step.to)
            case Report():
                return self._report(group.id, situation, step.members)
            case Wait():
                return False
            case _:
                assert_never(step)

    def _propose(self, group: ReplicatedGroup, situation: Situation, step: Propose) -> bool:
        if not group.propose_membership(step.membership):
            return False
        if step.membership is situation.membership:
            revision = 0 if situation.image is None else situation.image.revision
            self._repeated[group.id] = _Repeated(group.leader_epoch, step.membership, revision)
        else:
            extra = {
                "group": str(group.id),
                "voters": sorted(step.membership.voters),
                "learners": sorted(step.membership.learners),
                "reason": step.what,
            }
            _log.info("membership changed", extra=extra)
        return True

    def _report(self, group: GroupId, situation: Situation, members: tuple[NodeId, ...]) -> bool:
        assert situation.image is not None
        command = ReportMembers(
            topic_id=group.topic_id,
            partition=group.partition,
            revision=situation.image.revision,
            members=members,
        )
        return self._member_reports.report(group, command)


class _Followers:
    """Implements `membership_steps.Replicas`."""

    def __init__(self, group: ReplicatedGroup, host: RaftHost) -> None:
        self._group = group
        self._host = host

    def is_up(self, node: NodeId) -> bool:
        return node == self._host.node or self._host.is_up(node)

    def has_membership(self, node: NodeId) -> bool:
        return self._group.has_membership(node)

    def is_in_sync(self, node: NodeId) -> bool:
        return node not in self._group.lagging()


def _transfer(group: ReplicatedGroup, to: NodeId) -> bool:
    try:
        group.transfer(to)
    except KafkaError:
        return False
    extra = {"group": str(group.id), "to": to}
    _log.info("leadership transferred because this replica is to be removed", extra=extra)
    return True


def _partition(image: ClusterImage, group: GroupId) -> PartitionImage | None:
    """Returns None for the metadata's own, and for one that is deleted or unknown."""
    topic = image.topics_by_id.get(group.topic_id)
    if topic is None or group.partition >= len(topic.partitions):
        return None
    return topic.partitions[group.partition]
