"""KafkaJS: the JavaScript client, in a Node.js process. npm installs it on first use."""

import shutil
import subprocess
from pathlib import Path

from tests.proofs.clients.client import Member
from tests.proofs.clients.command import CommandWriter, assigned_lines, read_lines
from tests.proofs.clients.missing import Missing

_DIRECTORY = Path(__file__).parent / "node"
_INSTALL_SECONDS_MAX = 120


class KafkaJs:
    name = "kafkajs"
    # lz4 and zstd are native add-ons, to be compiled.
    codecs = ("none", "gzip", "snappy")
    drops_records_when_it_leaves = False
    has_groups = True

    def open_writer(self, bootstrap_servers: str, codec: str) -> CommandWriter:
        return CommandWriter(lambda topic: [*_client("write"), bootstrap_servers, topic, codec])

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        read_lines([*_client("read"), bootstrap_servers, topic, group], assigned_lines, member)


def find_kafkajs() -> KafkaJs | Missing:
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            return Missing("kafkajs", f"there is no `{command}` command")
    if not (_DIRECTORY / "node_modules" / "kafkajs").exists():
        problem = _install()
        if problem is not None:
            return Missing("kafkajs", problem)
    return KafkaJs()


def _install() -> str | None:
    """What kept npm from installing KafkaJS; None when it is there."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    try:
        ended = subprocess.run(
            command, cwd=_DIRECTORY, capture_output=True, timeout=_INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return "npm did not install it in time"
    lines = ended.stderr.decode(errors="replace").strip().splitlines()
    return f"npm could not install it: {lines[-1:]}" if ended.returncode else None


def _client(command: str) -> list[str]:
    return ["node", str(_DIRECTORY / "client.js"), command]
