"""partition.metadata: the topic a directory belongs to."""

import pytest

from chronik.log.partition_log import PartitionLog
from chronik.log.partition_metadata import format_partition_metadata, parse_partition_metadata
from chronik.sim.disk import CrashDisk
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, TopicId
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import DIRECTORY, EPOCH, SMALL, batch_of

TOPIC_ID = TopicId(bytes(range(16)))
OTHER_ID = TopicId(bytes(range(1, 17)))
PATH = f"{DIRECTORY}/partition.metadata"


def open_with(disk: CrashDisk, topic_id: TopicId) -> PartitionLog:
    return PartitionLog.open(DIRECTORY, disk, SMALL, ManualClock(), was_clean=True, topic_id=topic_id)


def make_with(disk: CrashDisk, topic_id: TopicId) -> None:
    """The directory is there with its first batch."""
    open_with(disk, topic_id).append([batch_of()], EPOCH)


def test_text_is_kafkas() -> None:
    text = format_partition_metadata(TOPIC_ID)
    assert text == b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw"
    assert parse_partition_metadata(text) == TOPIC_ID


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version: 0",
        b"version: 1\ntopic_id: AAECAwQFBgcICQoLDA0ODw",
        b"version: 0\ntopic_id: AAEC",
        bytes(30),
    ],
)
def test_unreadable(content: bytes) -> None:
    assert parse_partition_metadata(content) is None


def test_written_once_and_read_back() -> None:
    disk = CrashDisk()
    make_with(disk, TOPIC_ID)
    assert disk.content(PATH) == format_partition_metadata(TOPIC_ID)
    assert open_with(disk, NO_TOPIC_ID).topic_id == TOPIC_ID
    assert open_with(disk, TOPIC_ID).topic_id == TOPIC_ID


def test_another_topics_directory_is_refused() -> None:
    disk = CrashDisk()
    make_with(disk, TOPIC_ID)
    with pytest.raises(KafkaError) as error:
        open_with(disk, OTHER_ID)
    assert error.value.code is ErrorCode.INCONSISTENT_TOPIC_ID


def test_what_a_crash_left_unreadable_is_replaced() -> None:
    disk = CrashDisk()
    make_with(disk, TOPIC_ID)
    disk.write(PATH, b"")
    assert open_with(disk, TOPIC_ID).topic_id == TOPIC_ID
    assert disk.content(PATH) == format_partition_metadata(TOPIC_ID)


def test_no_id_no_file() -> None:
    disk = CrashDisk()
    make_with(disk, NO_TOPIC_ID)
    assert open_with(disk, NO_TOPIC_ID).topic_id == NO_TOPIC_ID
    assert not disk.exists(PATH)
