"""The directories of partitions, by their state; names as Kafka gives them.

`orders-0` is a partition's. `orders-0.<topic id>-delete` is of a deleted topic, and is being removed.
`orders-0.<topic id>-stray` is of a partition that the metadata does not know: it is kept for the operator.
`orders-0.<topic id>.1-replaced` has the records of a replica that lacked some: it is kept until the replica
has all of them from its leader.
"""

import re
from collections.abc import Collection
from itertools import count

from chronik.log.checkpoint import read_file
from chronik.log.disk import Disk
from chronik.log.names import PARTITION_METADATA
from chronik.log.partition_metadata import parse_partition_metadata
from chronik.vocab.ids import METADATA_TOPIC, NO_TOPIC_ID, TopicId, TopicPartition

METADATA_DIRECTORY = str(TopicPartition(METADATA_TOPIC, 0))

# What Linux and macOS allow in a file's name.
_NAME_CHARS_MAX = 255

_PARTITION = re.compile(r".+-[0-9]+")
_DELETED = re.compile(r".+-[0-9]+\.[0-9a-f]{32}(\.[0-9]+)?-delete")
_REPLACED = re.compile(r".+-([0-9]+)\.([0-9a-f]{32})\.[0-9]+-replaced")


def deleted_name(name: TopicPartition, topic_id: TopicId, number: int = 0) -> str:
    """Returns the name of a deleted partition's directory until it is removed; unique per topic id and
    `number`, by which another replica of the partition is removed while an earlier one still is.
    """
    times = f".{number}" if number else ""
    suffix = f"-{name.partition}.{topic_id.hex()}{times}-delete"
    return name.topic[: _NAME_CHARS_MAX - len(suffix)] + suffix


def find_partitions(disk: Disk, known: Collection[str] = ()) -> dict[str, TopicId | None]:
    """Returns the partitions' directories except the `known` ones, each with the topic id in it.

    Other directories are ignored: the operator may have configured the wrong directory.
    """
    found = {}
    for directory in disk.list(""):
        if directory not in known and _PARTITION.fullmatch(directory) is not None:
            content = read_file(disk, f"{directory}/{PARTITION_METADATA}")
            if content is not None:
                found[directory] = parse_partition_metadata(content)
    return found


def topic_of(disk: Disk, directory: str) -> TopicId | None:
    """Returns the topic id in a partition's directory; None without one."""
    content = read_file(disk, f"{directory}/{PARTITION_METADATA}")
    return None if content is None else parse_partition_metadata(content)


def find_deleted(disk: Disk) -> list[str]:
    """Directories of deleted partitions that a stop left."""
    return [directory for directory in disk.list("") if _DELETED.fullmatch(directory) is not None]


def set_aside(disk: Disk, name: TopicPartition, topic_id: TopicId) -> str:
    """Renames a replica's directory, keeping its content; returns the new name. Durable.

    Raises OSError.
    """
    for number in count(1):
        suffix = f"-{name.partition}.{topic_id.hex()}.{number}-replaced"
        kept = name.topic[: _NAME_CHARS_MAX - len(suffix)] + suffix
        if not disk.exists(kept):
            break
    disk.rename(str(name), kept)
    disk.sync_directory("")
    return kept


def find_set_aside(disk: Disk) -> dict[str, tuple[TopicId, int]]:
    """Directories that `set_aside` has kept, with topic id and partition."""
    matches = {directory: _REPLACED.fullmatch(directory) for directory in disk.list("")}
    return {
        directory: (TopicId(bytes.fromhex(match[2])), int(match[1]))
        for directory, match in matches.items()
        if match is not None
    }


def mark_for_deletion(disk: Disk, directory: str, topic_id: TopicId) -> str:
    """Free the name of a deleted partition's directory, which is to be removed; its new name. Raises
    OSError.
    """
    topic, _, index = directory.rpartition("-")
    names = (deleted_name(TopicPartition(topic, int(index)), topic_id, number) for number in count())
    doomed = next(name for name in names if not disk.exists(name))
    disk.rename(directory, doomed)
    return doomed


def move_aside(disk: Disk, directory: str) -> str:
    """Renames a directory, keeping its content; returns the new name. Raises OSError."""
    topic_id = topic_of(disk, directory)
    for number in count():
        times = f".{number}" if number else ""
        suffix = f".{(topic_id or NO_TOPIC_ID).hex()}{times}-stray"
        kept = directory[: _NAME_CHARS_MAX - len(suffix)] + suffix
        if not disk.exists(kept):
            break
    disk.rename(directory, kept)
    disk.sync_directory("")
    return kept
