"""Apache Kafka itself, on loopback, to compare with."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from chronik.cli.local_cluster.ports import free_ports
from tests.proofs.java.jars import Jars

_START_SECONDS_MAX = 240.0
_STOP_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.2
_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
_HEAP = "-Xmx384m"


class ApacheKafka:
    """Nodes that are brokers and controllers in one, in processes of their own. Not restarted."""

    def __init__(self, jars: Jars, directory: Path, nodes: int) -> None:
        ports = free_ports(2 * nodes)
        self._jars = jars
        self._directory = directory
        self._ports = ports[:nodes]
        self._controller_ports = ports[nodes:]
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def servers(self) -> Sequence[str]:
        return [f"127.0.0.1:{port}" for port in self._ports]

    @property
    def data_dirs(self) -> Sequence[Path]:
        return [self._directory / f"log{node}" for node in range(1, len(self._ports) + 1)]

    def start(self) -> None:
        """Returns when every node is registered. Raises RuntimeError."""
        try:
            for node in range(1, len(self._ports) + 1):
                self._spawn(node)
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _spawn(self, node: int) -> None:
        properties = self._directory / f"node{node}.properties"
        properties.write_text(self._properties(node))
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        java = ["java", _HEAP, quiet, "-cp", self._jars.class_path]
        command = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
        subprocess.run(command, check=True, capture_output=True)
        with (self._directory / f"node{node}.out").open("ab") as output:
            self._processes.append(
                subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=output, stderr=output)
            )

    def _wait_ready(self) -> None:
        command = [
            "java",
            _HEAP,
            "-cp",
            self._jars.class_path,
            "org.apache.kafka.tools.BrokerApiVersionsCommand",
        ]
        command += ["--bootstrap-server", ",".join(self.servers)]
        deadline = time.monotonic() + _START_SECONDS_MAX
        while True:
            shown = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_START_SECONDS_MAX
            )
            if all(server in shown.stdout for server in self.servers):
                return
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                raise RuntimeError(f"Apache Kafka did not start; see {self._directory}/node*.out")
            time.sleep(_POLL_SECONDS)

    def _properties(self, node: int) -> str:
        voters = (f"{i}@127.0.0.1:{port}" for i, port in enumerate(self._controller_ports, 1))
        factor = min(3, len(self._ports))
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://{self.servers[node - 1]},"
            f"CONTROLLER://127.0.0.1:{self._controller_ports[node - 1]}",
            "advertised.listeners": f"PLAINTEXT://{self.servers[node - 1]}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self._directory / f"log{node}",
            # As Chronik has it by itself.
            "group.initial.rebalance.delay.ms": 0,
            "default.replication.factor": factor,
            "min.insync.replicas": 1 if factor == 1 else 2,
            "offsets.topic.replication.factor": factor,
            "transaction.state.log.replication.factor": factor,
            "transaction.state.log.min.isr": 1 if factor == 1 else 2,
            "share.coordinator.state.topic.replication.factor": factor,
            "share.coordinator.state.topic.min.isr": 1 if factor == 1 else 2,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())
