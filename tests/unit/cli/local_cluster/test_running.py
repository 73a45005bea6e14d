"""With children that are not nodes: scripts that say they have started, and obey a SIGTERM or do not."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.local_cluster import running, start
from chronik.cli.local_cluster.node_process import NodeProcess
from chronik.cli.local_cluster.plan import LocalNode, plan_nodes
from chronik.cli.local_cluster.ports import free_ports
from chronik.cli.local_cluster.running import RunningCluster, StopSignals
from tests.support.waiting import wait_until

SECONDS = 20.0

OBEDIENT = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
STARTED = "print('Kafka Server started', flush=True)\n"
WAIT = "import sys\nsys.stdin.read()\n"

Child = Callable[[str], None]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Child:
    """Says in Python what children do."""
    script = tmp_path / "child"
    python = sys.executable

    def write(code: str) -> None:
        script.write_text(f"#!{python}\n{code}", encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return write


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield StopSignals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def nodes(tmp_path: Path) -> list[LocalNode]:
    kafka, raft, http = (free_ports(1)[0] for _ in range(3))
    return plan_nodes(1, tmp_path / "cluster", kafka_port=kafka, raft_port=raft, http_port=http)


@pytest.fixture
def cluster(nodes: list[LocalNode], signals: StopSignals) -> Iterator[RunningCluster]:
    made = RunningCluster(nodes, signals)
    yield made
    for process in made._processes.values():
        process.kill()
        process.wait(SECONDS)
        process.close()


def test_ready_when_all_say_so_and_gone_when_they_are_asked(child: Child, cluster: RunningCluster) -> None:
    child(OBEDIENT + STARTED + WAIT)
    cluster.spawn({})
    seen: list[int] = []
    assert cluster.wait_ready(SECONDS, seen.append)
    assert seen[-1] == 1
    assert cluster.stop() == []
    assert cluster.ended() == list(cluster.nodes)


def test_one_that_ends_while_it_starts(child: Child, cluster: RunningCluster) -> None:
    child("import sys\nprint('no room')\nsys.exit(3)\n")
    cluster.spawn({})
    with pytest.raises(Failure, match=r"node 1 ended with code 3; the end of .*node-1\.log:\nno room"):
        cluster.wait_ready(SECONDS, lambda ready: None)


def test_one_that_does_not_become_ready(child: Child, cluster: RunningCluster) -> None:
    child(OBEDIENT + WAIT)
    cluster.spawn({})
    with pytest.raises(Failure, match=r"not ready after 0 s: node 1") as caught:
        cluster.wait_ready(0, lambda ready: None)
    assert "node-1.log" in caught.value.hint


def test_a_signal_ends_the_waiting(child: Child, cluster: RunningCluster) -> None:
    child(OBEDIENT + WAIT)
    cluster.spawn({})
    assert not cluster.wait_ready(SECONDS, lambda ready: signal.raise_signal(signal.SIGINT))


def test_one_that_ends_later_is_told_of_once(child: Child, cluster: RunningCluster) -> None:
    child(STARTED)
    cluster.spawn({})
    wait_until(cluster.ended, "the node has ended")
    ended: list[int] = []
    cluster.watch(lambda node: ended.append(node.id))
    assert ended == [1]


def test_a_second_signal_kills(
    child: Child, cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(DEAF + STARTED + WAIT)
    cluster.spawn({})
    assert cluster.wait_ready(SECONDS, lambda ready: None)
    terminate = NodeProcess.terminate

    def impatiently(process: NodeProcess) -> None:
        terminate(process)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(NodeProcess, "terminate", impatiently)
    assert cluster.stop() == list(cluster.nodes)


def test_time_runs_out_for_one_that_does_not_stop(
    child: Child, cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(DEAF + STARTED + WAIT)
    cluster.spawn({})
    assert cluster.wait_ready(SECONDS, lambda ready: None)
    monkeypatch.setattr(running, "_STOP_SECONDS", 0.2)
    assert cluster.stop() == list(cluster.nodes)


# The command around it.


@pytest.fixture
def when_shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Says what happens once the command has shown that the cluster is ready."""
    show = start._show

    def then(action: Callable[[], object]) -> None:
        def show_and_act(cluster: RunningCluster, *, as_json: bool) -> None:
            show(cluster, as_json=as_json)
            action()

        monkeypatch.setattr(start, "_show", show_and_act)

    return then


def test_started_and_stopped(
    child: Child,
    nodes: list[LocalNode],
    signals: StopSignals,
    when_shown: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    child(OBEDIENT + STARTED + WAIT)
    when_shown(lambda: signal.raise_signal(signal.SIGTERM))
    start.start(nodes, {}, as_json=True, seconds=SECONDS)
    captured = capsys.readouterr()
    assert f'"bootstrap_servers": "localhost:{nodes[0].kafka_port}"' in captured.out
    assert captured.out.count("\n") == 1
    assert "Starting 1 node: 1 ready" in captured.err


def test_no_node_is_left(
    child: Child,
    nodes: list[LocalNode],
    signals: StopSignals,
    when_shown: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    fire = tmp_path / "fire"
    os.mkfifo(fire)
    child(STARTED + f"open({str(fire)!r}).read()\nprint('disk on fire')\nraise SystemExit(1)\n")
    when_shown(lambda: fire.write_bytes(b""))
    with pytest.raises(Failure, match="no node is left"):
        start.start(nodes, {}, as_json=False, seconds=SECONDS)
    captured = capsys.readouterr()
    assert f"Ready: localhost:{nodes[0].kafka_port}" in captured.out
    assert "node 1 ended with code 1" in captured.err
    assert "disk on fire" in captured.err


def test_settings_that_no_node_would_take(nodes: list[LocalNode]) -> None:
    with pytest.raises(Failure, match=r"there is no setting no\.such") as caught:
        start.start(nodes, {"no.such": "1"}, as_json=False, seconds=SECONDS)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_port_in_use(nodes: list[LocalNode]) -> None:
    with (
        socket.create_server(("127.0.0.1", nodes[0].raft_port)),
        pytest.raises(Failure, match=f"port {nodes[0].raft_port}, for node 1, is in use") as caught,
    ):
        start.start(nodes, {}, as_json=False, seconds=SECONDS)
    assert "--raft-port" in caught.value.hint


def test_a_directory_that_cannot_be(nodes: list[LocalNode], signals: StopSignals, tmp_path: Path) -> None:
    (tmp_path / "cluster").touch()
    with pytest.raises(Failure, match="Not a directory"):
        start.start(nodes, {}, as_json=False, seconds=SECONDS)


def test_as_many_nodes_as_there_are(tmp_path: Path) -> None:
    assert start.count_nodes(tmp_path, None) == 3
    assert start.count_nodes(tmp_path, 5) == 5
    for number in range(1, 6):
        (tmp_path / f"node-{number}").mkdir()
    assert start.count_nodes(tmp_path, None) == start.count_nodes(tmp_path, 5) == 5
    with pytest.raises(Failure, match="holds a cluster of 5 nodes, not 3"):
        start.count_nodes(tmp_path, 3)
