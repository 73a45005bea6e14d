"""Cluster membership of a node, and contents of its directory that forbid it."""

import socket
from collections.abc import Iterator

import pytest

from chronik.node.cluster_runtime import ClusterMember
from chronik.node.data_directory import DataDirectoryError, load_identity
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.raft_ticks import RaftTicks
from chronik.raft import state_codec as codec
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, Membership
from chronik.raft.markers import MarkerBase
from chronik.raft.state_store import STATE_FILE, StateStore
from chronik.raft.transport import PeerInfo
from chronik.server.cluster_config import cluster_member
from chronik.server.cluster_identity import derive_cluster_id
from chronik.server.peers.transport import PeerTransport
from chronik.server.settings.loading import Settings
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import NodeId, Offset

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
VOTERS = "1@one:5001,2@two:5002,3@three:5003"


def settings(voters: str = VOTERS, **more: str) -> Settings:
    texts = {name.replace("_", "."): value for name, value in more.items()}
    return Settings.load(
        {"controller.quorum.voters": voters, "node.id": "1", "raft.secret": "0123456789abcdef", **texts}
    )


def take(disk: CrashDisk, voters: str = VOTERS, **more: str) -> ClusterMember:
    _, seat = cluster_member(settings(voters, **more), disk, [])
    return seat


def refused(disk: CrashDisk, voters: str = VOTERS) -> str:
    with pytest.raises(DataDirectoryError) as caught:
        take(disk, voters)
    return str(caught.value)


def test_a_new_directory_gets_an_identity_and_a_store() -> None:
    disk = CrashDisk()
    identity, seat = cluster_member(settings(), disk, [])
    assert identity.node_id == ONE
    assert identity.cluster_id == derive_cluster_id(settings().voters)
    assert seat.voters == {ONE, TWO, THREE}
    assert seat.store.is_new
    again, seat = cluster_member(settings(), disk, [])
    assert again == identity
    assert not seat.store.is_new


def test_the_name_of_a_cluster_may_be_given() -> None:
    identity, _ = cluster_member(settings(cluster_id="mine"), CrashDisk(), [])
    assert identity.cluster_id == "mine"


def test_timings_are_those_of_the_settings() -> None:
    seat = take(
        CrashDisk(),
        raft_tick_ms="10",
        controller_quorum_election_timeout_ms="900",
        raft_heartbeat_interval_ms="100",
    )
    assert seat.ticks == RaftTicks(tick_ms=10, election=90, heartbeat=10)


def test_a_directory_of_a_node_alone_or_without_its_votes_is_refused() -> None:
    disk = CrashDisk()
    load_identity(disk, ONE, None)
    assert f"has no {STATE_FILE}" in refused(disk)
    # Nothing was made: it would pass next time.
    assert not disk.exists(STATE_FILE)


def test_a_power_cut_between_store_and_identity_leaves_a_new_directory() -> None:
    disk = CrashDisk()
    StateStore.open(disk).close()
    assert not take(disk).store.is_new


def test_a_node_whose_store_is_damaged_goes_on_as_another(caplog: pytest.LogCaptureFixture) -> None:
    disk = CrashDisk()
    identity, seat = cluster_member(settings(), disk, [])
    seat.store.close()
    disk.write(STATE_FILE, b"not a store at all, but long enough to have a header in it")
    again, seat = cluster_member(settings(), disk, [])
    assert seat.store.is_new
    assert again.directory_id != identity.directory_id
    assert "votes of this node were lost" in caplog.text
    # From now on it is that one.
    seat.store.close()
    assert cluster_member(settings(), disk, [])[0] == again


def test_a_store_of_a_later_release_is_refused() -> None:
    disk = CrashDisk()
    take(disk).store.close()
    disk.write(STATE_FILE, codec.format_file_header(0, 9, version=codec.VERSIONS_READ[-1] + 1))
    assert "Start the release that wrote it" in refused(disk)


def found(disk: CrashDisk, *voters: NodeId) -> None:
    seat = take(disk)
    membership = Membership(voters=frozenset(voters))
    seat.store.create(METADATA_GROUP, MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, membership, BEFORE_FIRST))
    seat.store.close()


def test_other_nodes_than_the_cluster_began_with_are_refused() -> None:
    disk = CrashDisk()
    found(disk, ONE, TWO, THREE)
    others = "1@one:5001,2@two:5002,4@four:5004"
    assert "a cluster of nodes 1, 2, 3, and controller.quorum.voters names nodes 1, 2, 4" in refused(
        disk, others
    )


def test_addresses_may_change() -> None:
    disk = CrashDisk()
    # The cluster's id is kept in the directory.
    found(disk, ONE, TWO, THREE)
    assert take(disk, "1@a:1,2@b:2,3@c:3").voters == {ONE, TWO, THREE}


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_the_way_to_the_others_leads_to_their_addresses(bound: socket.socket) -> None:
    _, seat = cluster_member(settings(), CrashDisk(), [bound])
    transport = seat.make_transport(PeerInfo(ONE, "directory", 7), "cluster", bytes)
    assert isinstance(transport, PeerTransport)
    assert sorted(transport.statistics().peers) == [TWO, THREE]
