"""Replicas whose node came back with another data directory, or that lost files of theirs: out of the
voters, and in again when caught up.

What such a replica voted for and acknowledged went with its files, so it must not vote as if it remembered
(KIP-853; decisions 0009, "Lost disks", and 0013). The leader of each group sees to it, one step at a time:
the member becomes a learner under its new directory, is sent the log, and becomes a voter once it has caught
up and can prove that it may be one (`RaftCore.is_replica_committed`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from chronik.cluster.image import ClusterImage
from chronik.node.loss_reports import LossReports
from chronik.raft.core.types import Membership, ReplicaId
from chronik.raft.directories import losses_of, node_directory
from chronik.raft.group import GroupId
from chronik.raft.host import RaftHost
from chronik.raft.replicated import ReplicatedGroup
from chronik.vocab.ids import LeaderEpoch, NodeId

_log = logging.getLogger(__name__)

# A replaced disk is a matter of minutes; looking costs a comparison for each led group.
_LOOK_SECONDS = 0.5


class ReplicaReconciler:
    """One per node of a cluster; made, started and ended with it."""

    def __init__(
        self,
        host: RaftHost,
        image: Callable[[], ClusterImage],
        reports: LossReports,
        on_look: Callable[[], None] | None = None,
    ) -> None:
        """`on_look` is called as often as this looks at the groups."""
        self._host = host
        self._on_look = on_look
        self._reports = reports
        self._image = image
        # Memberships that this node put into a group's log for the second time, and in which term.
        self._repeated: dict[GroupId, tuple[LeaderEpoch, Membership]] = {}
        # Groups in which everybody was as registered, with what that was judged by.
        self._matched: dict[GroupId, tuple[Membership, object]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._on_timer)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._reports.close()

    def _on_timer(self) -> None:
        self.start()
        self.look()
        if self._on_look is not None:
            self._on_look()

    def look(self) -> None:
        """One step for each group that needs one."""
        brokers = self._image().brokers
        registered = {node: broker.directory_id for node, broker in brokers.items()}
        groups = self._host.groups()
        self._reports.report(groups)
        if not self._reports.is_empty:
            self._reports.forget_except(groups)
        if len(self._matched) > len(groups):
            # Of some that are gone.
            self._matched.clear()
            self._repeated.clear()
        for group in groups:
            if not group.is_leader or not group.is_own_term_committed:
                continue
            membership = group.membership
            known = self._matched.get(group.id)
            is_judged = known is not None and known[0] is membership and known[1] is brokers
            if is_judged and self._reports.is_empty:
                continue
            wanted = list(self._wanted(group, membership, registered))
            if not wanted and not membership.learners:
                self._matched[group.id] = (membership, brokers)
                self._repeated.pop(group.id, None)
            # The first one that is not refused.
            changed = next(filter(group.propose_membership, wanted), None)
            if changed is membership:
                self._repeated[group.id] = (group.leader_epoch, membership)
            elif changed is not None:
                extra = {"group": str(group.id), "voters": sorted(changed.voters)}
                _log.info("membership changed for a replica that lost its disk or files", extra=extra)

    def _wanted(
        self, group: ReplicatedGroup, membership: Membership, registered: Mapping[NodeId, str]
    ) -> Iterator[Membership]:
        """Each of which would be a step; nothing when all is as it should be, or nobody knows better."""
        yield from self._demotions(group.id, membership, registered)
        if not membership.learners:
            return
        if self._repeated.get(group.id) != (group.leader_epoch, membership):
            # A learner whose log has it twice can tell, whatever happens next, that it may vote.
            yield membership
            return
        for node in sorted(membership.learners & registered.keys()):
            # Refused until all it lacks is on its way to it.
            if group.has_membership(node):
                yield Membership(
                    voters=membership.voters | {node},
                    learners=membership.learners - {node},
                    replicas=membership.replicas,
                )

    def _demotions(
        self, group: GroupId, membership: Membership, registered: Mapping[NodeId, str]
    ) -> Iterator[Membership]:
        named = membership.directories
        for node in sorted(membership.members & registered.keys()):
            reported = self._reports.directory(group, node)
            directory = present_directory(named.get(node, ""), registered[node], reported)
            if directory != named.get(node, "") and len(membership.voters) > 1:
                known = membership.replica(node)
                moved = ReplicaId(node, directory, known.revision if known is not None else 0)
                yield Membership(
                    voters=membership.voters - {node},
                    learners=membership.learners | {node},
                    replicas=membership.replicas - {known} | {moved},
                )


def present_directory(named: str, registered: str, reported: str | None) -> str:
    """What a membership should call the files of a member that it calls `named`: whose node registered with
    one data directory, and which reported a loss of files, perhaps.

    | the member                                                                  | is to be called |
    | ---------------------------------------------------------------------------- | --------------- |
    | reported a loss in the registered directory, which `named` does not know of | `reported`      |
    | is named in another directory than the registered one                       | `registered`    |
    | any other, also one that is not named                                        | `named`         |
    """
    is_in_place = node_directory(named) == registered
    known_losses = losses_of(named) if is_in_place else 0
    if reported is not None and node_directory(reported) == registered and losses_of(reported) > known_losses:
        return reported
    return named if is_in_place or not named else registered
