"""MirrorMaker 2 from one Chronik to another: records, settings and the offsets of groups arrive.

What is right is known without Kafka beside it: each record with its bytes in its partition, the topic's
settings, and the group's offset where it stands on the source.
"""

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.proofs.java.cases.writing import read_in_group, topic_of_records, write
from tests.proofs.java.session import Lines, Session
from tests.proofs.java.targets import Target
from tests.proofs.java.tool_shell import ToolShell

TOPIC = "mirror-t"
GROUP = "mirror-g"
RECORDS = 60
PARTITIONS = 3
# Of which the group has read and committed all that there were.
READ = 30

# Starting its three connectors takes 20 s on two busy cores.
_ARRIVING_SECONDS_MAX = 120.0
_STOPPING_SECONDS_MAX = 30.0
_POLL_SECONDS = 1.0
_HEAP = "-Xmx256m"


def run(jars: Path, shell: ToolShell, source: Target, target: Target) -> list[str]:
    """What is wrong with what arrives; empty when all is there."""
    there, here = Session(shell, source), Session(shell, target)
    topic_of_records(there, TOPIC, PARTITIONS, READ)
    there.tool("kafka-configs", "--alter", "--topic", TOPIC, "--add-config", "max.message.bytes=765432")
    read_in_group(there, TOPIC, GROUP, READ)
    with _mirror_maker(jars, source, target) as output:
        problems = [
            *_arrives("records", here, _first_records),
            *_arrives("offsets of the group", here, _offsets),
            *_arrives("the topic's settings", here, _settings),
            *_arrives("checkpoints", here, _checkpoints),
        ]
        # And while it runs.
        write(there, TOPIC, PARTITIONS, RECORDS - READ)
        problems += _arrives("later records", here, _all_records)
        if problems:
            problems.append(f"MirrorMaker said: {_complaints(output)}")
    return problems


def _first_records(here: Session) -> Lines | None:
    return _records(here, READ)


def _all_records(here: Session) -> Lines | None:
    return _records(here, RECORDS)


def _records(here: Session, count: int) -> Lines | None:
    """None when all are there, else what is."""
    shown = ("--formatter-property", "print.key=true", "--formatter-property", "print.partition=true")
    read = ("--topic", f"source.{TOPIC}", "--from-beginning", "--timeout-ms", "1500")
    lines = here.tool("kafka-console-consumer", *read, *shown, keep="^Partition", is_sorted=True)
    # The second writing begins with number 0 again.
    numbers = [*range(READ), *range(count - READ)]
    expected = [f"Partition:{number % PARTITIONS} key-{number} value-{number}" for number in numbers]
    return None if lines == sorted(expected) else lines


def _offsets(here: Session) -> Lines | None:
    lines = here.tool(
        "kafka-consumer-groups", "--describe", "--group", GROUP, keep=f"{GROUP} ", is_sorted=True
    )
    each = READ // PARTITIONS
    expected = [
        f"{GROUP} source.{TOPIC} {partition} {each} {each} 0 - - -" for partition in range(PARTITIONS)
    ]
    return None if lines[: len(expected)] == expected else lines


def _settings(here: Session) -> Lines | None:
    lines = here.tool("kafka-topics", "--describe", "--topic", f"source.{TOPIC}", keep="PartitionCount|Error")
    wanted = (f"PartitionCount: {PARTITIONS} ", "retention.ms=-1", "max.message.bytes=765432")
    return None if lines and all(each in lines[0] for each in wanted) else lines


def _checkpoints(here: Session) -> Lines | None:
    lines = here.tool("kafka-get-offsets", "--topic", r"source\.checkpoints\.internal|heartbeats")
    ends = [int(line.rpartition(":")[2]) for line in lines if re.search(r":\d+$", line)]
    return None if len(ends) >= 2 and all(ends) else lines


def _arrives(what: str, here: Session, missing: Callable[[Session], Lines | None]) -> list[str]:
    deadline = time.monotonic() + _ARRIVING_SECONDS_MAX
    while True:
        found = missing(here)
        if found is None:
            return []
        if time.monotonic() > deadline:
            return [f"{what} did not arrive; there is {found}"]
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _mirror_maker(jars: Path, source: Target, target: Target) -> Iterator[Path]:
    """Runs it; gives the file of its output."""
    with tempfile.TemporaryDirectory(prefix="mirror-maker-") as directory:
        properties = Path(directory) / "mirror.properties"
        properties.write_text(_properties(source, target))
        output = Path(directory) / "mirror.out"
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = ["java", _HEAP, quiet, "-cp", f"{jars}/*", "org.apache.kafka.connect.mirror.MirrorMaker"]
        with output.open("wb") as log:
            process = subprocess.Popen([*command, str(properties)], stdout=log, stderr=log)
        try:
            yield output
        finally:
            process.terminate()
            try:
                process.wait(_STOPPING_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _properties(source: Target, target: Target) -> str:
    settings = {
        "clusters": "source,target",
        "source.bootstrap.servers": source.bootstrap_servers,
        "target.bootstrap.servers": target.bootstrap_servers,
        "source->target.enabled": "true",
        "target->source.enabled": "false",
        "source->target.topics": "mirror-.*",
        "source->target.groups": "mirror-.*",
        "source->target.sync.group.offsets.enabled": "true",
        # The exact offset of each record is synced, not every hundredth.
        "offset.lag.max": "0",
        "tasks.max": "1",
    }
    for what in (
        "emit.checkpoints",
        "sync.group.offsets",
        "refresh.topics",
        "refresh.groups",
        "sync.topic.configs",
    ):
        settings[f"{what}.interval.seconds"] = "1"
    for topic in (
        *("", "checkpoints.topic.", "heartbeats.topic.", "offset-syncs.topic."),
        *("offset.storage.", "status.storage.", "config.storage."),
    ):
        settings[f"{topic}replication.factor"] = str(min(3, target.nodes))
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _complaints(output: Path) -> list[str]:
    """The last few lines of its log that say ERROR, else the last ones."""
    lines = output.read_text(errors="replace").splitlines()
    return [line for line in lines if "ERROR" in line or "Exception" in line][-5:] or lines[-5:]
