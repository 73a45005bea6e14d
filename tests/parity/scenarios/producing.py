"""Produce (key 0)."""

import struct
from typing import Any
from uuid import UUID

from chronik.records.batch import HEADER_BYTES, Codec, seal
from chronik.wire.apis import ApiKey
from tests.parity.records import batch
from tests.parity.registry import scenario
from tests.parity.session import Session

VERSIONS = (3, 9, 13)
NOBODYS_ID = UUID(int=0xBAD)
DAY_MS = 86_400_000


def fields(
    topic: str, data: bytes | None, *, partition: int = 0, acks: int = -1, **more: Any
) -> dict[str, Any]:
    return {
        "acks": acks,
        "timeout_ms": 30_000,
        "topic_data": [{"name": topic, "partition_data": [{"index": partition, "records": data}]}],
        **more,
    }


def by_id(topic_id: UUID, data: bytes | None, partition: int = 0, acks: int = -1) -> dict[str, Any]:
    return {
        "acks": acks,
        "timeout_ms": 30_000,
        "topic_data": [{"topic_id": topic_id, "partition_data": [{"index": partition, "records": data}]}],
    }


def send(
    s: Session, version: int, topic: str, data: bytes | None, *, partition: int = 0, acks: int = -1
) -> None:
    """By name, or by id where the version has that."""
    if version >= 13:
        s.ask(ApiKey.PRODUCE, version, by_id(s.topic_id(topic), data, partition, acks))
    else:
        s.ask(ApiKey.PRODUCE, version, fields(topic, data, partition=partition, acks=acks))


def patched(data: bytes, position: int, replacement: bytes) -> bytes:
    """Bytes changed behind the CRC, which is set right again."""
    changed = bytearray(data)
    changed[position : position + len(replacement)] = replacement
    return bytes(seal(changed).data)


def fetch(s: Session, topic: str, offset: int = 0) -> None:
    """What is stored then."""
    partition = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 1 << 20}
    s.ask(
        ApiKey.FETCH,
        12,
        {
            "max_wait_ms": 0,
            "max_bytes": 1 << 20,
            "session_epoch": -1,
            "topics": [{"topic": topic, "partitions": [partition]}],
        },
    )


@scenario((3, 5, 7, 8, 9, 10, 11, 12, 13))
def a_batch(s: Session, version: int) -> None:
    topic = s.topic()
    send(s, version, topic, batch(b"one", b"two", timestamp=s.at()))
    send(s, version, topic, batch(b"three", timestamp=s.at(10)))


@scenario((0, 1, 2))
def a_version_that_only_is_advertised(s: Session, version: int) -> None:
    s.ask(ApiKey.PRODUCE, version, fields(s.topic(), batch(b"one", timestamp=s.at())))


@scenario((14,))
def a_version_too_high(s: Session, version: int) -> None:
    s.ask_raw(ApiKey.PRODUCE, version, bytes(20), "20 zero bytes")


@scenario((3, 9), {"0": 0, "1": 1, "-1": -1, "2": 2, "-2": -2, "7": 7})
def acks(s: Session, version: int, acks: int) -> None:
    request = fields(s.topic(), batch(b"one", timestamp=s.at()), acks=acks)
    if acks == 0:
        s.send_unanswered(ApiKey.PRODUCE, version, request)
        s.ask(ApiKey.METADATA, 1, {"topics": []})
    else:
        s.ask(ApiKey.PRODUCE, version, request)


@scenario((3, 9, 12))
def an_unknown_topic(s: Session, version: int) -> None:
    send(s, version, s.name("missing"), batch(b"one", timestamp=s.at()))


@scenario()
def an_unknown_topic_with_no_acks_closes_or_not(s: Session) -> None:
    request = fields(s.name("missing"), batch(b"one", timestamp=s.at()), acks=0)
    s.send_unanswered(ApiKey.PRODUCE, 9, request)
    s.ask(ApiKey.METADATA, 1, {"topics": []})


@scenario({"unknown": NOBODYS_ID, "zero": UUID(int=0)})
def an_id(s: Session, topic_id: UUID) -> None:
    s.ask(ApiKey.PRODUCE, 13, by_id(topic_id, batch(b"one", timestamp=s.at())))


@scenario(VERSIONS, {"1": 1, "-1": -1, "largest": 2**31 - 1})
def a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    send(s, version, s.topic(), batch(b"one", timestamp=s.at()), partition=partition)


@scenario({"empty": "", "dots": "..", "space": "a b", "250 characters": "x" * 250})
def a_bad_topic_name(s: Session, name: str) -> None:
    send(s, 9, name, batch(b"one", timestamp=s.at()))


@scenario((3, 9))
def the_offsets_topic(s: Session, version: int) -> None:
    send(s, version, "__consumer_offsets", batch(b"one", timestamp=s.at()))


@scenario(VERSIONS)
def no_topics(s: Session, version: int) -> None:
    s.ask(ApiKey.PRODUCE, version, {"acks": -1, "timeout_ms": 30_000, "topic_data": []})


@scenario((3, 9))
def no_partitions(s: Session, version: int) -> None:
    request = {"acks": -1, "timeout_ms": 30_000, "topic_data": [{"name": s.topic(), "partition_data": []}]}
    s.ask(ApiKey.PRODUCE, version, request)


@scenario((3, 9), {"null": None, "empty": b"", "short": b"short", "garbage": b"g" * 100})
def records_that_are(s: Session, version: int, data: bytes | None) -> None:
    s.ask(ApiKey.PRODUCE, version, fields(s.topic(), data))


@scenario((3, 9))
def a_topic_named_twice(s: Session, version: int) -> None:
    topic = s.topic(partitions=2)
    one, two = (batch(value, timestamp=s.at()) for value in (b"one", b"two"))
    topic_data = [
        {"name": topic, "partition_data": [{"index": 0, "records": one}]},
        {"name": topic, "partition_data": [{"index": 1, "records": two}]},
    ]
    s.ask(ApiKey.PRODUCE, version, {"acks": -1, "timeout_ms": 30_000, "topic_data": topic_data})


@scenario((3, 9))
def a_partition_named_twice(s: Session, version: int) -> None:
    topic = s.topic()
    one, two = (batch(value, timestamp=s.at()) for value in (b"one", b"two"))
    partitions = [{"index": 0, "records": one}, {"index": 0, "records": two}]
    request = {
        "acks": -1,
        "timeout_ms": 30_000,
        "topic_data": [{"name": topic, "partition_data": partitions}],
    }
    s.ask(ApiKey.PRODUCE, version, request)
    fetch(s, topic)


@scenario((3, 9))
def one_good_partition_and_one_bad(s: Session, version: int) -> None:
    topic = s.topic()
    data = batch(b"one", timestamp=s.at())
    partitions = [{"index": 0, "records": data}, {"index": 7, "records": data}]
    s.ask(
        ApiKey.PRODUCE,
        version,
        {"acks": -1, "timeout_ms": 30_000, "topic_data": [{"name": topic, "partition_data": partitions}]},
    )


@scenario((3, 9))
def two_batches_for_one_partition(s: Session, version: int) -> None:
    topic = s.topic()
    data = batch(b"one", timestamp=s.at()) + batch(b"two", timestamp=s.at())
    s.ask(ApiKey.PRODUCE, version, fields(topic, data))
    fetch(s, topic)


@scenario({codec.name: codec for codec in Codec}, (3, 9))
def a_codec(s: Session, codec: Codec, version: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"one", b"two" * 50, timestamp=s.at(), codec=codec)))
    fetch(s, topic)


@scenario({codec.name: codec for codec in Codec})
def a_topics_own_codec(s: Session, codec: Codec) -> None:
    topic = s.topic(configs={"compression.type": "uncompressed" if codec == 0 else codec.name.lower()})
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(b"one", b"two" * 50, timestamp=s.at(), codec=Codec.GZIP)))
    fetch(s, topic)


BROKEN = {
    "the CRC": lambda data: data[:17] + b"\0\0\0\0" + data[21:],
    "magic 1": lambda data: data[:16] + b"\1" + data[17:],
    "magic 0": lambda data: data[:16] + b"\0" + data[17:],
    "magic 3": lambda data: data[:16] + b"\3" + data[17:],
    "a length that is too long": lambda data: data[:8] + struct.pack(">i", len(data)) + data[12:],
    "a length that is too short": lambda data: data[:8] + struct.pack(">i", 10) + data[12:],
    "a negative length": lambda data: data[:8] + struct.pack(">i", -1) + data[12:],
    "a record count that is too high": lambda data: patched(data, 57, struct.pack(">i", 9)),
    "a record count that is too low": lambda data: patched(data, 57, struct.pack(">i", 1)),
    "a record count of 0": lambda data: patched(data, 57, struct.pack(">i", 0)),
    "a record count of -1": lambda data: patched(data, 57, struct.pack(">i", -1)),
    "a last offset delta that is too high": lambda data: patched(data, 23, struct.pack(">i", 9)),
    "a last offset delta of -1": lambda data: patched(data, 23, struct.pack(">i", -1)),
    "an unknown codec": lambda data: patched(data, 21, b"\0\5"),
    "a codec that it is not compressed with": lambda data: patched(data, 21, b"\0\1"),
    "a control bit": lambda data: patched(data, 21, b"\0\x20"),
    "a transactional bit": lambda data: patched(data, 21, b"\0\x10"),
    "a log append time bit": lambda data: patched(data, 21, b"\0\x08"),
    "a delete horizon bit": lambda data: patched(data, 21, b"\0\x40"),
    "a base offset": lambda data: struct.pack(">q", 5) + data[8:],
    "a leader epoch": lambda data: data[:12] + struct.pack(">i", 9) + data[16:],
    "a record that is cut": lambda data: patched(data, HEADER_BYTES, b"\x7e"),
    "trailing bytes": lambda data: data + b"\0\0\0",
    "a max timestamp that no record has": lambda data: patched(data, 35, struct.pack(">q", 5)),
}


@scenario(BROKEN, (9,))
def a_batch_with(s: Session, change: Any, version: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.PRODUCE, version, fields(topic, change(batch(b"one", b"two", timestamp=s.at()))))
    fetch(s, topic)


@scenario({name: BROKEN[name] for name in ("the CRC", "magic 1", "a record count that is too high")})
def a_broken_batch_beside_a_good_one(s: Session, change: Any) -> None:
    topic = s.topic()
    good = batch(b"good", timestamp=s.at())
    s.ask(ApiKey.PRODUCE, 9, fields(topic, good + change(batch(b"one", b"two", timestamp=s.at()))))


@scenario(
    {
        "compressed garbage": lambda codec: b"\xff" * 40,
        "an empty payload": lambda codec: b"",
    },
    {codec.name: codec for codec in Codec if codec},
)
def a_compressed_batch_of(s: Session, payload: Any, codec: Codec) -> None:
    topic = s.topic()
    whole = batch(b"one", timestamp=s.at(), codec=codec)
    data = bytearray(whole[:HEADER_BYTES] + payload(codec))
    data[8:12] = struct.pack(">i", len(data) - 12)
    s.ask(ApiKey.PRODUCE, 9, fields(topic, bytes(seal(data).data)))


@scenario({"two days ahead": 2 * DAY_MS, "a year back": -365 * DAY_MS, "half an hour ahead": 5_400_000})
def a_timestamp(s: Session, offset: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(b"one", timestamp=s.at(offset))))


@scenario({"-1": -1, "-2": -2, "0": 0})
def a_timestamp_of(s: Session, timestamp: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(b"one", timestamp=timestamp)))
    fetch(s, topic)


@scenario({"before": "message.timestamp.before.max.ms", "after": "message.timestamp.after.max.ms"})
def a_timestamp_outside_of_what_the_topic_allows(s: Session, config: str) -> None:
    topic = s.topic(configs={config: "1000"})
    offset = -DAY_MS if "before" in config else DAY_MS
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(b"one", timestamp=s.at(offset))))


@scenario((3, 9))
def log_append_time(s: Session, version: int) -> None:
    topic = s.topic(configs={"message.timestamp.type": "LogAppendTime"})
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"one", b"two", timestamp=s.at())))
    fetch(s, topic)


@scenario((3, 9))
def a_batch_larger_than_the_topic_allows(s: Session, version: int) -> None:
    topic = s.topic(configs={"max.message.bytes": "100"})
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"x" * 200, timestamp=s.at())))


@scenario()
def a_batch_larger_than_a_segment(s: Session) -> None:
    topic = s.topic(configs={"segment.bytes": "1048576", "max.message.bytes": "3000000"})
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(b"x" * 2_000_000, timestamp=s.at())))


@scenario((3, 9), {"no key": None, "an empty key": b"", "a key": b"key"})
def a_compacted_topic(s: Session, version: int, key: bytes | None) -> None:
    topic = s.topic(configs={"cleanup.policy": "compact"})
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"one", timestamp=s.at(), key=key)))


@scenario()
def a_tombstone_with_headers(s: Session) -> None:
    topic = s.topic()
    headers = (("a", b"1"), ("a", None), ("", b""))
    s.ask(ApiKey.PRODUCE, 9, fields(topic, batch(None, timestamp=s.at(), headers=headers)))
    fetch(s, topic)


@scenario((3, 9))
def too_few_in_sync_replicas(s: Session, version: int) -> None:
    topic = s.topic(configs={"min.insync.replicas": "4"})
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"one", timestamp=s.at())))
    s.ask(ApiKey.PRODUCE, version, fields(topic, batch(b"one", timestamp=s.at()), acks=1))


@scenario((3, 9))
def a_transactional_id_of_nobody(s: Session, version: int) -> None:
    data = batch(b"one", timestamp=s.at())
    s.ask(ApiKey.PRODUCE, version, fields(s.topic(), data, transactional_id=s.name("tx")))


@scenario((9, 12))
def a_transactional_batch_of_nobody(s: Session, version: int) -> None:
    data = batch(
        b"one", timestamp=s.at(), producer_id=7777, producer_epoch=0, base_sequence=0, is_transactional=True
    )
    s.ask(ApiKey.PRODUCE, version, fields(s.topic(), data, transactional_id=s.name("tx")))


@scenario({"0": 0, "-1": -1})
def a_timeout_of(s: Session, timeout_ms: int) -> None:
    request = fields(s.topic(), batch(b"one", timestamp=s.at()), acks=1)
    s.ask(ApiKey.PRODUCE, 9, {**request, "timeout_ms": timeout_ms})
