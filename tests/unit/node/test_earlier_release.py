"""A node's data directory of an earlier release, as it wrote it.

`directories/single_node_without_terms.tar.gz` is of a node that was its cluster, and of a release that kept
no terms for only replicas and one epoch for all of a start. It was started twice, then killed. Topic
`kept` has two records of the first start and one of the second, `empty` has none, and group `g` has committed
offset 2.
"""

import logging
import tarfile
from pathlib import Path

import pytest

from chronik.node.metadata_partition import METADATA_GROUP
from chronik.sim.disk import CrashDisk
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from tests.support.broker_room import BrokerRoom

DIRECTORY = Path(__file__).parent / "directories" / "single_node_without_terms.tar.gz"


def unpack() -> CrashDisk:
    disk = CrashDisk()
    with tarfile.open(DIRECTORY) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            content = archive.extractfile(member)
            if content is not None:
                disk.write(name, content.read())
            elif name not in ("", "."):
                disk.make_directory(name)
    return disk


@virtual
async def test_it_opens_with_all_it_has_and_later_epochs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        room = await BrokerRoom(unpack()).open()
    assert caplog.text.count("leader epochs of an earlier release taken over into raft-state") == 1
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []
    assert not room.disk.exists("leader-epoch")
    assert await room.fetch("kept") == (ErrorCode.NONE, [b"a0", b"a1", b"b0"])
    # Clients were told 1 of both.
    epochs = {topic: room.partition(topic).leader_epoch for topic in ("kept", "empty")}
    assert all(epoch > 1 for epoch in epochs.values())
    assert await room.produce("kept", b"c0") == (ErrorCode.NONE, 3)
    assert await room.produce("empty", b"d0") == (ErrorCode.NONE, 0)
    room = await room.start_again()
    assert await room.fetch("kept") == (ErrorCode.NONE, [b"a0", b"a1", b"b0", b"c0"])
    assert all(room.partition(topic).leader_epoch > epoch for topic, epoch in epochs.items())
    room = await room.restart()
    assert await room.fetch("empty") == (ErrorCode.NONE, [b"d0"])
    await room.close()


@virtual
async def test_a_crash_in_the_middle_of_taking_it_over_costs_nothing() -> None:
    disk = unpack()
    room = await BrokerRoom(disk).open()
    state = disk.open("raft-state")
    assert state.size() > 0
    assert room.local.metadata_partition.partition.is_leader
    # As if nothing of it had become durable.
    disk.kill()
    for name in [name for name in disk.list("") if name.startswith("raft-state")]:
        disk.remove(name)
    disk.write("leader-epoch", b"1\n")
    room = await BrokerRoom(disk).open()
    assert await room.fetch("kept") == (ErrorCode.NONE, [b"a0", b"a1", b"b0"])
    assert room.partition("empty").leader_epoch > 1
    await room.close()


@virtual
async def test_a_lost_store_is_said_and_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    room = await BrokerRoom(unpack()).open()
    assert await room.produce("kept", b"c0") == (ErrorCode.NONE, 3)
    epoch = room.partition("kept").leader_epoch
    room.disk.kill()
    room.disk.remove("raft-state")
    room = await BrokerRoom(room.disk).open()
    assert "terms were lost: leader epochs go on from those in the logs" in caplog.text
    assert await room.fetch("kept") == (ErrorCode.NONE, [b"a0", b"a1", b"b0", b"c0"])
    assert room.partition("kept").leader_epoch > epoch
    assert room.local._groups.replication.store.get(METADATA_GROUP) is not None
    await room.close()
