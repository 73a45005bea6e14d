"""One case's calls of tools against one target, and what they said, freed of what differs from run to run."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.proofs.java.targets import Target
from tests.proofs.java.tool_shell import Called, Hung, ToolShell

_TOOLS = "org.apache.kafka.tools."
# The class behind each of Kafka's scripts.
MAIN_CLASSES = {
    "kafka-acls": _TOOLS + "AclCommand",
    "kafka-broker-api-versions": _TOOLS + "BrokerApiVersionsCommand",
    "kafka-cluster": _TOOLS + "ClusterTool",
    "kafka-configs": _TOOLS + "ConfigCommand",
    "kafka-console-consumer": _TOOLS + "consumer.ConsoleConsumer",
    "kafka-console-producer": _TOOLS + "ConsoleProducer",
    "kafka-consumer-groups": _TOOLS + "consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": _TOOLS + "ConsumerPerformance",
    "kafka-delete-records": _TOOLS + "DeleteRecordsCommand",
    "kafka-dump-log": _TOOLS + "DumpLogSegments",
    "kafka-e2e-latency": _TOOLS + "EndToEndLatency",
    "kafka-features": _TOOLS + "FeatureCommand",
    "kafka-get-offsets": _TOOLS + "GetOffsetShell",
    "kafka-groups": _TOOLS + "GroupsCommand",
    "kafka-leader-election": _TOOLS + "LeaderElectionCommand",
    "kafka-log-dirs": _TOOLS + "LogDirsCommand",
    "kafka-metadata-quorum": _TOOLS + "MetadataQuorumCommand",
    "kafka-producer-perf-test": _TOOLS + "ProducerPerformance",
    "kafka-reassign-partitions": _TOOLS + "reassign.ReassignPartitionsCommand",
    "kafka-topics": _TOOLS + "TopicCommand",
    "kafka-transactions": _TOOLS + "TransactionsCommand",
    "kafka-verifiable-consumer": _TOOLS + "VerifiableConsumer",
    "kafka-verifiable-producer": _TOOLS + "VerifiableProducer",
}
# Those that take their servers in another way, or none.
_NO_BOOTSTRAP_SERVER = frozenset({"kafka-dump-log"})

# An argument that stands for the target's addresses.
SERVERS = "{servers}"

_STACK_TRACE = re.compile(r"^\s+(at [\w.$/<>]+\(|\.\.\. \d+ more)")
_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_SPACES = re.compile(r"[ \t]+")
# What the logging library writes before a message.
_LOGGED = re.compile(r"^\[[^\]]*\] (ERROR|WARN) ")

Lines = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call: what was asked for, as a person would type it, and what came."""

    command: str
    lines: Sequence[str]


class Session:
    """Created for one run of a case; keeps every step in order."""

    def __init__(self, shell: ToolShell, target: Target) -> None:
        self._shell = shell
        self.target = target
        self.steps: list[Step] = []

    def tool(
        self,
        name: str,
        *arguments: str,
        text: str = "",
        is_sorted: bool = False,
        keep: str | None = None,
        mask: Sequence[tuple[str, str]] = (),
        is_alone: bool = False,
    ) -> Lines:
        """Runs one of Kafka's scripts, with the target as its bootstrap server unless it is told servers.

        `is_sorted` is for output that has no order, `keep` a pattern for the lines of interest where other
        cases' topics and groups would show, and `mask` replaces what differs from run to run. `is_alone`
        gives it a JVM of its own.
        """
        given = list(arguments)
        if name not in _NO_BOOTSTRAP_SERVER and SERVERS not in " ".join(given):
            given = ["--bootstrap-server", SERVERS, *given]
        shown = " ".join([name, *(self._masked(argument) for argument in arguments)])
        given = [argument.replace(SERVERS, self.target.bootstrap_servers) for argument in given]
        main = MAIN_CLASSES[name]
        return self._call(
            shown,
            lambda: (
                self._shell.call_alone(main, given) if is_alone else self._shell.call(main, given, text=text)
            ),
            is_sorted,
            keep,
            mask,
        )

    def program(self, main: str, *arguments: str) -> Lines:
        """Runs one of this package's Java programs."""
        shown = " ".join([main, *arguments])
        given = [argument.replace(SERVERS, self.target.bootstrap_servers) for argument in arguments]
        return self._call(shown, lambda: self._shell.call(main, given), False, None, ())

    def split(self, prefix: str) -> None:
        """Makes of the last step one step for each line, `name: result`."""
        whole = self.steps.pop()
        for line in whole.lines:
            name, _, result = line.partition(": ")
            self.steps.append(Step(command=f"{prefix}{name}", lines=[result]))

    def note(self, command: str, lines: Lines) -> None:
        """Adds a step that no tool made."""
        self.steps.append(Step(command=command, lines=lines))

    def _call(
        self,
        shown: str,
        call: Callable[[], Called],
        is_sorted: bool,
        keep: str | None,
        mask: Sequence[tuple[str, str]],
    ) -> Lines:
        try:
            called = call()
        except Hung as hung:
            self.steps.append(Step(command=shown, lines=[str(hung)]))
            return []
        lines = list(self._lines(called.out + "\n" + called.err, keep, mask))
        if is_sorted:
            lines.sort()
        if called.code:
            lines.append(f"exit code {called.code}")
        self.steps.append(Step(command=shown, lines=lines))
        return lines

    def _lines(self, output: str, keep: str | None, mask: Sequence[tuple[str, str]]) -> Iterator[str]:
        for line in output.splitlines():
            if not line.strip() or _STACK_TRACE.match(line) or (keep and not re.search(keep, line)):
                continue
            masked = self._masked(line)
            for pattern, replacement in mask:
                masked = re.sub(pattern, replacement, masked)
            yield masked

    def _masked(self, line: str) -> str:
        for number, server in enumerate(self.target.servers, 1):
            line = line.replace(server, f"NODE{number}")
        for number, directory in enumerate(self.target.data_dirs, 1):
            line = line.replace(str(directory.resolve()), f"DATA{number}").replace(
                str(directory), f"DATA{number}"
            )
        return _SPACES.sub(" ", _LOGGED.sub(r"\1 ", _UUID.sub("UUID", line))).strip()


Case = Callable[[Session], None]
