"""A node in a process of its own, started as a person would, through the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import chronik

# The module of the `chronik` command.
COMMAND_LINE = "chronik.cli.main"

# The log line of a node that clients can connect to; see `chronik.server.node`.
_STARTED = b"Kafka Server started"

_LOG_TAIL_BYTES = 4000
_LOG_TAIL_LINES = 12


class NodeProcess:
    """One run of `chronik start`. Created by `spawn`; ends with a signal, or with this process.

    This process holds the other end of its standard input, and it stops when that closes. It is in a process
    group of its own, so that a Ctrl-C at the terminal reaches this process alone.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], log_start: int) -> None:
        self._process = process
        self._log = log
        # Invariant: no whole line before it reports the node's start.
        self._searched = log_start

    @classmethod
    def spawn(
        cls,
        settings: Mapping[str, str],
        log: IO[bytes],
        environment: Mapping[str, str],
        module: str = COMMAND_LINE,
    ) -> "NodeProcess":
        """Start it, and wait for nothing. `log` gets all it prints; closed with `close`. Raises OSError."""
        command = [sys.executable, "-m", module, "start", "--until-stdin-closes"]
        for name, text in settings.items():
            command += ["--set", f"{name}={text}"]
        log_start = os.fstat(log.fileno()).st_size
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=same_chronik(environment),
            process_group=0,
        )
        return cls(process, log, log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def started(self) -> str | None:
        """Returns the log line of a completed start, once there is one."""
        while True:
            text = os.pread(self._log.fileno(), 1 << 20, self._searched)
            lines = text.splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):
                lines.pop()
            if not lines:
                return None
            for line in lines:
                if _STARTED in line:
                    return line.decode(errors="replace")
            self._searched += sum(map(len, lines))

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Requests it to stop, also while it is held by SIGSTOP."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.signal(signal.SIGKILL)

    def wait(self, seconds: float) -> int | None:
        """Returns its exit code, None when it has not ended by then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def log_tail(self) -> str:
        """The last lines that it printed."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - _LOG_TAIL_BYTES)
        text = os.pread(self._log.fileno(), _LOG_TAIL_BYTES, start).decode(errors="replace")
        return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])

    def close(self) -> None:
        """Releases the resources held for a process that has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


def open_log(path: Path) -> IO[bytes]:
    """A log file that one run after another is appended to. Raises OSError."""
    return path.open("a+b", buffering=0)


def started_event(line: str) -> dict[str, Any]:
    """Parses a `started` line of a node whose `log.format` is json."""
    event: dict[str, Any] = json.loads(line)
    return event


def same_chronik(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the same `chronik` is imported as here."""
    source = str(Path(chronik.__file__).parent.parent)
    path = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": source if not path else f"{source}{os.pathsep}{path}"}
