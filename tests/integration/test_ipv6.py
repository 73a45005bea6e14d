"""Nodes that are reached by IPv6 alone: brackets wherever an address is written or read."""

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Producer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.local_cluster.ports import free_ports
from chronik.cli.main import main
from tests.support.one_node import OneNode

pytestmark = pytest.mark.integration

SECONDS = 60


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
def test_three_nodes_on_ipv6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ports = free_ports(9)
    kafka, raft, http = ports[:3], ports[3:6], ports[6:]
    voters = ",".join(f"{node}@[::1]:{port}" for node, port in enumerate(raft, start=1))
    nodes = [
        OneNode(
            tmp_path,
            f"node-{number}",
            {
                "node.id": str(number),
                "data.dir": str(tmp_path / f"data-{number}"),
                "listeners": f"PLAINTEXT://[::1]:{kafka[number - 1]}",
                "http.address": f"[::1]:{http[number - 1]}",
                "controller.quorum.voters": voters,
            },
        )
        for number in (1, 2, 3)
    ]
    try:
        for node, port in zip(nodes, http, strict=True):
            node.http_port = port
            node.http_host = "[::1]"
            node.wait_ready(SECONDS)
        server = f"[::1]:{kafka[0]}"
        producer = Producer({"bootstrap.servers": server})
        producer.produce("six", b"v")
        assert producer.flush(SECONDS) == 0
        with urllib.request.urlopen(f"http://[::1]:{http[0]}/", timeout=10) as response:
            assert json.load(response)["listeners"] == {"PLAINTEXT": server}
        assert main(["health", "--http", f"[::1]:{http[0]}"]) == ExitCode.OK
        assert main(["consume", "six", "-b", server, "--from-beginning", "-n", "1"]) == ExitCode.OK
        assert main(["cluster", "status", "-b", server]) == ExitCode.OK
        status = capsys.readouterr().out
        assert all(f"[::1]:{port}" in status for port in kafka)
        for node in nodes:
            # An address of IPv6 with a port and without brackets, anywhere.
            assert re.findall(r"(?<!\[)::1:\d+", node.log()) == []
            assert re.findall(r"\[::1\]:\d+", node.log()) != []
    finally:
        for node in nodes:
            node.kill()


@needs_ipv6
def test_a_port_in_use_is_named_in_brackets(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        node = OneNode(
            tmp_path,
            "node",
            {
                "listeners": f"PLAINTEXT://[::1]:{port}",
                "http.address": "off",
                "data.dir": str(tmp_path / "d"),
            },
        )
        assert node.end() == ExitCode.FAILED
        assert f"error: cannot listen on [::1]:{port}: " in node.log()
        node.kill()
