"""Requests that are well-formed, of any API and version, with values a broker may meet.

Values come from a small world of names, so that requests find each other's topics, groups and producers,
and now and then from the edges of their types.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from chronik.records.batch import HEADER_BYTES, Codec, seal
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.sim.frames import Request
from chronik.wire.apis import SUPPORTED, ApiKey, request_class
from chronik.wire.codec import encode
from chronik.wire.schema import Field, Message, Struct, fields_in

# Requests that may wait longer than a test wants to: for other members, or for data.
WAITING = frozenset({ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.FETCH})

_EDGES = {
    "int8": (-128, -2, 127),
    "int16": (-(2**15), -2, 2**15 - 1),
    "uint16": (2**16 - 1,),
    "int32": (-(2**31), -2, 2**31 - 1, 1 << 20),
    "int64": (-(2**63), -2, 2**63 - 1, 1 << 40),
}
_TEXTS = ("", "none", "a b", "..", "x" * 300, "näme", "1", "cleanup.policy", "compact", "retention.ms")


@dataclass(frozen=True, slots=True)
class World:
    """What requests are about."""

    topics: Sequence[str] = ("fuzz-a", "fuzz-b", "fuzz-c", "__consumer_offsets")
    topic_ids: Sequence[bytes] = (bytes(16),)
    groups: Sequence[str] = ("group-a", "group-b")
    partitions: int = 3


def any_request(chance: Random, world: World, correlation_id: int) -> Request:
    """A request of a random API and version that the broker serves."""
    api_key = chance.choice(list(SUPPORTED))
    first, last = SUPPORTED[api_key]
    version = chance.randint(first, last)
    return Request(
        api_key, version, correlation_id, encode(message(chance, world, api_key, version), version)
    )


def message(chance: Random, world: World, api_key: ApiKey, version: int) -> Message:
    """A well-formed request."""
    filled = _Filling(chance, world, version).struct(request_class(api_key))
    assert isinstance(filled, Message)
    return filled


def any_batch(chance: Random) -> bytes:
    """A record batch: whole, or with something wrong in it below a CRC that is right, or above it."""
    records = [
        Record(
            key=chance.choice((None, b"", b"key")),
            value=chance.choice((None, b"", b"value" * chance.randint(1, 50))),
            timestamp=int(time.time() * 1000) + chance.choice((0, 0, 5, 10**12)),
            headers=(("h", b"v"),) * chance.choice((0, 0, 3)),
        )
        for _ in range(chance.randint(1, 5))
    ]
    with_producer = chance.random() < 0.3
    options = BatchOptions(
        codec=chance.choice(list(Codec)),
        producer_id=chance.randint(0, 3) if with_producer else -1,
        producer_epoch=chance.randint(0, 2) if with_producer else -1,
        base_sequence=chance.randint(0, 10) if with_producer else -1,
    )
    data = bytearray(build_batch(records, options).data)
    if chance.random() < 0.5:
        return bytes(data)
    # Behind the length and the CRC, which are set right again: what a hostile producer would send.
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(HEADER_BYTES - 40, len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(seal(data).data) if chance.random() < 0.8 else bytes(data)


class _Filling:
    """Fills the fields of one message."""

    def __init__(self, chance: Random, world: World, version: int) -> None:
        self._chance = chance
        self._world = world
        self._version = version
        self._by_name: dict[str, Callable[[], Any]] = {
            "name": self._topic,
            "topic": self._topic,
            "resource_name": self._topic,
            "group_id": self._group,
            "key": self._group,
            "topic_id": lambda: chance.choice(world.topic_ids),
            "member_id": lambda: chance.choice(("", "", "member-a")),
            "partition": self._partition,
            "partitions": self._partition,
            "index": self._partition,
            "partition_index": self._partition,
            "partition_indexes": self._partition,
            "num_partitions": lambda: chance.choice((-1, 0, 1, 2, 3, 2**31 - 1)),
            "count": lambda: chance.choice((0, 1, 4, 2**31 - 1)),
            "replication_factor": lambda: chance.choice((-1, 1, 1, 2)),
            "acks": lambda: chance.choice((-1, 0, 1, 1, 7)),
            "timeout_ms": lambda: chance.choice((0, 1, 1000, -1)),
            "max_wait_ms": lambda: chance.choice((0, 1, 100)),
            "session_timeout_ms": lambda: chance.choice((6000, 10000, 0)),
            "rebalance_timeout_ms": lambda: chance.choice((10, 100, 1000)),
            "transactional_id": lambda: chance.choice((None, None, None, "tx")),
            "fetch_offset": lambda: chance.choice((0, 0, 1, 5, 10**6, -1)),
            "timestamp": lambda: chance.choice((-1, -2, -3, -4, -5, 0, 10**12, -9)),
        }

    def struct(self, kind: type[Struct]) -> Struct:
        filled = kind()
        for field in fields_in(kind, self._version):
            if field.tag is None or self._chance.random() < 0.3:
                setattr(filled, field.name, self._field(field))
        return filled

    def _field(self, field: Field) -> Any:
        if self._version in field.nullable and self._chance.random() < 0.15:
            return None
        if field.is_array:
            return [self._value(field) for _ in range(self._chance.choice((0, 1, 1, 1, 2, 3)))]
        return self._value(field)

    def _value(self, field: Field) -> Any:
        if field.struct is not None:
            return self.struct(field.struct)
        usual = self._by_name.get(field.name)
        if usual is not None and self._chance.random() < 0.95 and _fits(usual(), field):
            return usual()
        return self._scalar(field.type_name)

    def _scalar(self, type_name: str) -> Any:
        chance = self._chance
        match type_name:
            case "bool":
                return chance.random() < 0.5
            case "string":
                return chance.choice(_TEXTS)
            case "bytes":
                return chance.choice((b"", b"\0\0", chance.randbytes(20)))
            case "records":
                return any_batch(chance)
            case "uuid":
                return chance.choice(self._world.topic_ids)
            case "float64":
                return chance.choice((0.0, -1.0, 1e300))
            case _:
                return chance.choice((-1, 0, 0, 1, 1, 2, *_EDGES[type_name][: chance.choice((0, 0, 0, 9))]))

    def _topic(self) -> str:
        return self._chance.choice(self._world.topics)

    def _group(self) -> str:
        return self._chance.choice(self._world.groups)

    def _partition(self) -> int:
        return self._chance.randrange(self._world.partitions)


def _fits(value: Any, field: Field) -> bool:
    """Names are shared by fields of several types: `partitions` is a number here and structs there."""
    match field.type_name:
        case "string":
            return isinstance(value, str) or value is None
        case "uuid":
            return isinstance(value, bytes)
        case "bytes" | "records" | "bool" | "float64":
            return False
        case "int8" | "int16" | "uint16":
            return isinstance(value, int) and -128 <= value <= 127
        case _:
            return isinstance(value, int)
