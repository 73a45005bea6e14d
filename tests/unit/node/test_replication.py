"""Creation of replicas: from the metadata, or from the disk."""

import errno
from random import Random

import pytest

from chronik.cluster.metadata.replicas import PartitionImage, ReplicaRef
from chronik.cluster.metadata.topics import TopicImage, TopicPartitionImage
from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.node.replication import NewReplica, Replication
from chronik.raft.core.types import (
    BEFORE_FIRST,
    NO_TERM,
    HardState,
    Membership,
    RaftIndex,
    ReplicaId,
    Term,
    founding_replicas,
)
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting
from chronik.raft.host import RaftHost
from chronik.raft.markers import MarkerBase
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import STATE_FILE, StateStore
from chronik.raft.syncer import Syncer
from chronik.sim.disk import CrashDisk
from chronik.sim.network import SimNetwork
from chronik.sim.virtual_time import LoopClock, virtual, wait_until_idle
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from tests.unit.raft.lone import FOUNDERS, batch
from tests.unit.raft.trio import OPTIONS, TICK_MS

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
TOPIC = TopicId(b"t" * 16)
GROUP = GroupId(TOPIC, 0)
BROKEN = OSError(errno.EIO, "input/output error")


class Room:
    """Node 1, whose peers are not there."""

    def __init__(self, disk: CrashDisk | None = None, directory_id: str = "directory-1") -> None:
        self.disk = disk or CrashDisk()
        self.store = StateStore.open(self.disk)
        self.log = PartitionLog.open("t-0", self.disk, LogConfig(), LoopClock(), was_clean=False)
        transport = SimNetwork(Random(1)).join(ONE)
        self.host = RaftHost(
            ONE,
            transport,
            tick_ms=TICK_MS,
            load_cold=lambda cold: self.disk.run_blocking(cold.load),
            on_lag=lambda group: None,
        )
        setting = GroupSetting(
            node=ONE,
            directory_id=directory_id,
            options=OPTIONS,
            randomness=Random(1),
            clock=LoopClock(),
            store=self.store,
            syncer=Syncer(self.disk),
            host=self.host,
            lag_ms=lambda: 30_000,
        )
        self.replication = Replication(self.host, setting)

    async def begin(self, new: NewReplica) -> ReplicatedGroup:
        group = self.replication.open(new, self.log, None, lambda: None)
        self.replication.begin(group, new)
        await wait_until_idle()
        return group

    def hard_state(self) -> HardState:
        state = self.store.get(GROUP)
        assert state is not None
        return state.hard_state


def new_replica(first_leader: NodeId | None = ONE) -> NewReplica:
    return NewReplica(
        name=TopicPartition("t", 0), topic_id=TOPIC, membership=FOUNDERS, first_leader=first_leader
    )


@virtual
async def test_a_replica_is_as_the_metadata_describes_it() -> None:
    image = PartitionImage(founders=(THREE, ONE), directories=("c", "a"), first_leader=THREE)
    topic = TopicImage(name="t", topic_id=TOPIC, partitions=(image,))
    replication = Room().replication
    new = replication.new_replica(TopicPartitionImage(topic, 0), LeaderEpoch(7))
    assert new == NewReplica(
        name=TopicPartition("t", 0),
        topic_id=TOPIC,
        membership=Membership(
            voters=frozenset({ONE, THREE}), replicas=founding_replicas({ONE: "a", THREE: "c"})
        ),
        first_leader=THREE,
        least_epoch=LeaderEpoch(7),
    )
    assert new.group_id == GROUP
    assert replication.directory_id == "directory-1"


@virtual
async def test_the_first_leader_leads_and_is_run_by_the_host() -> None:
    room = Room()
    group = await room.begin(new_replica())
    assert group.is_leader
    assert group.leader_epoch == 1
    assert room.host.groups() == [group]
    room.replication.end(group)
    assert room.host.groups() == []


@virtual
async def test_another_first_leader_is_voted_for() -> None:
    room = Room()
    group = await room.begin(new_replica(TWO))
    assert not group.is_leader
    assert room.hard_state() == HardState(term=Term(1), voted_for=TWO)


@virtual
async def test_without_a_first_leader_nobody_is_voted_for() -> None:
    room = Room()
    await room.begin(new_replica(None))
    assert room.hard_state() == HardState()


@virtual
async def test_it_leads_without_an_election_only_once() -> None:
    room = Room()
    await room.begin(new_replica())
    again = Room(room.disk)
    group = await again.begin(new_replica())
    assert not group.is_leader
    assert group.leader_epoch == 1


@virtual
async def test_a_replica_that_was_opened_and_never_began_begins() -> None:
    room = Room()
    room.replication.open(new_replica(), room.log, None, lambda: None)
    group = await room.begin(new_replica())
    assert group.is_leader


@virtual
async def test_records_that_no_state_is_known_for_are_dropped() -> None:
    room = Room()
    room.log.append([batch("a")], LeaderEpoch(1))
    group = await room.begin(new_replica())
    assert room.log.end_offset == 0
    assert group.is_leader


@virtual
async def test_log_and_markers_are_brought_together() -> None:
    room = Room()
    await room.begin(new_replica())
    # Which no marker bears out.
    room.log.append([batch("a")], LeaderEpoch(4))
    files, _ = room.log.files_to_sync()
    for file in files:
        file.sync()
    again = Room(room.disk)
    await again.begin(new_replica())
    assert again.log.end_offset == 0


@virtual
async def test_a_replica_on_another_disk_does_not_begin() -> None:
    room = Room(directory_id="another")
    group = await room.begin(new_replica())
    assert not group.is_leader
    assert room.hard_state() == HardState()


@virtual
async def test_a_replica_whose_files_were_lost_does_not_vote(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    base = MarkerBase(RaftIndex(20), Offset(15), Term(3), FOUNDERS, RaftIndex(20))
    room.store.create(GROUP, base)
    group = await room.begin(new_replica(None))
    assert "replica lost records" in caplog.text
    assert not group._core.may_vote
    assert room.log.start_offset == 15


@virtual
async def test_what_is_deleted_is_forgotten() -> None:
    room = Room()
    group = await room.begin(new_replica())
    room.replication.forget(group)
    assert room.store.get(GROUP) is None


@virtual
async def test_a_store_that_takes_nothing_is_no_reason_not_to_delete() -> None:
    room = Room()
    group = await room.begin(new_replica())
    room.disk.fail("write", f"{STATE_FILE}.tmp", BROKEN)
    room.replication.forget(group)
    assert room.store.get(GROUP) is not None
    room.disk.heal()
    room.replication.forget(group)
    assert room.store.get(GROUP) is None


@virtual
async def test_what_the_metadata_does_not_know_is_forgotten() -> None:
    room = Room()
    base = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, FOUNDERS, BEFORE_FIRST)
    others = [GroupId(TOPIC, number) for number in (1, 2)]
    for other in (GROUP, *others):
        room.store.create(other, base)
    room.replication.forget_others({GROUP})
    assert set(room.store.groups()) == {GROUP}


ALONE = Membership(voters=frozenset({ONE}), replicas=founding_replicas({ONE: "directory-1"}))


def changed(*replicas: tuple[int, int]) -> TopicPartitionImage:
    """A partition that node 1 founded alone, after a change."""
    founded = PartitionImage(founders=(ONE,), first_leader=ONE, directories=("directory-1",))
    refs = tuple(ReplicaRef(NodeId(node), revision) for node, revision in replicas)
    image = founded.changed(refs, (), 5)
    return TopicPartitionImage(TopicImage(name="t", topic_id=TOPIC, partitions=(image,)), 0)


@virtual
async def test_a_changed_partition_is_made_of_its_founders() -> None:
    replication = Room().replication
    new = replication.new_replica(changed((2, 3), (1, 5)), LeaderEpoch(1))
    assert (new.membership, new.revision, new.is_only) == (ALONE, 5, False)
    assert replication.new_replica(changed((1, 0)), LeaderEpoch(1)).is_only


@virtual
async def test_the_only_founder_that_comes_back_neither_begins_nor_leads() -> None:
    room = Room()
    group = await room.begin(room.replication.new_replica(changed((2, 3), (1, 5)), LeaderEpoch(1)))
    assert not group.is_leader
    assert room.hard_state() == HardState()
    assert group.replica_id == ReplicaId(ONE, "directory-1", 5)
    room.replication.end(group)
    group.close()
    # What was written of it is what the next start goes by.
    again = Room(room.disk)
    group = await again.begin(again.replication.new_replica(changed((2, 3), (1, 5)), LeaderEpoch(2)))
    assert not group.is_leader
    assert again.replication.revision_here(GROUP) == 5


@virtual
async def test_a_founder_that_is_alone_no_more_and_lost_its_store_does_not_lead() -> None:
    """Its node has another directory since: others may have the records that it lost its word of."""
    room = Room(directory_id="another")
    group = await room.begin(room.replication.new_replica(changed((1, 0), (2, 3)), LeaderEpoch(1)))
    assert not group.is_leader


@virtual
async def test_the_only_replica_is_known_by_its_present_name_after_its_store_was_lost() -> None:
    room = Room(directory_id="another")
    room.store.create(GROUP, MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, ALONE, BEFORE_FIRST))
    group = await room.begin(room.replication.new_replica(changed((1, 0)), LeaderEpoch(1)))
    assert group.is_leader
    assert group.membership.replica(ONE) == ReplicaId(ONE, "another")


@virtual
async def test_an_only_replica_that_lost_its_store_leads_in_a_term_that_nobody_has_seen() -> None:
    room = Room()
    room.log.append([batch("a")], LeaderEpoch(7))
    group = await room.begin(room.replication.new_replica(changed((1, 4)), LeaderEpoch(1)))
    assert group.is_leader
    # Some were elected without a record since the last one.
    assert group.leader_epoch > 7 + 100
    assert room.log.end_offset == 1


@virtual
async def test_a_replica_is_forgotten_durably() -> None:
    room = Room()
    await room.begin(new_replica())
    room.replication.discard(GROUP)
    assert room.store.synced == room.store.written
    assert room.replication.revision_here(GROUP) is None
