"""A broker in a process of its own, for tests that kill it. Uses only what a user has: the command."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# From exec to the first answer: 0.3 s on a quiet machine; a recovery under load takes longer.
START_SECONDS_MAX = 30.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class BrokerProcess:
    """Keeps its port and directory over any number of starts. Dies with the test that made it."""

    # Whether this process talks with it by its standard input and output.
    is_piped = False

    def __init__(
        self, directory: Path, *settings: str, port: int | None = None, prefix: Sequence[str] = ()
    ) -> None:
        """`settings` are `name=value` in Kafka's names; `prefix` is a command that runs the broker's."""
        self.directory = directory
        self.port = free_port() if port is None else port
        self._settings = settings
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self.log_path = directory / "broker.log"

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def resident_mb(self) -> float:
        """Memory that the process has in use now."""
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=True
        )
        return int(shown.stdout) / 1024

    def start(self) -> None:
        """Returns when clients can connect. Raises RuntimeError with the log's end when it does not come
        up.
        """
        command = [*self._prefix, *self.command()]
        command += [
            "--data-dir",
            str(self.directory / "data"),
            "--listeners",
            f"PLAINTEXT://127.0.0.1:{self.port}",
        ]
        for setting in self._settings:
            command += ["--set", setting]
        with self.log_path.open("ab") as log:
            pipe = subprocess.PIPE if self.is_piped else None
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe or log, stderr=log, env=_environment()
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the broker did not start:\n{self.log_path.read_text()[-4000:]}")
            time.sleep(0.005)

    def command(self) -> list[str]:
        """What starts the node, without directory, listener and settings."""
        return [sys.executable, "-m", "chronik.cli.main", "start", "--http", "off"]

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        code = self._process.wait(timeout=30)
        self._process = None
        return code

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _environment() -> dict[str, str]:
    """The test's own, without what would configure a broker by accident."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CHRONIK_"))}
