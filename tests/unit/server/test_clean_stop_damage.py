"""What is damaged or gone after a clean stop of a whole node: said, answered, no obstacle for the rest."""

import logging

import pytest

from chronik.log.damage import DamageKind
from chronik.node.data_directory import DataDirectoryError
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition
from tests.support.broker_room import BrokerRoom

FIRST = "00000000000000000000.log"
LOST = "durable records damaged or missing; their readers get CORRUPT_MESSAGE"


def flip(room: BrokerRoom, path: str, position: int) -> None:
    room.disk.rot(path, position % len(room.disk.content(path)), 1)


async def stopped(*topics: str) -> BrokerRoom:
    """A node with ten records in each topic, stopped cleanly."""
    room = await BrokerRoom().open()
    for topic in topics:
        await room.create(topic)
        for number in range(10):
            assert await room.produce(topic, b"%d" % number) == (ErrorCode.NONE, number)
    await room.close()
    return room


async def next_life(room: BrokerRoom) -> BrokerRoom:
    return await BrokerRoom(room.disk, room.clock).open()


@virtual
async def test_a_damaged_last_batch_is_said_and_refused(caplog: pytest.LogCaptureFixture) -> None:
    room = await stopped("t", "other")
    flip(room, f"t-0/{FIRST}", -2)
    room = await next_life(room)
    (line,) = [record for record in caplog.records if record.getMessage() == LOST]
    assert line.levelno == logging.ERROR
    fields = vars(line)
    assert (fields["partition"], fields["file"]) == ("t-0", f"t-0/{FIRST}")
    assert (fields["first_offset"], fields["end_offset"]) == (9, 10)
    assert room.local.storage.damaged == [TopicPartition("t", 0)]
    assert room.local.storage.warnings() == ["damaged or missing records: t-0"]
    assert room.local.storage.found[DamageKind.CORRUPT_BATCH] == 1

    assert (await room.fetch("t", 9))[0] is ErrorCode.CORRUPT_MESSAGE
    code, values = await room.fetch("t")
    assert (code, len(values)) == (ErrorCode.NONE, 9)
    assert await room.produce("t", b"next") == (ErrorCode.NONE, 10)
    assert await room.fetch("t", 10) == (ErrorCode.NONE, [b"next"])
    assert len((await room.fetch("other"))[1]) == 10
    again = await room.start_again()
    assert await again.fetch("t", 10) == (ErrorCode.NONE, [b"next"])
    assert again.local.storage.damaged == [TopicPartition("t", 0)]
    again = await again.restart()
    assert again.local.storage.damaged == [TopicPartition("t", 0)], "as long as it is there"
    await again.close()


@virtual
async def test_a_directory_that_is_gone_is_missed(caplog: pytest.LogCaptureFixture) -> None:
    room = await stopped("t", "other")
    await (await next_life(room)).start_again()
    room.disk.kill()
    room.disk.remove_tree("t-0")
    caplog.clear()
    room = await next_life(room)
    (line,) = [record for record in caplog.records if record.getMessage() == LOST]
    assert vars(line)["what"] == "missing directory"
    assert room.local.storage.damaged == [TopicPartition("t", 0)]
    assert (await room.fetch("t", 0))[0] is ErrorCode.OFFSET_OUT_OF_RANGE
    assert await room.produce("t", b"next") == (ErrorCode.NONE, 10)
    await room.close()


@virtual
async def test_a_new_partition_is_not_taken_for_a_lost_one(caplog: pytest.LogCaptureFixture) -> None:
    room = await stopped("t")
    room = await next_life(room)
    await room.create("u", partitions=3)
    room = await room.restart()
    await room.broker.metadata.catch_up(0)
    assert not [record for record in caplog.records if record.getMessage() == LOST]
    assert room.local.storage.warnings() == []
    assert await room.produce("u", b"v") == (ErrorCode.NONE, 0)
    await room.close()


@virtual
async def test_a_topic_made_again_does_not_lack_what_the_old_one_had() -> None:
    room = await stopped("t")
    room = await next_life(room)
    await room.delete("t")
    # Chance starts over with each life here, and gives the first topic the same id.
    await room.create("u")
    await room.create("t")
    again = await room.start_again()
    assert again.local.storage.warnings() == []
    assert await again.produce("t", b"v") == (ErrorCode.NONE, 0)
    await again.close()


@virtual
async def test_damaged_metadata_keeps_a_node_from_starting_and_names_the_place() -> None:
    room = await stopped("t")
    size = len(room.disk.content(f"__meta-0/{FIRST}"))
    flip(room, f"__meta-0/{FIRST}", -2)
    node = BrokerRoom(room.disk, room.clock)
    with pytest.raises(DataDirectoryError, match=r"__meta-0 cannot be used: corrupt batch at offset \d+: "):
        await node.open()
    await node.close()
    assert len(room.disk.content(f"__meta-0/{FIRST}")) == size, "nothing is dropped"
