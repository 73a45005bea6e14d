"""Produce (key 0): records refused one by one (KIP-467), and compressed batches with garbage inside."""

from collections.abc import Callable
from random import Random
from typing import Any

from chronik.records.batch import HEADER_BYTES, Codec, pack_header, parse_header, seal
from chronik.records.build import BatchOptions, build_batch
from chronik.records.compression import compress
from chronik.records.record import Record
from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

CODECS = {codec.name.lower(): codec for codec in Codec}
COMPRESSED = {name: codec for name, codec in CODECS.items() if codec is not Codec.NONE}
COMPRESSION_TYPES = ("producer", "zstd", "uncompressed")
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# Of what cannot be decoded: transcripts have its bytes.
FIXED_MS = 1_700_000_000_000


def send(s: Session, topic: str, data: bytes, version: int = 9) -> None:
    """The leader knows by then that it leads: Kafka shows it in metadata a little earlier."""
    latest = {"partition_index": 0, "timestamp": -1}
    wanted = {"replica_id": -1, "topics": [{"name": topic, "partitions": [latest]}]}
    s.wait_until(
        lambda answer: answer["topics"][0]["partitions"][0]["error_code"] == 0,
        ApiKey.LIST_OFFSETS,
        5,
        wanted,
    )
    partition = {"index": 0, "records": data}
    fields: dict[str, Any] = {
        "acks": -1,
        "timeout_ms": 30_000,
        "topic_data": [{"name": topic, "partition_data": [partition]}],
    }
    s.ask(ApiKey.PRODUCE, version, fields)


def packed(records: list[Record], codec: Codec = Codec.NONE) -> bytes:
    return bytes(build_batch(records, BatchOptions(codec=codec)).data)


def around(payload: bytes, codec: Codec) -> bytes:
    """A batch of three records by its header and CRC, with any payload."""
    header = parse_header(packed([Record(b"k", b"v", FIXED_MS)] * 3))
    attributes = header.attributes | codec
    return bytes(seal(bytearray(pack_header(header._replace(attributes=attributes)) + payload)).data)


@scenario((3, 8, 9), CODECS, nodes=1)
def records_without_keys_on_a_compacted_topic(s: Session, version: int, codec: Codec) -> None:
    if codec is Codec.ZSTD and version < 7:
        codec = Codec.LZ4
    topic = s.topic(configs={"cleanup.policy": "compact"})
    records = [Record(None if index in (1, 3) else b"k", b"v", s.at()) for index in range(5)]
    send(s, topic, packed(records, codec), version)


@scenario((8, 9), nodes=1)
def five_records_without_keys(s: Session, version: int) -> None:
    topic = s.topic(configs={"cleanup.policy": "compact"})
    send(s, topic, packed([Record(None, b"v", s.at())] * 5), version)


@scenario(CODECS, nodes=1)
def timestamps_out_of_range(s: Session, codec: Codec) -> None:
    """Neither is the first nor the greatest alone: the header does not tell the past one."""
    bounds = {"message.timestamp.before.max.ms": str(DAY_MS), "message.timestamp.after.max.ms": str(DAY_MS)}
    topic = s.topic(configs=bounds)
    times = {2: -3 * DAY_MS, 4: 3 * DAY_MS}
    send(s, topic, packed([Record(b"k", b"v", s.at(times.get(index, 0))) for index in range(6)], codec))


@scenario(CODECS, nodes=1)
def neither_a_key_nor_the_right_time(s: Session, codec: Codec) -> None:
    topic = s.topic(configs={"cleanup.policy": "compact", "message.timestamp.after.max.ms": str(HOUR_MS)})
    records = [
        Record(None if index in (0, 3) else b"k", b"v", s.at(3 * DAY_MS if index in (2, 3) else 0))
        for index in range(5)
    ]
    send(s, topic, packed(records, codec))


@scenario(CODECS, nodes=1)
def times_to_come_where_the_broker_sets_its_own(s: Session, codec: Codec) -> None:
    topic = s.topic(configs={"message.timestamp.type": "LogAppendTime"})
    send(s, topic, packed([Record(b"k", b"v", s.at(3 * DAY_MS))] * 2, codec))


def _three() -> bytes:
    return packed([Record(b"k", b"v", FIXED_MS)] * 3)[HEADER_BYTES:]


def _garbage(codec: Codec) -> bytes:
    return Random(1).randbytes(200)


def _cut(codec: Codec) -> bytes:
    return bytes(compress(codec, _three()))[:-6]


def _garbage_within(codec: Codec) -> bytes:
    return bytes(compress(codec, Random(1).randbytes(200)))


def _too_few(codec: Codec) -> bytes:
    return bytes(compress(codec, packed([Record(b"k", b"v", FIXED_MS)] * 2)[HEADER_BYTES:]))


def _more_behind(codec: Codec) -> bytes:
    return bytes(compress(codec, _three() + bytes(4)))


PAYLOADS: dict[str, Callable[[Codec], bytes]] = {
    "garbage": _garbage,
    "cut": _cut,
    "garbage within": _garbage_within,
    "too few records": _too_few,
    "bytes behind": _more_behind,
}


@scenario(COMPRESSED, PAYLOADS, COMPRESSION_TYPES, nodes=1)
def a_payload_that_is(
    s: Session, codec: Codec, payload: Callable[[Codec], bytes], compression_type: str
) -> None:
    """Nothing of it is stored: the next batch is the first."""
    topic = s.topic(configs={"compression.type": compression_type})
    send(s, topic, around(payload(codec), codec))
    send(s, topic, packed([Record(b"k", b"v", s.at())]))
