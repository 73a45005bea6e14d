"""ListOffsets (key 2), OffsetForLeaderEpoch (key 23) and DeleteRecords (key 21)."""

import struct
from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.records import batch
from tests.parity.registry import scenario
from tests.parity.scenarios.producing import fields, patched
from tests.parity.session import Session

VERSIONS = (1, 10)


def ask(s: Session, version: int, topic: str, timestamp: int, partition: int = 0, **more: Any) -> None:
    of_partition = more.pop("of_partition", {})
    partitions = [{"partition_index": partition, "timestamp": timestamp, **of_partition}]
    topics = [{"name": topic, "partitions": partitions}]
    s.ask(ApiKey.LIST_OFFSETS, version, {"replica_id": -1, "topics": topics, "timeout_ms": 1000, **more})


def filled(s: Session) -> str:
    """Offsets 0 to 2 at 0, 1 and 2 ms, offset 3 at 0 ms again."""
    topic = s.topic()
    s.produce(topic, b"one", b"two", b"three")
    s.produce(topic, b"four")
    return topic


@scenario((1, 2, 4, 5, 6, 7, 8, 9, 10), {"latest": -1, "earliest": -2})
def of(s: Session, version: int, timestamp: int) -> None:
    ask(s, version, filled(s), timestamp)


@scenario((11,), {"latest": -1, "earliest": -2})
def of_in_the_highest_version(s: Session, version: int, timestamp: int) -> None:
    ask(s, version, filled(s), timestamp)


@scenario((7, 10), {"the largest timestamp": -3})
def of_later_versions(s: Session, version: int, timestamp: int) -> None:
    ask(s, version, filled(s), timestamp)


@scenario((8, 9, 10), {"earliest local": -4})
def of_tiered_storage(s: Session, version: int, timestamp: int) -> None:
    ask(s, version, filled(s), timestamp)


@scenario({"largest before it was there": (6, -3), "earliest local before it was there": (7, -4)})
def a_special_timestamp(s: Session, case: tuple[int, int]) -> None:
    ask(s, case[0], filled(s), case[1])


@scenario({"latest tiered": -5, "-6": -6, "-7": -7})
def a_timestamp_below_the_special_ones(s: Session, timestamp: int) -> None:
    ask(s, 10, filled(s), timestamp)


@scenario(VERSIONS, {"at the first": 0, "between": 1, "behind the last": 100, "before": -100})
def a_time(s: Session, version: int, offset: int) -> None:
    ask(s, version, filled(s), s.at(offset))


def mislabelled(s: Session, max_timestamp: int) -> str:
    """Offsets 0 and 1 at 0 and 1 ms, in a batch whose header names another time as the greatest."""
    topic = s.topic()
    data = patched(batch(b"one", b"two", timestamp=s.at()), 35, struct.pack(">q", s.at(max_timestamp)))
    s.prepare(ApiKey.PRODUCE, 9, fields(topic, data))
    return topic


@scenario((10,), {"too small": -5000, "too great": 5000}, {"the last": 1, "behind the last": 1000})
def a_time_in_a_batch_whose_greatest_timestamp_is(
    s: Session, version: int, max_timestamp: int, offset: int
) -> None:
    ask(s, version, mislabelled(s, max_timestamp), s.at(offset))


@scenario((10,), {"too small": -5000, "too great": 5000})
def the_largest_timestamp_where_a_header_is(s: Session, version: int, max_timestamp: int) -> None:
    ask(s, version, mislabelled(s, max_timestamp), -3)


@scenario(VERSIONS, {"latest": -1, "earliest": -2, "0": 0})
def an_empty_partition(s: Session, version: int, timestamp: int) -> None:
    ask(s, version, s.topic(), timestamp)


@scenario()
def the_largest_timestamp_of_an_empty_partition(s: Session) -> None:
    ask(s, 7, s.topic(), -3)


@scenario(VERSIONS)
def an_unknown_topic(s: Session, version: int) -> None:
    ask(s, version, s.name("missing"), -1)


@scenario(VERSIONS, {"empty": "", "dots": "..", "space": "a b"})
def a_bad_name(s: Session, version: int, name: str) -> None:
    ask(s, version, name, -1)


@scenario(VERSIONS, {"1": 1, "-1": -1})
def a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    ask(s, version, s.topic(), -1, partition)


@scenario(VERSIONS)
def no_topics(s: Session, version: int) -> None:
    s.ask(ApiKey.LIST_OFFSETS, version, {"replica_id": -1, "topics": []})


@scenario(VERSIONS)
def a_partition_named_twice(s: Session, version: int) -> None:
    partitions = [{"partition_index": 0, "timestamp": -1}, {"partition_index": 0, "timestamp": -2}]
    s.ask(
        ApiKey.LIST_OFFSETS,
        version,
        {"replica_id": -1, "topics": [{"name": filled(s), "partitions": partitions}]},
    )


@scenario({"-2": -2, "7": 7})
def a_replica_id(s: Session, replica_id: int) -> None:
    ask(s, 5, filled(s), -1, replica_id=replica_id)


@scenario({"0": 0, "5": 5})
def a_leader_epoch(s: Session, epoch: int) -> None:
    topic = filled(s)
    ask(s, 7, topic, -1, of_partition={"current_leader_epoch": s.epoch(epoch)})


@scenario({"1": 1, "2": 2})
def isolation_level(s: Session, level: int) -> None:
    ask(s, 7, filled(s), -1, isolation_level=level)


# OffsetForLeaderEpoch


def ask_epoch(
    s: Session, version: int, topic: str, epoch: int, partition: int = 0, current: int = -1
) -> None:
    wanted = {"partition": partition, "current_leader_epoch": current, "leader_epoch": epoch}
    s.ask(
        ApiKey.OFFSET_FOR_LEADER_EPOCH,
        version,
        {"replica_id": -1, "topics": [{"topic": topic, "partitions": [wanted]}]},
    )


@scenario((2, 3, 4), {"0": 0, "7": 7, "-1": -1})
def the_end_of_an_epoch(s: Session, version: int, epoch: int) -> None:
    topic = filled(s)
    ask_epoch(s, version, topic, epoch if epoch < 0 else s.epoch(epoch))


@scenario((2, 4))
def the_end_of_an_epoch_of_an_unknown_topic(s: Session, version: int) -> None:
    ask_epoch(s, version, s.name("missing"), 0)


@scenario((2, 4), {"1": 1, "-1": -1})
def the_end_of_an_epoch_of_a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    topic = s.topic()
    ask_epoch(s, version, topic, s.epoch(), partition)


@scenario((4,), {"too new": 9, "negative": -2})
def the_end_of_an_epoch_with_a_current_one(s: Session, version: int, current: int) -> None:
    topic = filled(s)
    ask_epoch(s, version, topic, s.epoch(), current=current if current < 0 else s.epoch(current))


@scenario((2, 4))
def the_end_of_no_epoch(s: Session, version: int) -> None:
    s.ask(ApiKey.OFFSET_FOR_LEADER_EPOCH, version, {"replica_id": -1, "topics": []})


# DeleteRecords


def delete(
    s: Session, version: int, topic: str, offset: int, partition: int = 0, timeout_ms: int = 30_000
) -> None:
    partitions = [{"partition_index": partition, "offset": offset}]
    s.ask(
        ApiKey.DELETE_RECORDS,
        version,
        {"topics": [{"name": topic, "partitions": partitions}], "timeout_ms": timeout_ms},
    )


@scenario((0, 1, 2), {"0": 0, "2": 2, "all": -1, "the end": 4, "behind the end": 5, "-2": -2})
def deleting_records_before(s: Session, version: int, offset: int) -> None:
    topic = filled(s)
    delete(s, version, topic, offset)
    ask(s, 5, topic, -2)


@scenario()
def deleting_records_twice(s: Session) -> None:
    topic = filled(s)
    delete(s, 2, topic, 3)
    delete(s, 2, topic, 1)
    ask(s, 5, topic, -2)


@scenario((0, 2))
def deleting_records_of_an_unknown_topic(s: Session, version: int) -> None:
    delete(s, version, s.name("missing"), 0)


@scenario((0, 2), {"1": 1, "-1": -1})
def deleting_records_of_a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    delete(s, version, s.topic(), 0, partition)


@scenario((0, 2), {"empty": "", "dots": "..", "space": "a b"})
def deleting_records_of_a_bad_name(s: Session, version: int, name: str) -> None:
    delete(s, version, name, 0)


@scenario((0, 2))
def deleting_records_of_a_compacted_topic(s: Session, version: int) -> None:
    topic = s.topic(configs={"cleanup.policy": "compact"})
    delete(s, version, topic, -1)


@scenario((0, 2))
def deleting_no_records(s: Session, version: int) -> None:
    s.ask(ApiKey.DELETE_RECORDS, version, {"topics": [], "timeout_ms": 1000})


@scenario()
def deleting_records_of_the_offsets_topic(s: Session) -> None:
    if s.target.nodes == 1:
        delete(s, 2, "__consumer_offsets", 0)
