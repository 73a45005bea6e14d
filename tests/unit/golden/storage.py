"""The files of a data directory beside the logs' own, and the small ones of a log.

Those of a log are Kafka's formats, and `tests/unit/log` compares them with what Kafka says; here they are for
the sake of what a node finds of its own.
"""

from collections.abc import Callable

from chronik.log.checkpoint import format_offset, parse_offset_line
from chronik.log.disk import Disk
from chronik.log.epochs import EpochStart, LeaderEpochs, parse_epochs
from chronik.log.partition_metadata import format_partition_metadata, parse_partition_metadata
from chronik.log.producer_snapshot import format_snapshot, parse_snapshot
from chronik.log.producer_state import AppendedBatch, ProducerEntry, ProducerState
from chronik.log.vouched import VouchedLog, VouchedSegment
from chronik.node import data_directory
from chronik.node.data_directory import (
    Identity,
    has_clean_mark,
    leave_clean_mark,
    read_vouched,
    write_vouched,
)
from chronik.node.metadata_snapshots import MetadataSnapshots
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset

from .metadata import DIRECTORIES, OTHER_TOPIC_ID, TOPIC_ID
from .sample import Sample

IDENTITY = Identity(cluster_id="a cluster id of its own", node_id=NodeId(3), directory_id=DIRECTORIES[2])
VOUCHED = {
    "orders-0": VouchedLog(
        topic_id=TOPIC_ID,
        start_offset=5,
        end_offset=120,
        segments=(
            VouchedSegment(base_offset=0, size=4096),
            VouchedSegment(base_offset=100, size=900),
        ),
    ),
    "orders-1": VouchedLog(
        topic_id=OTHER_TOPIC_ID, start_offset=0, end_offset=0, segments=(), is_damaged=True
    ),
}
VOUCHED_CHANGED = {
    "orders-0": VouchedLog(topic_id=TOPIC_ID, start_offset=0, end_offset=7, segments=(), revision=3),
    "orders-1": VouchedLog(
        topic_id=TOPIC_ID, start_offset=0, end_offset=9, segments=(), is_damaged=True, revision=12
    ),
}
EPOCHS = [EpochStart(1, 0), EpochStart(12, 100)]
BATCHES = [AppendedBatch(4, 104, 4, 1_700_000_000_000), AppendedBatch(6, 106, 1, 1_700_000_000_100)]
PRODUCER = ProducerEntry(
    4711,
    epoch=2,
    coordinator_epoch=-1,
    last_timestamp=1_700_000_000_100,
    txn_first_offset=None,
    batches=BATCHES,
)


def _written(write: Callable[[Disk], object], path: str) -> bytes:
    disk = CrashDisk()
    write(disk)
    file = disk.open(path)
    return file.read_at(0, file.size())


def _on_disk(path: str, read: Callable[[Disk], object]) -> Callable[[bytes], object]:
    def decode(content: bytes) -> object:
        disk = CrashDisk()
        folder = path.rpartition("/")[0]
        if folder:
            disk.make_directory(folder)
        disk.open(path, create=True).append([content])
        return read(disk)

    return decode


def _file(
    path: str, value: object, write: Callable[[Disk], object], read: Callable[[Disk], object]
) -> Sample:
    return Sample(
        name=f"files/{path.rpartition('/')[2].lstrip('.').partition('.checkpoint')[0].replace('.', '-')}",
        value=value,
        encoded=_written(write, path),
        decode=_on_disk(path, read),
    )


def _text(name: str, value: object, encoded: bytes, decode: Callable[[bytes], object]) -> Sample:
    return Sample(name=f"files/{name}", value=value, encoded=encoded, decode=decode)


def _epochs(content: bytes) -> object:
    found = parse_epochs(content)
    return None if found is None else found.entries()


def _producers(content: bytes) -> object:
    found = parse_snapshot(content)
    return None if found is None else [_producer(entry) for entry in found]


def _producer(entry: ProducerEntry) -> object:
    return (
        entry.producer_id,
        entry.epoch,
        entry.coordinator_epoch,
        entry.last_timestamp,
        entry.txn_first_offset,
        list(entry.batches),
    )


SAMPLES = [
    _text("meta-properties", IDENTITY, data_directory._format(IDENTITY), data_directory._parse),
    _file("clean-stop-checkpoint", VOUCHED, lambda disk: write_vouched(disk, VOUCHED), read_vouched),
    _text(
        "clean-stop-checkpoint-changed",
        VOUCHED_CHANGED,
        _written(lambda disk: write_vouched(disk, VOUCHED_CHANGED), "clean-stop-checkpoint"),
        _on_disk("clean-stop-checkpoint", read_vouched),
    ),
    _file(".kafka_cleanshutdown", True, leave_clean_mark, has_clean_mark),
    _file(
        "__meta-0/00000000000000000077-0000000005.checkpoint",
        b"a snapshot",
        lambda disk: MetadataSnapshots(disk).write(Offset(77), LeaderEpoch(5), b"a snapshot"),
        lambda disk: MetadataSnapshots(disk).latest(),
    ),
    _text("leader-epoch-checkpoint", EPOCHS, LeaderEpochs(EPOCHS).format(), _epochs),
    _text("offset-checkpoint", 100, format_offset("orders.eu-0", 100), parse_offset_line),
    _text("partition-metadata", TOPIC_ID, format_partition_metadata(TOPIC_ID), parse_partition_metadata),
    _text(
        "producer-snapshot",
        [_producer(PRODUCER)],
        format_snapshot(ProducerState([PRODUCER])),
        _producers,
    ),
]
