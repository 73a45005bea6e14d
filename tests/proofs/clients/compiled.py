"""Clients whose programs are compiled on first use: franz-go and Sarama (`go`), rskafka (`rust`)."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.proofs.clients.client import Member
from tests.proofs.clients.command import CommandWriter, assigned_lines, read_lines
from tests.proofs.clients.missing import Missing

_HERE = Path(__file__).parent
# Fetching and compiling a hundred crates takes minutes on two cores.
_BUILD_SECONDS_MAX = 1200


class CompiledClient:
    """A program that writes and reads lines; see the heads of the programs."""

    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = False

    def __init__(self, name: str, program: Path, *, has_groups: bool = True) -> None:
        self.name = name
        self.has_groups = has_groups
        self._program = str(program)

    def open_writer(self, bootstrap_servers: str, codec: str) -> CommandWriter:
        return CommandWriter(lambda topic: [self._program, "write", bootstrap_servers, topic, codec])

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        read_lines([self._program, "read", bootstrap_servers, topic, group], assigned_lines, member)


def find_franz_go() -> CompiledClient | Missing:
    return _go("franz-go", "franz")


def find_sarama() -> CompiledClient | Missing:
    return _go("sarama", "sarama")


def find_rskafka() -> CompiledClient | Missing:
    directory = _HERE / "rust"
    problem = _built("cargo", ["build", "--quiet", "--release", "--locked"], directory)
    if problem is not None:
        return Missing("rskafka", problem)
    return CompiledClient("rskafka", directory / "target" / "release" / "rskafka-client", has_groups=False)


def _go(name: str, program: str) -> CompiledClient | Missing:
    directory = _HERE / "go"
    problem = _built("go", ["build", "-o", "bin/", f"./{program}"], directory)
    return Missing(name, problem) if problem else CompiledClient(name, directory / "bin" / program)


def _built(tool: str, arguments: Sequence[str], directory: Path) -> str | None:
    """What kept a program from being built; None when it is there. Nothing is built twice."""
    found = shutil.which(tool)
    if found is None:
        return f"there is no `{tool}` command"
    try:
        ended = subprocess.run(
            [found, *arguments], cwd=directory, capture_output=True, timeout=_BUILD_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return f"`{tool}` did not build it in time"
    lines = ended.stderr.decode(errors="replace").strip().splitlines()
    return f"`{tool}` could not build it: {' '.join(lines[-2:])}" if ended.returncode else None
