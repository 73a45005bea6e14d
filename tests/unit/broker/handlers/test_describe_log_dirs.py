"""DescribeLogDirs: what the data directory holds."""

import errno

import pytest

from chronik.broker.replica_manager import DiskUsage
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
)
from tests.support.broker_room import DISK_BYTES, BrokerRoom

VERSIONS = SUPPORTED[ApiKey.DESCRIBE_LOG_DIRS]


async def ask(
    room: BrokerRoom, wanted: dict[str, list[int]] | None = None, version: int = VERSIONS.last
) -> DescribeLogDirsResult:
    topics = None
    if wanted is not None:
        topics = [DescribableLogDirTopic(topic=topic, partitions=wanted[topic]) for topic in wanted]
    response = await room.ask(DescribeLogDirsRequest(topics=topics), version, DescribeLogDirsResponse)
    (result,) = response.results
    return result


def sizes(result: DescribeLogDirsResult) -> dict[tuple[str, int], int]:
    return {
        (topic.name, partition.partition_index): partition.partition_size
        for topic in result.topics
        for partition in topic.partitions
    }


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_each_version_names_the_directory_and_its_partitions(version: int) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=2)
    await room.produce("t", b"a", index=1)
    result = await ask(room, version=version)
    assert (result.error_code, result.log_dir) == (ErrorCode.NONE, "/data")
    size = room.partition("t", 1).log.size
    assert size > 0
    assert sizes(result) == {("t", 0): 0, ("t", 1): size}
    if version >= 4:
        assert (result.total_bytes, result.usable_bytes) == (DISK_BYTES, DISK_BYTES // 2)
    await room.close()


@virtual
async def test_only_what_was_asked_for_and_is_here() -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=2)
    await room.create("u")
    assert sizes(await ask(room, {"t": [1, 9], "absent": [0]})) == {("t", 1): 0}
    assert sizes(await ask(room, {})) == {}
    await room.close()


class WithoutUsage(BrokerRoom):
    def _disk_usage(self) -> DiskUsage:
        raise OSError(errno.EIO, "Input/output error")


@virtual
async def test_a_disk_that_fails_says_so() -> None:
    room = await WithoutUsage().open()
    response = await room.ask(DescribeLogDirsRequest(topics=None), VERSIONS.last, DescribeLogDirsResponse)
    assert response.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    await room.close()
