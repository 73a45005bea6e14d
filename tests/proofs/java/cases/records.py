"""Tools that write and read records, delete them, measure, and look into the files."""

from pathlib import Path

from tests.proofs.java.cases.writing import topic_of_records
from tests.proofs.java.session import SERVERS, Session

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_FIGURES = (r"\d+(\.\d+)?", "N")


def run(session: Session) -> None:
    _console(session)
    _little_room(session)
    _delete(session)
    _verifiable(session)


def _console(session: Session) -> None:
    session.tool("kafka-topics", "--create", "--topic", "records-c")
    parse = ("--reader-property", "parse.key=true", "--reader-property", "parse.headers=true")
    text = "h1:v1,h2:v2\tkey-a\tvalue a\nh3:v3\tkey-b\tvalue b\n"
    session.tool("kafka-console-producer", "--topic", "records-c", *parse, text=text)
    for codec in CODECS:
        coded = ("--compression-codec", codec)
        session.tool("kafka-console-producer", "--topic", "records-c", *coded, text=f"written with {codec}\n")
    shown = [f"print.{what}=true" for what in ("key", "headers", "offset", "partition")]
    formatted = [word for property in shown for word in ("--formatter-property", property)]
    read = ("--topic", "records-c", "--max-messages", "7")
    session.tool("kafka-console-consumer", *read, "--from-beginning", *formatted)
    session.tool("kafka-console-consumer", *read[:3], "2", "--partition", "0", "--offset", "3")
    session.tool(
        "kafka-console-consumer", *read[:2], "--partition", "0", "--offset", "7", "--timeout-ms", "1500"
    )
    committed = ("--isolation-level", "read_committed")
    session.tool("kafka-console-consumer", *read, "--from-beginning", *committed)


def _little_room(session: Session) -> None:
    """Fetches that have room for some partitions' records only; nothing may be passed over."""
    topic_of_records(session, "records-r", 4, 40)
    room = ("--command-property", "fetch.max.bytes=300")
    read = ("--topic", "records-r", "--from-beginning", "--max-messages", "40", "--timeout-ms", "20000")
    session.tool("kafka-console-consumer", *read, *room, is_sorted=True)


def _delete(session: Session) -> None:
    topic_of_records(session, "records-d", 2, 10)
    plan = '{"partitions": [{"topic": "records-d", "partition": 0, "offset": %d}], "version": 1}'
    for offset in (3, -1, 99):
        _with_file(session, "kafka-delete-records", "--offset-json-file", plan % offset)
    session.tool("kafka-get-offsets", "--topic", "records-d", "--time", "earliest")


def _with_file(session: Session, tool: str, option: str, content: str) -> None:
    """The file stands where every run has it, so that its name may be shown."""
    path = Path("/tmp/chronik-java-plan.json")
    path.write_text(content)
    try:
        session.tool(tool, option, str(path))
    finally:
        path.unlink()


def _verifiable(session: Session) -> None:
    session.tool("kafka-topics", "--create", "--topic", "records-v")
    number = ("--topic", "records-v", "--max-messages", "20")
    timing = [(r'"timestamp":\d+', '"timestamp":N'), (r'"avg_throughput":[\d.]+', '"avg_throughput":N')]
    session.tool("kafka-verifiable-producer", *number, "--acks", "-1", is_alone=True, mask=timing)
    group = ("--group-id", "records-g", "--reset-policy", "earliest")
    read = session.tool("kafka-verifiable-consumer", *number, *group, "--verbose", is_alone=True)
    step = session.steps.pop()
    # Batches come as they may; every record must.
    session.note(step.command, [f"records read: {sum('record_data' in line for line in read)}"])


def measure(session: Session) -> None:
    """Whether the figures' tools come to an end, with all records; not the figures."""
    session.tool("kafka-topics", "--create", "--topic", "performance-t")
    load = ("--topic", "performance-t", "--num-records", "5000", "--record-size", "100", "--throughput", "-1")
    session.tool("kafka-producer-perf-test", *load, mask=[_FIGURES])
    read = ("--topic", "performance-t", "--num-records", "5000", "--group", "performance-g")
    lines = session.tool("kafka-consumer-perf-test", *read)
    step = session.steps.pop()
    session.note(
        step.command, [lines[0], f"records read: {lines[1].split(', ')[4]}"] if len(lines) > 1 else lines
    )
    session.tool("kafka-get-offsets", "--topic", "performance-t")
    session.tool(
        "kafka-e2e-latency",
        SERVERS,
        "performance-e",
        "200",
        "all",
        "100",
        mask=[_FIGURES],
        keep="latency|Error",
    )


def dump_log(session: Session) -> None:
    """kafka-dump-log on the files of one partition, while its node runs."""
    topic_of_records(session, "dump-t", 1, 6, "lz4")
    directory = _directory(session, "dump-t-0")
    log = str(directory / "00000000000000000000.log")
    mask = [
        (r"(partitionLeaderEpoch: \d+|CreateTime: \d+|crc: \d+|producerId: \d+|size: \d+|position: \d+)", "N")
    ]
    session.tool("kafka-dump-log", "--files", log, "--print-data-log", "--deep-iteration", mask=mask)


def _directory(session: Session, name: str) -> Path:
    """A partition's directory on the first node that has one."""
    return next(path for each in session.target.data_dirs for path in each.rglob(name) if path.is_dir())
