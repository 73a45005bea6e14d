"""The clients' processes, as seen by the chaos run."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chronik.history.events import Place

_KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What all clients have in common. `directory` gets a history and a log of each."""

    servers: str
    partitions: int
    directory: Path


class ClientProcess:
    """Made running; ends by what it is told, or with this process."""

    def __init__(self, role: str, client: str, load: Load, topics: Sequence[str]) -> None:
        self.name = f"{role} {client}".strip()
        stem = self.name.replace(" ", "-")
        self.history = load.directory / f"{stem}.jsonl"
        self._log_path = load.directory / f"{stem}.log"
        command = [sys.executable, "-W", "ignore", "-m", "tests.chaos.clients", role]
        command += ["--client", client, "--servers", load.servers, "--partitions", str(load.partitions)]
        command += [word for topic in topics for word in ("--topic", topic)]
        command += ["--history", str(self.history)]
        with self._log_path.open("ab") as log:
            # Without a buffer, which could not be closed once the process has ended by itself.
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def is_under_way(self) -> bool:
        """True if it has seen something, or will never."""
        return not self.is_running or (self.history.exists() and self.history.stat().st_size > 0)

    def tell(self, ends: Mapping[Place, int] | None = None) -> None:
        """To end: at once, or when it has read up to `ends`."""
        assert self._process.stdin is not None
        # One that has ended by itself is told of by `wait`.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(ends or {}).encode() + b"\n")

    def wait(self, seconds: float) -> str | None:
        """What went wrong; None when it ended as it was told. It has ended in any case."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            return f"{self.name} did not end within {seconds:g} s"
        self.end()
        return None if code == 0 else f"{self.name} ended with code {code}: {self._log_tail()}"

    def end(self) -> None:
        if self.is_running:
            self._process.kill()
            self._process.wait(_KILL_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _log_tail(self) -> str:
        return "\n".join(self._log_path.read_text(errors="replace").splitlines()[-12:])
