"""Kafka's own Java client, in a JVM of its own each time (tests/proofs/java/src/LineClient.java)."""

from tests.proofs.clients.client import Member
from tests.proofs.clients.command import CommandWriter, assigned_lines, read_lines
from tests.proofs.clients.missing import Missing
from tests.proofs.java.jars import Jars, default_cache, prepare
from tests.proofs.java.tool_shell import JVM_OPTIONS


class JavaClient:
    name = "java"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = False
    has_groups = True

    def __init__(self, jars: Jars) -> None:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"
        self._command = ["java", *JVM_OPTIONS, quiet, "-cp", jars.class_path, "LineClient"]

    def open_writer(self, bootstrap_servers: str, codec: str) -> CommandWriter:
        return CommandWriter(lambda topic: [*self._command, "write", bootstrap_servers, topic, codec])

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        read_lines([*self._command, "read", bootstrap_servers, topic, group], assigned_lines, member)


def find_java() -> JavaClient | Missing:
    jars = prepare(default_cache())
    return jars if isinstance(jars, Missing) else JavaClient(jars)
