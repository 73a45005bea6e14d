"""`partition.metadata`: which topic a directory belongs to. Two lines, as Kafka writes them (KIP-516)."""

from chronik.log.checkpoint import replace_unsynced, write_unsynced
from chronik.log.log_directory import LogDirectory
from chronik.log.names import PARTITION_METADATA
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, format_topic_id, parse_topic_id


def format_partition_metadata(topic_id: TopicId) -> bytes:
    return f"version: 0\ntopic_id: {format_topic_id(topic_id)}".encode()


def parse_partition_metadata(content: bytes) -> TopicId | None:
    """Returns None if a crash left it unreadable."""
    lines = content.decode(errors="replace").split("\n")
    if len(lines) < 2 or lines[0] != "version: 0" or not lines[1].startswith("topic_id: "):
        return None
    try:
        return parse_topic_id(lines[1].removeprefix("topic_id: "))
    except ValueError:
        return None


def ensure_partition_metadata(directory: LogDirectory, topic_id: TopicId, *, is_new: bool) -> TopicId:
    """The topic id of a directory, written if it was not known. KafkaError INCONSISTENT_TOPIC_ID if it is
    another.
    """
    content = None if is_new else directory.read(PARTITION_METADATA)
    known = None if content is None else parse_partition_metadata(content)
    if topic_id == NO_TOPIC_ID or known == topic_id:
        return known if known is not None else topic_id
    if known is not None:
        raise KafkaError(
            ErrorCode.INCONSISTENT_TOPIC_ID,
            f"{directory.path} belongs to topic {format_topic_id(known)}, not {format_topic_id(topic_id)}",
        )
    # Unsynced: a crash that loses it finds the id again in the metadata log.
    write = write_unsynced if is_new else replace_unsynced
    path, content = directory.join(PARTITION_METADATA), format_partition_metadata(topic_id)
    directory.handles.make_room_for(lambda: write(directory.disk, path, content))
    return topic_id
