"""Faults that are planted in the nodes, one at a time, to see whether the checks find them.

Each is something a careless author could have written. None is in the nodes' code: a mutant replaces a
function of theirs while it is planted. `python -m chronik.sim --seeds 1..50 --mutant NAME` runs a cluster of
such nodes.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from chronik.broker import replica_manager
from chronik.broker.coordinator.host import ShardHost
from chronik.broker.groups import offset_commands, shard
from chronik.broker.handlers import metadata
from chronik.broker.partition import Partition
from chronik.broker.replica_steps import LocalStep, local_step
from chronik.cluster import leadership
from chronik.cluster.image_draft import ImageDraft
from chronik.cluster.metadata import replica_decisions, topic_decisions, topics
from chronik.cluster.metadata.configs import ConfigChanged
from chronik.cluster.metadata.replicas import ReplicaRef
from chronik.cluster.metadata.topics import TopicDeleted
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.views import broker_views
from chronik.log import reading
from chronik.log.partition_log import PartitionLog
from chronik.log.producer_state import ProducerState
from chronik.log.segment import Segment
from chronik.node import local_broker, lost_store, membership_steps, partitions
from chronik.node.replication import Replication
from chronik.raft import reconcile
from chronik.raft.core import accepting, leader, voting
from chronik.raft.core.follower import Follower
from chronik.raft.core.memberships import Memberships, majority_index
from chronik.raft.core.replica import Replica
from chronik.raft.core.types import BEFORE_FIRST, Membership, RaftIndex, Refusal, ReplicaId
from chronik.raft.notifications import ListenerNotifier
from chronik.raft.own_replica import OwnReplica
from chronik.raft.persistence import Durability, Persistence
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.replicated_log import ReplicatedLog
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.raft.unknown_group_buffer import UnknownGroupBuffer

Planting = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`what` a node does that it must not; `planted` makes it so inside the context."""

    what: str
    planted: Planting
    # The kinds of faults that may show it, where they are rare (`faults.schedule.Faults`).
    lean_on: tuple[str, ...] = ()


def _replace(target: object, name: str, function: object) -> Planting:
    return lambda: patch.object(target, name, function)


def _around(target: Any, name: str, wrap: Callable[[Any], Any]) -> Planting:
    return lambda: patch.object(target, name, wrap(getattr(target, name)))


def _all(*plantings: Planting) -> Planting:
    @contextmanager
    def planted() -> Iterator[None]:
        with ExitStack() as stack:
            for planting in plantings:
                stack.enter_context(planting())
            yield

    return planted


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _never(*_: Any) -> bool:
    return False


# Durability.


def _fail_all(self: Any, results: Any) -> Any:
    self._failed.update(results)
    return ()


def _hold_nothing(self: Any, messages: Sequence[Any], *, has_written: bool) -> None:
    self._durability.waiting.extend(messages)
    self._durability.writes += has_written
    self._group.release(self._durability.skip())
    last = self._raft_log.last_index
    if has_written:
        self._syncer.request(self)
    if has_written and last > BEFORE_FIRST:
        self._group.on_persisted(last, self._raft_log.term_at(last))


def _count_unsynced(original: Any) -> Any:
    """Its followers may be slower; itself it counts at once."""

    def match(self: Any, node: Any) -> RaftIndex:
        last: RaftIndex = self.replica.log.last_index
        return last if node == self.replica.node else original(self, node)

    return match


def _ignore_failed_sync(self: Any, error: OSError) -> None:
    self.on_synced(self._log.end_offset)


def _unsynced_membership(original: Any) -> Any:
    def append(self: Any, append: Any) -> None:
        with patch.object(self._store, "sync_now", _nothing):
            original(self, append)

    return append


def _without_bound(original: Any) -> Any:
    def judge(log: Any, state: Any, **options: Any) -> Any:
        found = original(log, state, **options)
        if not found.is_loss:
            return found
        return found._replace(finding=reconcile.Finding.SOUND)

    return judge


def _with_gaps(original: Any) -> Any:
    def judge(log: Any, state: Any, **options: Any) -> Any:
        found = original(log, state, **options)
        if found.finding is not reconcile.Finding.INCOMPLETE:
            return found
        return found._replace(finding=reconcile.Finding.SOUND, end_offset=log.end_offset)

    return judge


def _always_clean(original: Any) -> Any:
    def take(disk: Any) -> bool:
        original(disk)
        return True

    return take


# Consensus.


def _commit_any_term(self: Any) -> None:
    replica = self.replica
    index = majority_index([self._match(node) for node in replica.memberships.current.voters])
    if index > replica.committed:
        replica.commit(index)


def _first_of_all(replica: Replica, entries: Any) -> RaftIndex | None:
    """Every entry of the leader replaces the present one."""
    return RaftIndex(max(entries.first, replica.committed + 1)) if entries.last > replica.committed else None


def _truncate_committed(self: Any, to: RaftIndex) -> None:
    self.log.truncate(to)
    self.memberships.truncate(to)
    self.persisted = min(self.persisted, to)
    self.committed = min(self.committed, to)


def _vote_twice(replica: Replica, request: Any) -> bool:
    with patch.object(replica, "hard_state", type(replica.hard_state)(term=replica.term, voted_for=None)):
        return bool(_ANSWER_VOTE(replica, request))


_ANSWER_VOTE = voting.answer_vote


def _any_candidate(replica: Replica, request: Any) -> bool:
    return True


def _commit_as_told(self: Any, leader_committed: RaftIndex) -> None:
    self._leader_committed = max(self._leader_committed, leader_committed)
    self.replica.commit(min(self._leader_committed, self.replica.log.last_index))


def _truncate_records_only(self: Any, to: RaftIndex) -> Any:
    end_offset = self.offset_after(to)
    self._forget_loaded()
    self.log.truncate(end_offset)
    return end_offset


def _restart_at_offset(original: Any) -> Any:
    def restart(self: Any, start: Any) -> None:
        original(self, replace(start, index=RaftIndex(start.payload.offset - 1)))

    return restart


def _forget_membership(self: Any, index: RaftIndex, membership: Any) -> None:
    current = self.current
    _RESTART_MEMBERSHIPS(self, index, type(membership)(voters=current.voters, replicas=frozenset()))


_RESTART_MEMBERSHIPS = Memberships.restart


def _one_is_enough(matches: Sequence[RaftIndex]) -> RaftIndex:
    return max(matches)


# What partitions do with it.


def _read_everything(
    self: Any, offset: Any, max_bytes: int, *, is_read_committed: bool, at_least_one: bool
) -> Any:
    return self.log.read(offset, max_bytes, self.log.end_offset, at_least_one=at_least_one)


def _forget_producers(original: Any) -> Any:
    """A follower appends the leader's batches, but does not apply their producers."""

    def append(self: Any, buffers: Any) -> Any:
        result = original(self, buffers)
        self._producers = ProducerState()
        return result

    return append


def _keep_producers(original: Any) -> Any:
    """Truncated batches stay known as produced."""

    def truncate(self: Any, end_offset: int) -> None:
        known = self._producers
        original(self, end_offset)
        self._producers = known

    return truncate


def _answer_at_once(self: Any, outcome: Any) -> None:
    _PERFORM(self, outcome)
    for append in self._appends.in_flight:
        self._deliver(append.outcomes)
        append.outcomes = []


_PERFORM = ShardHost._perform


def _watermark_at_end(original: Any) -> Any:
    """After a restart, the whole log is taken for committed."""

    def init(self: Any, group: Any, start_offset: Any, commits: Any) -> None:
        original(self, group, start_offset, commits)
        self.high_watermark = group._log.end_offset

    return init


# Metadata.


def _supersede_always(new: Any, known: Any) -> bool:
    return bool(new != known)


def _skip_configs(original: Any) -> Any:
    """One node in three does not apply them."""
    count = 0

    def apply(self: Any, record: Any) -> None:
        nonlocal count
        count += isinstance(record, ConfigChanged)
        if not isinstance(record, ConfigChanged) or count % 3:
            original(self, record)

    return apply


def _lose_deletions(original: Any) -> Any:
    count = 0

    def apply(self: Any, record: Any) -> None:
        nonlocal count
        count += isinstance(record, TopicDeleted)
        if not isinstance(record, TopicDeleted) or count % 5:
            original(self, record)

    return apply


def _answer_unapplied(original: Any) -> Any:
    async def catch_up(self: Any, deadline: float) -> bool:
        await asyncio.sleep(0)
        return True

    return catch_up


def _name_whoever_is_left_out(original: Any) -> Any:
    def topics(self: Any, image: Any, _brokers: Any) -> Any:
        return original(self, image, broker_views(image, self._listener))

    return topics


# Replicas that change.


def _of_no_revision(node: Any, revision: int) -> ReplicaRef:
    return ReplicaRef(node, 0)


def _make_of_present(original: Any) -> Any:
    """Every target replica founds the group again, and votes."""

    def new_replica(self: Any, created: Any, start_epoch: Any) -> Any:
        new = original(self, created, start_epoch)
        own = ReplicaId(self.node, self.directory_id, new.revision)
        voters = frozenset(created.image.nodes)
        return replace(new, membership=Membership(voters=voters, replicas=frozenset({own})))

    return new_replica


def _delete_unwanted(image: Any, node: Any, here: int | None) -> LocalStep:
    if here is not None and node not in image.wanted:
        return LocalStep.DELETE
    return local_step(image, node, here)


def _believe_old_images(image: Any, node: Any, here: int | None) -> LocalStep:
    if here is not None and image.revision < here:
        return LocalStep.DELETE if image.revision_of(node) is None else LocalStep.REMAKE
    return local_step(image, node, here)


def _step_locally(decide: Any) -> Planting:
    return _all(
        *(_replace(room, "local_step", decide) for room in (replica_manager, partitions, local_broker))
    )


def _report_unconfirmed(situation: Any) -> Iterator[Any]:
    image = situation.image
    if image is not None and set(image.nodes) != set(image.wanted):
        yield membership_steps.Report(tuple(sorted(situation.membership.members)))


def _let_all_go(situation: Any, replicas: Any) -> Iterator[Any]:
    membership = situation.membership
    leaving = membership.members - set(situation.wanted)
    left = membership
    for node in leaving:
        left = membership_steps._without(left, node)
    if leaving:
        yield membership_steps.Propose(left, "all that are to go are removed")


def _allow_two_voters(original: Any) -> Any:
    def refusal(self: Any, membership: Any) -> Any:
        found = original(self, membership)
        return None if found is Refusal.MORE_THAN_ONE_VOTER else found

    return refusal


MUTANTS: dict[str, Mutant] = {
    "acknowledge-before-fsync": Mutant(
        what="what is written counts as durable, here and to the leader, before its sync",
        planted=_replace(Persistence, "hold", _hold_nothing),
    ),
    "leader-counts-itself-unsynced": Mutant(
        what="a leader counts its own copy before its sync",
        planted=_around(leader.Leader, "_match", _count_unsynced),
    ),
    "ignore-failed-syncs": Mutant(
        what="a sync that fails counts as one that did not",
        planted=_replace(Persistence, "on_sync_failed", _ignore_failed_sync),
        lean_on=("DiskFaults.fail_syncs",),
    ),
    "vote-not-persisted": Mutant(
        what="term and vote are not written",
        planted=_replace(StateStore, "set_hard_state", _nothing),
    ),
    "membership-not-synced": Mutant(
        what="the marker of a membership is not durable before the records after it",
        planted=_around(ReplicatedLog, "append", _unsynced_membership),
    ),
    "always-clean": Mutant(
        what="a start takes every stop for a clean one, and recovers nothing",
        planted=_around(local_broker, "take_clean_mark", _always_clean),
    ),
    "commit-old-term": Mutant(
        what="entries of earlier terms are committed by counting (section 5.4.2)",
        planted=_replace(leader.Leader, "_maybe_commit", _commit_any_term),
    ),
    "skip-previous-term-check": Mutant(
        what="entries are appended whatever is before them (section 5.3)",
        planted=_replace(accepting, "_is_joined", lambda *_: True),
    ),
    "replace-always": Mutant(
        what="entries from a leader replace what is there, also when it is the same",
        planted=_replace(accepting, "_first_new", _first_of_all),
    ),
    "truncate-committed": Mutant(
        what="what is committed may be truncated",
        planted=_all(
            _replace(Replica, "truncate", _truncate_committed),
            _replace(accepting, "_first_new", lambda replica, entries: entries.first),
        ),
    ),
    "vote-twice": Mutant(
        what="a vote is given to every candidate of a term (section 5.2)",
        planted=_all(
            _replace(leader, "answer_vote", _vote_twice),
            lambda: patch("chronik.raft.core.follower.answer_vote", _vote_twice),
            lambda: patch.object(Replica, "vote_for", _vote_for_anyone),
        ),
    ),
    "vote-for-short-logs": Mutant(
        what="a vote is given whatever the candidate's log (section 5.4.1)",
        planted=_replace(voting, "_is_up_to_date", _any_candidate),
    ),
    "commit-as-told": Mutant(
        what="a follower takes for committed what it has not compared with the leader's",
        planted=_replace(Follower, "_commit", _commit_as_told),
    ),
    "one-is-enough": Mutant(
        what="one copy commits",
        planted=_replace(leader, "majority_index", _one_is_enough),
    ),
    "markers-survive-truncation": Mutant(
        what="truncation leaves the markers: indexes and offsets part",
        planted=_replace(ReplicatedLog, "truncate", _truncate_records_only),
    ),
    "restart-at-offset": Mutant(
        what="a log that starts behind the leader's takes the offset for the index",
        planted=_around(ReplicatedLog, "restart", _restart_at_offset),
    ),
    "restart-without-membership": Mutant(
        what="a log that starts behind the leader's takes over no directories of members",
        planted=_replace(Memberships, "restart", _forget_membership),
    ),
    "wiped-votes-at-once": Mutant(
        what="a replica that lost its files votes before it has them again",
        planted=_replace(OwnReplica, "may_vote", lambda self, core: True),
        lean_on=("DiskFaults.wipe",),
    ),
    "lost-files-vote": Mutant(
        what="a replica whose files were lost or cut short goes on as if it had never had more",
        planted=_around(reconcile, "judge", _without_bound),
        lean_on=("LostFiles.lose",),
    ),
    "gaps-vote": Mutant(
        what="a replica that knows of a gap in its log votes and leads as if there were none",
        planted=_all(
            _around(reconcile, "judge", _with_gaps),
            _replace(ReplicatedGroup, "suspend", lambda *_: False),
        ),
        lean_on=("LostFiles.lose",),
    ),
    "lost-store-votes": Mutant(
        what="a node whose terms and votes were lost or cut short goes on as the same one",
        planted=_replace(lost_store, "renew_directory_id", lambda disk: ""),
        lean_on=("LostFiles.lose",),
    ),
    "no-check-quorum": Mutant(
        what="a leader that reaches no majority goes on leading",
        planted=_replace(leader.Leader, "_tick_check", _nothing),
    ),
    "read-uncommitted": Mutant(
        what="consumers are given what is not committed",
        planted=_replace(Partition, "read", _read_everything),
    ),
    "watermark-at-end": Mutant(
        what="after a start whatever is in the log is taken for committed",
        planted=_around(ListenerNotifier, "__init__", _watermark_at_end),
    ),
    "forget-producers": Mutant(
        what="a follower that becomes leader does not know what was produced before",
        planted=_around(PartitionLog, "append_stamped", _forget_producers),
    ),
    "keep-truncated-producers": Mutant(
        what="what was truncated is taken for produced",
        planted=_around(PartitionLog, "_truncate", _keep_producers),
    ),
    "no-sequence-check": Mutant(
        what="a batch that comes twice is appended twice",
        planted=_replace(ProducerState, "check", lambda self, batch: None),
    ),
    "answer-groups-at-once": Mutant(
        what="commits of offsets are acknowledged before they are replicated",
        planted=_replace(ShardHost, "_perform", _answer_at_once),
    ),
    "old-epoch-announced": Mutant(
        what="the last announced leader counts, whatever its epoch",
        planted=_replace(leadership, "_supersedes", _supersede_always),
    ),
    "create-twice": Mutant(
        what="a topic is created though it exists",
        planted=_replace(topic_decisions, "_check_new_name", _nothing),
    ),
    "configs-not-applied": Mutant(
        what="nodes pass over configurations that others take in",
        planted=_around(ImageDraft, "apply", _skip_configs),
    ),
    "deletions-not-applied": Mutant(
        what="nodes pass over deletions that others take in",
        planted=_around(ImageDraft, "apply", _lose_deletions),
    ),
    "serve-before-catching-up": Mutant(
        what="a node serves before it knows what the cluster knows",
        planted=_around(MetadataService, "catch_up", _answer_unapplied),
    ),
    "skip-waiting": Mutant(
        what="what waits for a round of syncs leaves when any round ends",
        planted=_replace(Durability, "is_durable", property(lambda self: self.round is None)),
    ),
    "offsets-outlive-topics": Mutant(
        what="a coordinator compares what was committed with nothing when it loads, or gives it out",
        planted=_all(
            _replace(shard, "is_of_deleted_topic", _never),
            _replace(offset_commands, "is_of_deleted_topic", _never),
        ),
    ),
    "late-commits-taken": Mutant(
        what="a commit of who stood on a deleted topic counts for the next one of its name",
        planted=_replace(offset_commands, "is_of_earlier_topic", _never),
    ),
    "epochs-restart": Mutant(
        what="a topic made again begins at the first epoch, whatever was before",
        planted=_replace(topic_decisions, "_last_epoch", lambda topic, heard: 0),
    ),
    "believe-indexes": Mutant(
        what="an index entry is believed whatever the log has there",
        planted=_all(
            _replace(Segment, "_is_borne_out", lambda *_: True),
            _replace(reading, "ends_at", lambda *_: True),
        ),
        lean_on=("StorageFaults.damage_indexes",),
    ),
    "early-messages-outlive-connections": Mutant(
        what="a group that is made hears what its peers said over connections that have ended",
        planted=_replace(UnknownGroupBuffer, "forget", _nothing),
    ),
    "step-over-gaps": Mutant(
        what="a read goes on behind records that are missing",
        planted=_replace(reading._Reader, "step_over_to", _nothing),
        lean_on=("StorageFaults.lose_a_segment",),
    ),
    "full-disk-ends-the-store": Mutant(
        what="a record of terms and markers that finds no room ends the store",
        planted=_replace(StateStore, "_take_back", lambda self, file, size, error: self.fail(error)),
        lean_on=("StorageFaults.start_full", "DiskFaults.fill"),
    ),
    "no-descriptor-is-a-failed-sync": Mutant(
        what="a sync that finds no descriptor to open its file with counts as one that failed",
        planted=_replace(Syncer, "_sort", _fail_all),
        lean_on=("StorageFaults.use_up_descriptors",),
    ),
    "returns-unrevised": Mutant(
        what="a replica that was removed and is made again has the name it had before",
        planted=_all(
            _replace(replica_decisions, "ReplicaRef", _of_no_revision),
            _replace(topics, "_check_change", _nothing),
        ),
    ),
    "made-of-present": Mutant(
        what="a replica that is added begins as a voter, among those there are to be",
        planted=_around(Replication, "new_replica", _make_of_present),
    ),
    "deleted-when-unwanted": Mutant(
        what="a replica that is to go is deleted before its group has let it go",
        planted=_step_locally(_delete_unwanted),
    ),
    "old-images-delete": Mutant(
        what="a replica is deleted because the metadata is behind it",
        planted=_step_locally(_believe_old_images),
    ),
    "removed-replicas-remembered": Mutant(
        what="what is known of a removed replica stays when its files go",
        planted=_replace(Replication, "discard", _nothing),
    ),
    "unconfirmed-reports": Mutant(
        what="a leader reports the members it knows of without asking a majority",
        planted=_replace(membership_steps, "_reports", _report_unconfirmed),
    ),
    "two-voters-at-once": Mutant(
        what="all voters that are to go are removed in one step",
        planted=_all(
            _around(leader.Leader, "_refusal", _allow_two_voters),
            _replace(membership_steps, "_removals", _let_all_go),
        ),
    ),
    "leader-without-address": Mutant(
        what="a node that sends clients to the others goes on naming itself as a leader",
        planted=_around(metadata._Request, "_topics", _name_whoever_is_left_out),
    ),
}


def _vote_for_anyone(self: Any, node: Any) -> None:
    self.hard_state = type(self.hard_state)(term=self.term, voted_for=node)
