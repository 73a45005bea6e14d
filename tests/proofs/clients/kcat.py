"""kcat: an older librdkafka behind a command (Debian's package `kcat`)."""

import shutil

from tests.proofs.clients.client import Member
from tests.proofs.clients.command import CommandWriter, read_lines
from tests.proofs.clients.missing import Missing


class Kcat:
    name = "kcat"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = True
    has_groups = True

    def open_writer(self, bootstrap_servers: str, codec: str) -> CommandWriter:
        options = ["-K", "|", "-X", f"compression.codec={codec}"]
        return CommandWriter(lambda topic: ["kcat", "-P", "-b", bootstrap_servers, "-t", topic, *options])

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        command = ["kcat", "-b", bootstrap_servers, "-u", "-X", "auto.offset.reset=earliest"]
        read_lines([*command, "-f", "%p %o %s\n", "-G", group, topic], _assigned, member)


def find_kcat() -> Kcat | Missing:
    if shutil.which("kcat") is None:
        return Missing("kcat", "there is no `kcat` command (Debian: apt-get install kcat)")
    return Kcat()


def _assigned(line: str) -> int | None:
    """`% Group g rebalanced (memberid m): assigned: topic [0], topic [1]`."""
    if "rebalanced" not in line:
        return None
    _, is_assigned, partitions = line.partition("): assigned: ")
    return partitions.count("[") if is_assigned else 0
