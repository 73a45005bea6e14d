"""Topics with records that are known by their number (src/Records.java)."""

from tests.proofs.java.session import SERVERS, Session

# 2026-01-01T00:00:00Z; the records of a topic are a minute apart.
FIRST_TIMESTAMP_MS = 1_767_225_600_000


def topic_of_records(
    session: Session, topic: str, partitions: int, records: int, codec: str = "none"
) -> None:
    """They are old, so the topic keeps all."""
    make = ("--create", "--topic", topic, "--partitions", str(partitions))
    session.tool("kafka-topics", *make, "--config", "retention.ms=-1")
    write(session, topic, partitions, records, codec)


def write(session: Session, topic: str, partitions: int, records: int, codec: str = "none") -> None:
    session.program("Records", SERVERS, topic, str(partitions), str(records), codec, str(FIRST_TIMESTAMP_MS))


def read_in_group(session: Session, topic: str, group: str, records: int) -> None:
    """Reads and commits so many records. The order across partitions is the client's."""
    what = ("--topic", topic, "--group", group, "--from-beginning", "--max-messages", str(records))
    session.tool("kafka-console-consumer", *what, is_sorted=True)
