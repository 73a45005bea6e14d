"""Starts Apache Kafka (KRaft, every node broker and controller), with default settings where that can be."""

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from chronik.cli.local_cluster.ports import free_ports

_POM = Path(__file__).resolve().parent / "pom.xml"
_START_SECONDS_MAX = 120.0
_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"


def fetch_jars(directory: Path) -> Path:
    """Kafka's jars, from Maven Central if the directory does not have them."""
    if not any(directory.glob("kafka_2.13-*.jar")):
        directory.mkdir(parents=True, exist_ok=True)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={directory.resolve()}"]
        subprocess.run(["mvn", "-q", "-f", str(_POM), *goal], check=True, cwd=tempfile.gettempdir())
    return directory


def version_of(jars: Path) -> str:
    """The version that the jars' names say."""
    (jar,) = jars.glob("kafka_2.13-*.jar")
    found = re.fullmatch(r"kafka_2\.13-(.+)\.jar", jar.name)
    assert found is not None
    return found[1]


class ApacheKafka:
    """Nodes in processes of their own; running between `with` and its end."""

    def __init__(self, jars: Path, nodes: int, directory: Path, heap: str = "512m") -> None:
        """`directory` gets their files and output."""
        self._directory = directory
        self._ids = range(1, nodes + 1)
        ports = free_ports(2 * nodes)
        self._ports = dict(zip(self._ids, ports[:nodes], strict=True))
        self._controller_ports = dict(zip(self._ids, ports[nodes:], strict=True))
        log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        self._java = ["java", f"-Xmx{heap}", f"-Xms{heap}", log_level, "-cp", f"{jars}/*"]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def addresses(self) -> Mapping[int, str]:
        """`host:port` of each node."""
        return {node: f"127.0.0.1:{port}" for node, port in self._ports.items()}

    def __enter__(self) -> Self:
        try:
            for node in self._ids:
                self._start(node)
            for node in self._ids:
                self._wait(node)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self, node: int) -> None:
        config = self._directory / f"node{node}.properties"
        config.write_text("\n".join(self._settings(node)) + "\n")
        storage = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config)]
        subprocess.run([*self._java, *storage], check=True, stdout=subprocess.DEVNULL)
        with self._output(node).open("ab") as output:
            self._processes[node] = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(config)], stdout=output, stderr=output
            )

    def _settings(self, node: int) -> list[str]:
        factor = min(len(self._ids), 3)
        in_sync = max(1, factor - 1)
        client, controller = (f"127.0.0.1:{ports[node]}" for ports in (self._ports, self._controller_ports))
        voters = ",".join(f"{each}@127.0.0.1:{port}" for each, port in self._controller_ports.items())
        return [
            "process.roles=broker,controller",
            f"node.id={node}",
            f"controller.quorum.voters={voters}",
            f"listeners=PLAINTEXT://{client},CONTROLLER://{controller}",
            f"advertised.listeners=PLAINTEXT://{client}",
            "controller.listener.names=CONTROLLER",
            f"log.dirs={self._directory}/log{node}",
            # What containers for one node set, and what three nodes need.
            "group.initial.rebalance.delay.ms=0",
            f"default.replication.factor={factor}",
            f"min.insync.replicas={in_sync}",
            f"offsets.topic.replication.factor={factor}",
            f"transaction.state.log.replication.factor={factor}",
            f"transaction.state.log.min.isr={in_sync}",
            f"share.coordinator.state.topic.replication.factor={factor}",
            f"share.coordinator.state.topic.min.isr={in_sync}",
        ]

    def _output(self, node: int) -> Path:
        return self._directory / f"node{node}.out"

    def _wait(self, node: int) -> None:
        deadline = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._ports[node]), 1).close()
                return
            except OSError:
                if self._processes[node].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Kafka did not start:\n{self._output(node).read_text()}") from None
                time.sleep(0.1)

    def _end(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait()
