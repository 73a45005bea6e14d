"""A broker as a process: started on free loopback ports, asked until it answers, watched, ended by its id."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chronik.cli.perf.api_versions import supported_apis

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0

# How finely a start is timed. Each try costs a starting broker on few cores a little, so not finer.
_POLL_S = 0.001
_LOG_TAIL_CHARS = 600


class PeerError(Exception):
    """A broker did not start, or ended by itself; the message has the end of its log."""


class BrokerProcess:
    """A child process and where it listens. Made by `start`; its maker calls `stop`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._process = process
        self._log = log
        self._started = started
        self.address = ("127.0.0.1", 0)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def wait_until_answering(self, address: tuple[str, int]) -> float:
        """Ask ApiVersions until it is answered; seconds since the process was started. Raises PeerError."""
        self.address = address
        while time.perf_counter() < self._started + START_TIMEOUT_S:
            with contextlib.suppress(OSError):
                supported_apis(address, timeout_s=START_TIMEOUT_S)
                return time.perf_counter() - self._started
            if self._process.poll() is not None:
                raise PeerError(f"ended with code {self._process.returncode} at start:\n{self.log_tail()}")
            time.sleep(_POLL_S)
        raise PeerError(f"no answer within {START_TIMEOUT_S:.0f} s of its start:\n{self.log_tail()}")

    def first_line(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """The first line it prints, waited for. Raises PeerError when it ends before that."""
        while "\n" not in (text := self._log.read_text(errors="replace")):
            if self._process.poll() is not None or time.perf_counter() > self._started + timeout_s:
                raise PeerError(f"printed no line:\n{text}")
            time.sleep(_POLL_S)
        return text.partition("\n")[0]

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL_CHARS:]

    def resident_mb(self) -> float:
        """Resident memory in units of 10^6 bytes."""
        resident = self._status_mb("VmRSS:")
        if resident is None:
            return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.pid)])) * 1024 / 1e6
        return resident

    def peak_mb(self) -> float | None:
        """The most memory that was ever resident; None where the system does not tell."""
        return self._status_mb("VmHWM:")

    def _status_mb(self, name: str) -> float | None:
        """A line of Linux' /proc/<pid>/status, which is in KiB."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return None
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024 / 1e6

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> float | None:
        """Send SIGTERM; seconds until the process ended, or None when it did not within the timeout."""
        start = time.perf_counter()
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return time.perf_counter() - start

    def stop(self) -> None:
        """End it, by force if it does not go by itself."""
        if self._process.poll() is None and self.terminate() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def start(command: Sequence[str], log: Path) -> Iterator[BrokerProcess]:
    """A running process of `command`, whose output goes to `log`; gone when the block ends."""
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    broker = BrokerProcess(process, log, started)
    try:
        yield broker
    finally:
        broker.stop()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on now; all differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for candidate in sockets:
            candidate.bind(("127.0.0.1", 0))
        return [candidate.getsockname()[1] for candidate in sockets]
