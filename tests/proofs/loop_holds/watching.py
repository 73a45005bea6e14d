"""The watched node as seen by its attackers."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.broker_process import START_SECONDS_MAX, BrokerProcess, free_port


class Seen(NamedTuple):
    """What a node saw of itself since the last reset."""

    longest_ms: float
    peak_mb: float
    resident_mb: float
    # Whether the node has imported all that it imports after its start.
    has_imported: bool
    stacks: list[tuple[str, int]]


class WatchedNode(BrokerProcess):
    """A `BrokerProcess` that can say how long its loop was held."""

    is_piped = True

    def __init__(self, directory: Path, *settings: str) -> None:
        super().__init__(directory, *settings)
        self.http_port = free_port()

    def command(self) -> list[str]:
        module = ["-m", "tests.proofs.loop_holds.watched_node", "start"]
        return [sys.executable, *module, "--http", f"127.0.0.1:{self.http_port}"]

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.report().has_imported:
            assert time.monotonic() < deadline

    def reset(self) -> Seen:
        return self._command("reset")

    def report(self) -> Seen:
        return self._command("report")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside the context the node does nothing, and what is sent to it piles up."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _command(self, word: str) -> Seen:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        return Seen(**json.loads(self._process.stdout.readline()))
