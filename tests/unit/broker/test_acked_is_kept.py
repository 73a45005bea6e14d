"""The first promise, on one node: what was acknowledged survives a power loss between any two operations of
the disk.

Partition, group, syncer and log are the real ones; the disk forgets any part of what was not synced and tears
the last write.
"""

import asyncio
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.broker.gateway import PartitionGateway
from chronik.broker.partition import Partition
from chronik.broker.traffic import TopicTraffic
from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead
from chronik.node.replication import NewReplica, Replication
from chronik.node.single_node import SingleNodeHost
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import Membership
from chronik.raft.group_setting import GroupSetting
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record, decode_records
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset, TopicId, TopicPartition
from tests.support.manual_clock import ManualClock

NODE = NodeId(1)

# Small segments, so that crashes also hit rolling.
CONFIG = LogConfig(segment_bytes=600, index_interval_bytes=100)
PRODUCER = 7


class Acknowledgements:
    """Remembers which appends were acknowledged, as a produce request would."""

    def __init__(self, value: bytes, base_offset: int, into: dict[bytes, int]) -> None:
        self._value = value
        self._base_offset = base_offset
        self._into = into

    def on_committed(self, partition: PartitionGateway) -> None:
        self._into[self._value] = self._base_offset

    def on_commit_failed(self, partition: PartitionGateway, code: ErrorCode) -> None:
        """Not acknowledged: nothing is promised."""


def open_group(disk: CrashDisk, log: PartitionLog, syncer: Syncer) -> ReplicatedGroup:
    host = SingleNodeHost()
    setting = GroupSetting(
        node=NODE,
        directory_id="d",
        options=RaftOptions(),
        randomness=Random(1),
        clock=ManualClock(),
        store=StateStore.open(disk),
        syncer=syncer,
        host=host,
        lag_ms=lambda: 0,
    )
    replication = Replication(host, setting)
    new = NewReplica(
        name=TopicPartition("t", 0),
        topic_id=log.topic_id,
        membership=Membership(voters=frozenset({NODE})),
        is_only=True,
        first_leader=NODE,
    )
    group = replication.open(new, log, None, lambda: None)
    replication.begin(group, new)
    return group


def open_partition(disk: CrashDisk) -> tuple[Partition, Syncer]:
    clock = ManualClock()
    topic_id = TopicId(b"0123456789abcdef")
    log = PartitionLog.open("t-0", disk, CONFIG, clock, was_clean=False, topic_id=topic_id)
    syncer = Syncer(disk)
    group = open_group(disk, log, syncer)
    partition = Partition(
        name=TopicPartition("t", 0),
        topic_id=topic_id,
        replicas=(NODE,),
        log=log,
        group=group,
        config=DEFAULT_TOPIC_CONFIG,
        clock=clock,
        traffic=TopicTraffic(),
    )
    group.listen(partition)
    return partition, syncer


def produce(partition: Partition, number: int, acknowledged: dict[bytes, int]) -> None:
    """One idempotent record, as a client would send it, again after each restart that lost its answer."""
    value = b"%d" % number
    options = BatchOptions(producer_id=PRODUCER, producer_epoch=0, base_sequence=number)
    batch = build_batch([Record(key=b"k", value=value * 20, timestamp=ManualClock().now_ms())], options)
    appended = partition.append(bytes(batch.data))
    waiter = Acknowledgements(value, appended.base_offset, acknowledged)
    if not partition.wait_committed(appended.end_offset, waiter):
        waiter.on_committed(partition)


def stored(partition: Partition) -> list[bytes]:
    values: list[bytes] = []
    offset = partition.log.start_offset
    while offset < partition.high_watermark:
        result = partition.read(offset, 10_000, is_read_committed=False, at_least_one=True)
        read = result.load() if isinstance(result, ColdRead) else result
        for batch in read.batches():
            values += [record.value or b"" for record in decode_records(batch)]
        offset = Offset(read.end_offset)
    return values


async def found(disk: CrashDisk) -> list[bytes]:
    partition, _ = open_partition(disk)
    return stored(partition)


async def live(disk: CrashDisk, turns: list[int], acknowledged: dict[bytes, int]) -> None:
    """Produce in bursts, each followed by its sync, resuming where the last acknowledgement was, until power
    is lost.
    """
    partition, syncer = open_partition(disk)
    number = len(acknowledged)
    for burst in turns:
        for _ in range(burst):
            try:
                produce(partition, number, acknowledged)
            except KafkaError as error:
                raise PowerLost("the log failed with the power") from error
            number += 1
        await drain(syncer, disk)


async def drain(syncer: Syncer, disk: CrashDisk) -> None:
    """Raises PowerLost: the disk's own task has it, which ends without an answer."""
    drained = asyncio.ensure_future(syncer.drain())
    while not drained.done() and not disk.is_off:
        await asyncio.sleep(0)
    if not drained.done():
        drained.cancel()
        raise PowerLost("while files were synced")


@pytest.mark.long
@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    lives=st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.integers(1, 4), max_size=6)), min_size=1, max_size=4
    ),
    seed=st.integers(0, 2**32),
)
def test_what_was_acknowledged_survives_every_power_loss(
    lives: list[tuple[int, list[int]]], seed: int
) -> None:
    disk, chance = CrashDisk(), Random(seed)
    acknowledged: dict[bytes, int] = {}
    for power_lost_at, turns in lives:
        disk.lose_power_at(power_lost_at)
        with suppress(PowerLost):
            asyncio.run(live(disk, turns, acknowledged))
        disk.lose_power_at(None)
        disk.crash(chance)
        values = asyncio.run(found(disk))
        for value, offset in acknowledged.items():
            assert values[offset] == value * 20
        # Idempotent and in order: nothing twice, nothing skipped, although answers were lost.
        assert values == [b"%d" % number * 20 for number in range(len(values))]
        disk.crash(chance)
