from pathlib import Path

import pytest

from chronik.cli.local_cluster.plan import LocalNode, node_settings, nodes_there, plan_nodes
from chronik.server.settings.listeners import Address
from chronik.server.settings.loading import Settings

PORTS = {"kafka_port": 9092, "raft_port": 5001, "http_port": 9101}


def test_ports_are_consecutive() -> None:
    nodes = plan_nodes(3, Path("cluster"), **PORTS)
    assert nodes[2] == LocalNode(
        id=3,
        kafka_port=9094,
        raft_port=5003,
        http_port=9103,
        data_dir=Path("cluster/node-3"),
        log_path=Path("cluster/node-3.log"),
    )
    assert [node.bootstrap_servers for node in nodes] == [
        "localhost:9092",
        "localhost:9093",
        "localhost:9094",
    ]


@pytest.mark.parametrize(
    ("count", "ports", "problem"),
    [
        (10, PORTS, "node 10's --kafka-port and node 1's --http-port would both be 9101"),
        (
            1,
            {**PORTS, "raft_port": 9092},
            "node 1's --raft-port and node 1's --kafka-port would both be 9092",
        ),
        (2, {**PORTS, "http_port": 65535}, "node 2's --http-port would be 65536, and ports end at 65535"),
    ],
)
def test_ports_that_cannot_be(count: int, ports: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        plan_nodes(count, Path("cluster"), **ports)


def test_settings_make_a_node_of_the_cluster() -> None:
    nodes = plan_nodes(3, Path("cluster"), **PORTS)
    settings = Settings.load(node_settings(nodes[1], nodes, {"num.partitions": "3", "node.id": "7"}))
    assert settings.node_id == 2
    assert settings.raft_address == settings.voters[settings.node_id] == Address("127.0.0.1", 5002)
    assert list(settings.voters) == [1, 2, 3]
    assert settings.http_address == Address("localhost", 9102)
    assert settings.data_dir == "cluster/node-2"
    assert settings.config.int("num.partitions") == 3
    assert settings.notes == ()


def test_nodes_that_are_there(tmp_path: Path) -> None:
    assert nodes_there(tmp_path / "absent") == nodes_there(tmp_path) == 0
    for name in ("node-1", "node-2", "node-10x", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "node-7").touch()
    assert nodes_there(tmp_path) == 2
