"""The addresses and directories of the nodes of a local cluster."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_HOST = "localhost"
_PEER_HOST = "127.0.0.1"

_NODE_DIRECTORY = r"node-([1-9][0-9]*)"

PORT_MAX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """One node. It is the same at every start of the cluster."""

    id: int
    kafka_port: int
    raft_port: int
    http_port: int
    data_dir: Path
    log_path: Path

    @property
    def bootstrap_servers(self) -> str:
        return f"{_HOST}:{self.kafka_port}"

    @property
    def raft_address(self) -> str:
        return f"{_PEER_HOST}:{self.raft_port}"

    @property
    def http_address(self) -> str:
        return f"{_HOST}:{self.http_port}"

    @property
    def ports(self) -> Mapping[str, int]:
        """By the option that chooses them."""
        return {
            "--kafka-port": self.kafka_port,
            "--raft-port": self.raft_port,
            "--http-port": self.http_port,
        }


def plan_nodes(
    count: int, data_dir: Path, *, kafka_port: int, raft_port: int, http_port: int
) -> list[LocalNode]:
    """`count` nodes with ids from 1, the ports of the first given. Raises ValueError for ports that meet."""
    nodes = [
        LocalNode(
            id=number + 1,
            kafka_port=kafka_port + number,
            raft_port=raft_port + number,
            http_port=http_port + number,
            data_dir=data_dir / f"node-{number + 1}",
            log_path=data_dir / f"node-{number + 1}.log",
        )
        for number in range(count)
    ]
    wanted: dict[int, str] = {}
    for node in nodes:
        for option, port in node.ports.items():
            what = f"node {node.id}'s {option}"
            if port > PORT_MAX:
                raise ValueError(f"{what} would be {port}, and ports end at {PORT_MAX}")
            if port in wanted:
                raise ValueError(f"{what} and {wanted[port]} would both be {port}")
            wanted[port] = what
    return nodes


def nodes_there(data_dir: Path) -> int:
    """Returns how many nodes a directory holds already."""
    if not data_dir.is_dir():
        return 0
    numbers = (re.fullmatch(_NODE_DIRECTORY, entry.name) for entry in data_dir.iterdir() if entry.is_dir())
    return max((int(number[1]) for number in numbers if number is not None), default=0)


def node_settings(node: LocalNode, nodes: Sequence[LocalNode], given: Mapping[str, str]) -> dict[str, str]:
    """Returns the settings of `node`. Those in `given` take precedence over all but its identity."""
    listener = f"PLAINTEXT://{node.bootstrap_servers}"
    voters = ",".join(f"{each.id}@{each.raft_address}" for each in nodes)
    return {
        **given,
        "node.id": str(node.id),
        "data.dir": str(node.data_dir),
        "listeners": listener,
        "advertised.listeners": listener,
        "http.address": node.http_address,
        "controller.quorum.voters": voters,
        "raft.address": node.raft_address,
    }
