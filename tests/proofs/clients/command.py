"""Clients that are commands: lines in, lines out.

A writer's command takes `key|value` lines. A reader's prints `partition offset value` lines, and something
that tells its number of partitions; it leaves its group on SIGTERM.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.proofs.clients.client import ANSWER_SECONDS_MAX, ClientFailed, Member
from tests.proofs.clients.load import Record

Command = Sequence[str]
# What a line that is no record says about the number of partitions, if anything.
Assigned = Callable[[str], int | None]

# A member that leaves does so in a moment.
_LEAVING_SECONDS_MAX = 20.0
_POLL_SECONDS = 0.1
# By itself; by the signal; and what a JVM makes of the signal.
_TOLD_TO_END = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


class CommandWriter:
    """Runs one process for each `send_all`."""

    def __init__(self, command: Callable[[str], Command]) -> None:
        self._command = command

    def send_all(self, topic: str, records: Iterable[Record]) -> None:
        lines = b"".join(b"%s|%s\n" % (record.key, record.value) for record in records)
        try:
            ended = subprocess.run(
                self._command(topic),
                input=lines,
                capture_output=True,
                timeout=ANSWER_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClientFailed(f"the writer did not end: {error}") from error
        if ended.returncode:
            raise ClientFailed(f"the writer ended with {ended.returncode}: {ended.stderr.decode()[-500:]}")

    def close(self) -> None:
        """Every process has ended."""


def read_lines(command: Command, assigned: Assigned, member: Member) -> None:
    """Run a reader until the member is over and it has left. Raises ClientFailed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            last = ""
            for last in _lines(process, member):
                _take(last, assigned, member)
            code = process.wait(ANSWER_SECONDS_MAX)
        finally:
            process.kill()
    if code not in _TOLD_TO_END:
        raise ClientFailed(f"the reader ended with {code}: {last}")


def assigned_lines(line: str) -> int | None:
    """`assigned N`: what the programs of this package print."""
    word, _, count = line.partition(" ")
    return int(count) if word == "assigned" and count.isdigit() else None


def _lines(process: subprocess.Popen[bytes], member: Member) -> Iterator[str]:
    """Every line until the process closes its output; tells it to leave when the member is over."""
    assert process.stdout is not None
    told_at: float | None = None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if member.is_over and (told_at is None or time.monotonic() - told_at > _LEAVING_SECONDS_MAX):
                # The second signal ends it: KafkaJS now and then goes on reading, and never disconnects.
                process.terminate()
                told_at = time.monotonic()
            if not selector.select(_POLL_SECONDS):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")


def _take(line: str, assigned: Assigned, member: Member) -> None:
    words = line.split(" ", 2)
    if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
        member.take(int(words[0]), int(words[1]), words[2].encode())
        return
    partitions = assigned(line)
    if partitions is not None:
        member.on_assigned(partitions)
