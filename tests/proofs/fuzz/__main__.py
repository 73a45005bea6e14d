"""Mutated real requests against a real broker.

    python -m tests.proofs.fuzz [--minutes 10] [--seed N] [--session N]

Requests of every API and version, made from their schemas and taken down from real clients, are spoiled
(bits, lengths, numbers, cuts, splices, garbage) and sent in every manner (at once, byte by byte, half closed,
reset, never reading) over several connections at a time. All the while a healthy client must be answered,
memory must stay bounded, and no log line may tell of a bug. A session is known by the seed and its number:
`--session` runs a single one again. Exit code 1 when anything was found.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Lock

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console
from rich.progress import Progress

from tests.proofs.fuzz.capture import Recorder, play
from tests.proofs.fuzz.session import Session
from tests.proofs.fuzz.watch import Findings, Watch, probe
from tests.support.broker_log import bugs_in
from tests.support.broker_process import BrokerProcess, free_port
from tests.support.protocol.generate import World

_CONNECTIONS = 8
# Topics and groups that attackers create in good order are state, not a leak, so there is room for them.
RSS_MB_MAX = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--session", type=int, help="run only this one")
    arguments = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="chronik-fuzz-") as directory,
        Progress(console=console, transient=True) as progress,
    ):
        numbers = None if arguments.session is None else [arguments.session]
        findings = run(arguments.seed, arguments.minutes * 60, Path(directory), progress, numbers)
    _show(console, arguments.seed, findings)
    return 1 if findings.problems else 0


def run(
    seed: int, seconds: float, directory: Path, progress: Progress, numbers: Sequence[int] | None = None
) -> Findings:
    """Fuzz for so long, or only the sessions of these numbers."""
    findings = Findings()
    captured = _capture(directory / "captured")
    broker = BrokerProcess(_made(directory / "fuzzed"))
    broker.start()
    try:
        world = _create_world(broker)
        watch = Watch(broker, findings)
        watch.start()
        _fire(_Gun(seed, broker.port, world, captured, findings), seconds, numbers, progress)
        watch.stop()
        _conclude(broker, findings)
    finally:
        broker.kill()
    return findings


def _capture(directory: Path) -> list[bytes]:
    """What real clients send to a broker that nobody disturbs."""
    port = free_port()
    recorder = Recorder(port)
    broker = BrokerProcess(
        _made(directory), f"advertised.listeners=PLAINTEXT://127.0.0.1:{recorder.port}", port=port
    )
    broker.start()
    try:
        play(f"127.0.0.1:{recorder.port}", "fuzz-a")
        return recorder.requests()
    finally:
        recorder.close()
        broker.kill()


def _create_world(broker: BrokerProcess) -> World:
    world = World()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    compacted = {"cleanup.policy": "compact", "compression.type": "zstd"}
    topics = [
        NewTopic(name, world.partitions, config=compacted if name == "fuzz-c" else {})
        for name in world.topics
        if not name.startswith("_")
    ]
    for created in admin.create_topics(topics).values():
        created.result(timeout=10)
    described = admin.list_topics(timeout=10)
    assert set(described.topics) >= {topic.topic for topic in topics}
    return world


class _Gun:
    """Runs sessions by number."""

    def __init__(
        self, seed: int, port: int, world: World, captured: Sequence[bytes], findings: Findings
    ) -> None:
        self._seed = seed
        self._port = port
        self._world = world
        self._captured = captured
        self._findings = findings
        self._lock = Lock()

    @property
    def is_over(self) -> bool:
        return bool(self._findings.problems)

    def shoot(self, number: int) -> None:
        Session(self._seed, number, self._world, self._captured).run(self._port)
        with self._lock:
            self._findings.sessions += 1


def _fire(gun: _Gun, seconds: float, numbers: Sequence[int] | None, progress: Progress) -> None:
    if numbers is not None:
        for number in numbers:
            gun.shoot(number)
        return
    started = time.monotonic()
    task = progress.add_task("fuzzing", total=seconds)
    each = count()
    next_number: Callable[[], int] = lambda: next(each)  # noqa: E731  (one shared counter)

    def worker() -> None:
        while not gun.is_over and time.monotonic() - started < seconds:
            gun.shoot(next_number())
            progress.update(task, completed=time.monotonic() - started)

    with ThreadPoolExecutor(_CONNECTIONS) as workers:
        for done in [workers.submit(worker) for _ in range(_CONNECTIONS)]:
            done.result()


def _conclude(broker: BrokerProcess, findings: Findings) -> None:
    if not broker.is_running:
        findings.problems.append(f"the broker died:\n{broker.log_path.read_text()[-3000:]}")
        return
    try:
        probe(broker.port)
    except OSError as error:
        findings.problems.append(f"no answer in the end: {error!r}")
    if max(findings.rss_mb, default=0.0) > RSS_MB_MAX:
        findings.problems.append(f"it grew to {max(findings.rss_mb):.0f} MB; {RSS_MB_MAX:.0f} are allowed")
    findings.problems += bugs_in(broker.log_path)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def _show(console: Console, seed: int, findings: Findings) -> None:
    rss = findings.rss_mb or [0.0]
    console.print(
        f"seed {seed}: {findings.sessions:,} hostile connections; {findings.probes:,} probes, the slowest "
        f"{findings.slowest_probe_ms:.0f} ms; resident {rss[0]:.0f} MB at first, {max(rss):.0f} at most, "
        f"{rss[-1]:.0f} in the end"
    )
    for problem in findings.problems:
        console.print(f"FOUND {problem}", markup=False, highlight=False, soft_wrap=True)
    if not findings.problems:
        console.print("[green]nothing found")


if __name__ == "__main__":
    sys.exit(main())
