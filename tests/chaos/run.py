"""One run: load, faults, healing, and what there is to say of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chronik.history.check import History
from chronik.history.events import Place, Records
from chronik.history.violations import Violation
from chronik.testing import BrokerError
from tests.chaos.crew import TOPICS, Crew
from tests.chaos.faults import NODES, Fault, draw
from tests.chaos.processes import Load
from tests.chaos.recheck import recheck, save_logs
from tests.chaos.scene import Befallen, Scene, scene
from tests.proofs.cluster.in_sync import wait_in_sync
from tests.proofs.cluster.ledger import read_all
from tests.support.broker_log import bugs_in

PARTITIONS = 4
# Load without faults, before the first and after the last: to see what is normal, and that it comes again.
CALM_SECONDS = 5.0
# The bound of each step of the healing.
HEALING_SECONDS_MAX = 120.0
_TICK_SECONDS = 0.05

Tell = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """All that the report is made of. Times on the monotonic clock."""

    seed: int
    # Of faults, as asked for.
    minutes: float = 0.0
    # Of the load.
    began: float = 0.0
    ended: float = 0.0
    # How the disk is filled; None when it cannot be.
    disk: str | None = None
    befallen: list[Befallen] = field(default_factory=list)
    # Seconds that each step of the healing took.
    healing: dict[str, float] = field(default_factory=dict)
    ended_on_full_disk: int = 0
    history: History = field(default_factory=History)
    logs: Mapping[Place, Records] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


def run(seed: int, minutes: float, directory: Path, tell: Tell) -> Outcome:
    """`directory`, which must be new, gets histories, logs and data; `tell` is told how far it is.

    Raises BrokerError and OSError when the cluster or a client cannot be started at all.
    """
    outcome = Outcome(seed, minutes)
    clients = directory / "clients"
    clients.mkdir(parents=True)
    nodes = directory / "nodes"
    with scene(directory) as stage:
        outcome.disk = None if stage.disk is None else stage.disk.how
        for topic in TOPICS:
            stage.cluster.create_topic(topic, PARTITIONS, replication_factor=len(NODES))
        load = Load(servers=stage.cluster.bootstrap_servers, partitions=PARTITIONS, directory=clients)
        with closing(Crew(load)) as crew:
            crew.wait_under_way()
            _befall(stage, outcome, draw(seed, minutes * 60), tell)
            _heal(stage, crew, outcome, tell)
        outcome.ended_on_full_disk = stage.ended_on_full_disk
        outcome.violations += [Violation("node", text) for text in stage.problems]
        stage.cluster.stop()
        outcome.violations += differences(nodes, outcome.logs)
    outcome.violations += [
        Violation("node", f"the log of node {node} says: {bug}")
        for node in NODES
        for bug in bugs_in(nodes / f"node-{node}.log")
    ]
    save_logs(directory, outcome.logs)
    outcome.history, violations = recheck(directory)
    outcome.violations += violations
    return outcome


# Faults.


def _befall(stage: Scene, outcome: Outcome, faults: list[Fault], tell: Tell) -> None:
    outcome.began = time.monotonic()
    befallen = [Befallen(fault) for fault in faults]
    steps = [(each.fault.start, stage.begin, each) for each in befallen]
    steps += [(each.fault.end, stage.end, each) for each in befallen]
    for at, step, each in sorted(steps, key=lambda one: one[0]):
        _watch_until(stage, outcome.began + CALM_SECONDS + at)
        if step == stage.begin:
            outcome.befallen.append(each)
            tell(f"{at:6.1f} s: {each.fault.kind.value} {each.fault.nodes} for {each.fault.seconds:.1f} s")
        try:
            step(each)
        except BrokerError as error:
            outcome.violations.append(Violation("node", f"{each.fault}: {error}"))
    _watch_until(stage, time.monotonic() + CALM_SECONDS)


def _watch_until(stage: Scene, at: float) -> None:
    stage.watch()
    while (left := at - time.monotonic()) > 0:
        time.sleep(min(left, _TICK_SECONDS))
        stage.watch()


# Healing.


def _heal(stage: Scene, crew: Crew, outcome: Outcome, tell: Tell) -> None:
    """Each step goes on from what there is, also when the one before it went wrong."""

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except (BrokerError, TimeoutError, RuntimeError) as error:
            outcome.violations.append(Violation("liveness", f"{step}: {error}"))
        outcome.healing[step] = time.monotonic() - began
        tell(f"healing: {step}: {outcome.healing[step]:.1f} s")

    with timed("all nodes serve"):
        stage.heal()
    with timed("all replicas are in sync"):
        wait_in_sync(stage.cluster, HEALING_SECONDS_MAX)
    time.sleep(CALM_SECONDS)
    outcome.ended = time.monotonic()
    with timed("everything sent is answered"):
        problems = crew.stop_writing(HEALING_SECONDS_MAX)
        outcome.violations += [Violation("liveness", text) for text in problems]
    with timed("everything can be read"):
        outcome.logs = _read_logs(stage)
    with timed("every group has read and committed everything"):
        ends = {place: len(records) for place, records in outcome.logs.items()}
        problems = crew.stop_reading(ends, HEALING_SECONDS_MAX)
        outcome.violations += [Violation("liveness", text) for text in problems]
    with timed("all replicas are in sync at the end"):
        wait_in_sync(stage.cluster, HEALING_SECONDS_MAX)


def _read_logs(stage: Scene) -> dict[Place, Records]:
    """All records, by a client that has seen nothing of it. Raises TimeoutError, RuntimeError."""
    servers = stage.cluster.bootstrap_servers
    return {
        f"{topic}-{partition}": records
        for topic in TOPICS
        for partition, records in enumerate(read_all(servers, topic, PARTITIONS))
    }


# Replicas.


def differences(nodes: Path, places: Mapping[Place, object]) -> Iterator[Violation]:
    """Partitions whose logs are not the same on all nodes, byte for byte, when all have stopped."""
    for place in places:
        logs = {node: _log_bytes(nodes / f"node-{node}" / place) for node in NODES}
        if len(set(logs.values())) > 1:
            sizes = {node: len(log) for node, log in logs.items()}
            yield Violation("replicas", f"{place} differs: bytes by node {sizes}")


def _log_bytes(partition: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(partition.glob("*.log")))
