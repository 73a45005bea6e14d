"""`chronik cluster start` in a process of its own, and the commands that look at what it started."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.local_cluster.ports import free_ports, is_free
from chronik.cli.main import main
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SECONDS = 60
NODES = 3


@dataclass
class Started:
    """A running `chronik cluster start`, and what it said."""

    process: subprocess.Popen[str]
    report: Any
    errors: Path

    @property
    def servers(self) -> str:
        return str(self.report["bootstrap_servers"])

    def pid(self, node: int) -> int:
        return int(self.report["nodes"][node - 1]["pid"])


def consecutive_ports() -> int:
    """The first of as many free ports as there are nodes."""
    while True:
        first = free_ports(1)[0]
        if all(is_free(first + number) for number in range(NODES)):
            return first


@contextmanager
def started(directory: Path, *words: str) -> Iterator[Started]:
    command = [sys.executable, "-m", "chronik.cli.main", "cluster", "start", "--json"]
    command += ["--data-dir", str(directory / "cluster"), *words]
    for option in ("--kafka-port", "--raft-port", "--http-port"):
        command += [option, str(consecutive_ports())]
    errors = directory / "errors"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CHRONIK_"))
    }
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, process_group=0
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            assert line, errors.read_text()
            yield Started(process, json.loads(line), errors)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS)
            finally:
                process.kill()
                process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_json(capsys: pytest.CaptureFixture[str], servers: str, *words: str) -> Any:
    capsys.readouterr()
    main([*words, "--bootstrap-server", servers, "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started(tmp_path_factory.mktemp("start"), "--set", "num.partitions=3") as running:
        yield running


def test_status(cluster: Started, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topic", "create", "orders", "-b", cluster.servers]) == ExitCode.OK
    report = run_json(capsys, cluster.servers, "cluster", "status")
    assert [node["state"] for node in report["nodes"]] == ["up"] * NODES
    assert [node["address"] for node in report["nodes"]] == cluster.servers.split(",")
    assert report["controller"] in (1, 2, 3)
    assert sum(node["is_controller"] for node in report["nodes"]) == 1
    assert sum(node["leaders"] for node in report["nodes"]) == report["partitions"] == 3
    assert report["without_leader"] == report["under_replicated"] == report["lags"] == []


def test_a_topic_has_a_replica_on_every_node(cluster: Started, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["topic", "create", "replicated", "--replication-factor", "3", "-p", "3", "-b", cluster.servers]
    assert main(words) == ExitCode.OK
    report = run_json(capsys, cluster.servers, "topic", "describe", "replicated")
    places = report["partitions"]
    assert {place["leader"] for place in places} == {1, 2, 3}
    for place in places:
        assert sorted(place["replicas"]) == sorted(place["in_sync"]) == [1, 2, 3]
        assert place["offline"] == []
        assert (place["start_offset"], place["end_offset"]) == (0, 0)
        assert place["leader_epoch"] >= 1
    capsys.readouterr()
    assert main(["topic", "create", "too-many", "-r", "4", "-b", cluster.servers]) == ExitCode.FAILED
    assert "INVALID_REPLICATION_FACTOR" in capsys.readouterr().err


def test_nodes_know_each_other_by_a_secret_of_their_own(
    cluster: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which other users of the machine cannot read, and clients are not shown."""
    directory = Path(cluster.report["nodes"][0]["data_dir"]).parent
    secret = directory / "raft.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    text = secret.read_text().strip()
    assert len(text) >= 40
    for log in directory.glob("*.log"):
        assert text not in log.read_text()
    (shown,) = [
        setting
        for setting in run_json(capsys, cluster.servers, "config", "describe", "broker", "1", "--all")
        if setting["name"] == "raft.secret"
    ]
    assert (shown["value"], shown["is_sensitive"]) == (None, True)


def test_leaders_are_where_they_belong(cluster: Started, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topic", "create", "led", "-b", cluster.servers]) == ExitCode.OK
    capsys.readouterr()
    assert main(["cluster", "elect-leaders", "-b", cluster.servers]) == ExitCode.OK
    assert capsys.readouterr().out == "Every partition has its preferred leader.\n"
    words = ["cluster", "elect-leaders", "--topic", "nobodys", "-b", cluster.servers]
    assert main(words) == ExitCode.FAILED
    assert "UNKNOWN_TOPIC_OR_PARTITION" in capsys.readouterr().err


def test_a_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines"
    lines.write_text("one\ntwo\n")
    with started(tmp_path) as cluster:
        pids = [cluster.pid(node) for node in (1, 2, 3)]
        assert main(["topic", "create", "orders", "-p", "1", "-b", cluster.servers]) == ExitCode.OK
        assert main(["produce", "orders", "-f", str(lines), "-b", cluster.servers]) == ExitCode.OK
        os.kill(cluster.pid(3), signal.SIGKILL)
        wait_until(
            lambda: "node 3 ended with code -9" in cluster.errors.read_text(), "its end is told", SECONDS
        )
        report = wait_until(
            lambda: lagging(run_json(capsys, cluster.servers, "cluster", "status")), "it is missed", SECONDS
        )
        assert {lag["node"] for lag in report["lags"]} == {3}
    assert cluster.process.returncode == ExitCode.OK
    assert "Stopping" in cluster.errors.read_text()
    assert not any(map(is_alive, pids))
    # The data is kept, also at other ports.
    with started(tmp_path) as cluster:
        capsys.readouterr()
        words = ["consume", "orders", "--from-beginning", "--max-messages", "2", "-b", cluster.servers]
        assert main(words) == ExitCode.OK
        assert capsys.readouterr().out.splitlines() == ["one", "two"]
        assert (tmp_path / "cluster" / "node-1.log").read_text().count("Kafka Server started") == 2


def lagging(report: Any) -> Any:
    return report if report["under_replicated"] and not report["without_leader"] else None
