"""Nodes of a cluster that are given what cannot be: each ends with one line that helps, or keeps trying."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.local_cluster.ports import free_ports
from chronik.testing import Cluster
from tests.support.broker_log import bugs_in
from tests.support.metrics_page import scrape
from tests.support.one_node import OneNode, reasons_of
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

CLUSTER_ID = "refusing-cluster"
GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
    "ones": b"\xff" * 4096,
    "kafka": b"\x00\x00\x00\x10\x00\x12\x00\x00\x00\x00\x00\x01\x00\x04test\x00\x00",
    "zeroes": bytes(4096),
}

Start = Callable[..., OneNode]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts single nodes; none of them may tell of a bug."""
    started: list[OneNode] = []

    def start_one(directory: Path, **settings: str) -> OneNode:
        texts = {name.replace("_", "."): text for name, text in settings.items()}
        started.append(OneNode(tmp_path, f"one-{len(started)}", {"data.dir": str(directory), **texts}))
        return started[-1]

    yield start_one
    for one in started:
        one.kill()
        assert list(bugs_in(one.log_path)) == []


@pytest.fixture
def voters() -> str:
    """Three nodes, of which nobody listens yet."""
    return ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(free_ports(3), start=1))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("refusing")
    with Cluster(data_dir=directory, http=True, cluster_id=CLUSTER_ID) as running:
        yield running
    assert [bug for node in running.nodes for bug in bugs_in(node.log_path)] == []


def voters_of(cluster: Cluster) -> str:
    return cluster._voters[1]


def refusal(one: OneNode) -> str:
    """The one line with which it ended."""
    assert one.end() == ExitCode.FAILED, one.log()
    (line,) = [line for line in one.log().splitlines() if line.startswith("error: ")]
    assert "Traceback" not in one.log()
    return line


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody listens there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield


def both_say(one: OneNode, cluster: Cluster, text: str) -> None:
    """In the logs of who is refused, and of who refuses."""
    wait_until(lambda: text in one.log(), f"the log of the refused says {text!r}")
    wait_until(lambda: text in cluster.node(1).log_path.read_text(), f"the log of node 1 says {text!r}")


def is_whole(cluster: Cluster) -> bool:
    """True if every node is ready and connected to both others."""
    for node in cluster.nodes:
        if reasons_of(node.http_url):
            return False
        if sum(scrape(node.http_url).values("chronik_raft_peer_connected")) != 2:
            return False
    return True


# A start that waits.


def test_a_stop_while_a_new_node_waits_for_the_others(start: Start, tmp_path: Path, voters: str) -> None:
    for _ in range(2):
        one = start(tmp_path / "data", node_id="1", controller_quorum_voters=voters)
        one.wait_reasons("waiting for nodes 2, 3 to found the cluster")
        assert one.terminate() == ExitCode.OK
        assert "Kafka Server started" not in one.log()


def test_a_stop_while_a_node_waits_for_a_majority(start: Start, tmp_path: Path) -> None:
    with Cluster(data_dir=tmp_path / "cluster", config={"cluster.id": CLUSTER_ID}) as cluster:
        known = voters_of(cluster)
    data = tmp_path / "cluster" / "node-1"
    assert (data / ".kafka_cleanshutdown").exists()
    one = start(data, node_id="1", controller_quorum_voters=known)
    one.wait_reasons("no majority: nodes 2, 3 are not connected")
    assert not (data / ".kafka_cleanshutdown").exists()
    assert one.terminate() == ExitCode.OK
    # It touched nothing meanwhile: the next start need not read all logs.
    assert (data / ".kafka_cleanshutdown").exists()


def test_a_cluster_whose_nodes_are_others_than_before(start: Start, tmp_path: Path, voters: str) -> None:
    with Cluster(data_dir=tmp_path / "cluster", config={"cluster.id": CLUSTER_ID}):
        pass
    data = tmp_path / "cluster" / "node-1"
    others = voters.replace("3@", "4@")
    said = refusal(start(data, node_id="1", controller_quorum_voters=others))
    assert "a cluster of nodes 1, 2, 3, and controller.quorum.voters names nodes 1, 2, 4" in said
    assert (data / ".kafka_cleanshutdown").exists()


# The port for the other nodes.


def test_the_port_for_the_other_nodes_is_in_use(start: Start, tmp_path: Path, voters: str) -> None:
    address = voters.split(",")[0].partition("@")[2]
    with taken(int(address.rpartition(":")[2])):
        data = tmp_path / "data"
        said = refusal(start(data, node_id="1", controller_quorum_voters=voters))
    assert f"cannot listen on {address}: Address already in use (for the other nodes)" in said
    assert "controller.quorum.voters" in said


def test_a_port_in_use_does_not_cost_the_mark_of_a_clean_stop(start: Start, tmp_path: Path) -> None:
    with Cluster(data_dir=tmp_path / "cluster", config={"cluster.id": CLUSTER_ID}) as cluster:
        known = voters_of(cluster)
    data = tmp_path / "cluster" / "node-1"
    with taken(int(known.split(",")[0].rpartition(":")[2])):
        refusal(start(data, node_id="1", controller_quorum_voters=known))
    assert (data / ".kafka_cleanshutdown").exists()


def test_an_address_that_is_not_this_machines(start: Start, tmp_path: Path, voters: str) -> None:
    # TEST-NET-1: nobody's.
    one = start(
        tmp_path / "data",
        node_id="1",
        controller_quorum_voters=voters,
        raft_address="192.0.2.1:5001",
        raft_secret="0123456789abcdef",
    )
    said = refusal(one)
    assert "cannot listen on 192.0.2.1:5001" in said
    assert "Set raft.address to an address of this machine" in said


# Directories.


def test_the_directory_of_another_cluster(start: Start, tmp_path: Path, voters: str) -> None:
    data = tmp_path / "data"
    first = start(data, node_id="1", controller_quorum_voters=voters, cluster_id="first")
    first.wait_reasons("waiting for nodes 2, 3 to found the cluster")
    first.terminate()
    second = start(data, node_id="1", controller_quorum_voters=voters, cluster_id="second")
    assert "the data directory belongs to cluster first, not second" in refusal(second)


def test_the_directory_of_another_node(start: Start, tmp_path: Path, voters: str) -> None:
    data = tmp_path / "data"
    first = start(data, node_id="1", controller_quorum_voters=voters)
    first.wait_reasons("waiting for nodes 2, 3 to found the cluster")
    first.terminate()
    second = start(data, node_id="2", controller_quorum_voters=voters)
    assert "the data directory belongs to node 1, not 2. Start with --node-id 1" in refusal(second)


def test_the_directory_of_a_node_alone_and_back(start: Start, tmp_path: Path, voters: str) -> None:
    alone, member = tmp_path / "alone", tmp_path / "member"
    first = start(alone)
    first.wait_ready()
    first.terminate()
    assert "it is that of a node alone" in refusal(start(alone, node_id="1", controller_quorum_voters=voters))
    with Cluster(data_dir=member) as founded:
        data = founded.node(3).data_dir
    said = refusal(start(data, node_id="3"))
    assert "that of a node of a cluster. Set controller.quorum.voters as it was" in said


def test_the_directory_of_a_member_whose_cluster_was_never_founded(
    start: Start, tmp_path: Path, voters: str
) -> None:
    data = tmp_path / "data"
    first = start(data, node_id="1", controller_quorum_voters=voters)
    first.wait_reasons("waiting for nodes 2, 3 to found the cluster")
    first.terminate()
    # It has nothing that others could have.
    second = start(data, node_id="1")
    second.wait_ready()
    assert second.terminate() == ExitCode.OK
    assert "it is that of a node alone" in refusal(start(data, node_id="1", controller_quorum_voters=voters))


def test_a_directory_that_is_in_use(start: Start, cluster: Cluster) -> None:
    node = cluster.node(3)
    one = start(node.data_dir, node_id="3", controller_quorum_voters=voters_of(cluster))
    said = refusal(one)
    assert f"is in use by the process with pid {node.pid}. Stop that process" in said
    assert is_whole(cluster)


# Strangers, against a cluster that serves and goes on serving.


def test_a_node_of_another_cluster_is_refused_on_both_sides(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    one = start(
        tmp_path / "data",
        node_id="3",
        cluster_id="elsewhere",
        controller_quorum_voters=voters_of(cluster),
        raft_address="127.0.0.1:0",
    )
    both_say(one, cluster, f"node 1 belongs to cluster {CLUSTER_ID}, node 3 to cluster elsewhere")
    clusters = f"belongs to cluster {CLUSTER_ID}, node 3 to cluster elsewhere"
    advice = (
        "correct controller.quorum.voters or cluster.id where they are wrong, or give the node that was moved"
    )
    one.wait_reasons(
        "waiting for nodes 1, 2 to found the cluster",
        *(f"node {node} {clusters}: {advice} an empty data directory" for node in (1, 2)),
    )
    assert is_whole(cluster)
    assert one.terminate() == ExitCode.OK


def test_a_second_node_with_an_id_in_use_is_refused_until_the_first_is_gone(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    one = start(
        tmp_path / "data",
        node_id="3",
        cluster_id=CLUSTER_ID,
        controller_quorum_voters=voters_of(cluster),
        raft_secret_file=str(cluster.node(1).data_dir.parent / "raft.secret"),
        raft_address="127.0.0.1:0",
    )
    both_say(one, cluster, "node 1 is connected to a node 3 with another data directory: stop one of the two")
    waiting, *refused = one.reasons()
    assert waiting == "waiting for nodes 1, 2 to found the cluster"
    assert any("with another data directory" in reason for reason in refused)
    assert is_whole(cluster)
    cluster.kill(3)
    one.wait_ready()
    assert one.terminate() == ExitCode.OK
    cluster.restart(3)
    wait_until(lambda: is_whole(cluster), "the cluster is whole again", 60)


def test_garbage_on_the_port_for_nodes_closes_that_connection_and_no_other(cluster: Cluster) -> None:
    wait_until(lambda: is_whole(cluster), "the cluster is whole", 60)
    before = [scrape(node.http_url) for node in cluster.nodes]
    for port in cluster._raft_ports.values():
        for garbage in GARBAGE.values():
            with socket.create_connection(("127.0.0.1", port), timeout=20) as stranger:
                stranger.sendall(garbage)
                assert _is_closed(stranger)
    for node, page in zip(cluster.nodes, before, strict=True):
        now = scrape(node.http_url)
        strangers = "chronik_raft_strangers_total"
        assert now.values(strangers) == [page.values(strangers)[0] + len(GARBAGE)]
        connects = "chronik_raft_peer_connects_total"
        assert now.values(connects) == page.values(connects)
    assert is_whole(cluster)


def _is_closed(stranger: socket.socket) -> bool:
    """Whatever was sent before: it ends within the socket's timeout."""
    try:
        while stranger.recv(4096):
            pass
    except ConnectionError:
        pass
    return True
