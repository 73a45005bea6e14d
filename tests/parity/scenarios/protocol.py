"""Frames that are no request, or none that a broker knows."""

import struct

from chronik.wire.apis import ApiKey
from tests.parity.codec import Raw
from tests.parity.registry import scenario
from tests.parity.session import Session

# Keys that Kafka had once, has between its own nodes, or never had.
KEYS = (4, 5, 6, 7, 52, 56, 58, 62, 99, 1000, -1)


@scenario({f"key {key}": key for key in KEYS})
def an_unknown_api(s: Session, key: int) -> None:
    s.ask_raw(key, 0, b"", "nothing")


ABOVE = {
    ApiKey.FETCH: 19,
    ApiKey.LIST_OFFSETS: 12,
    ApiKey.METADATA: 14,
    ApiKey.OFFSET_COMMIT: 11,
    ApiKey.OFFSET_FETCH: 11,
    ApiKey.FIND_COORDINATOR: 7,
    ApiKey.JOIN_GROUP: 10,
    ApiKey.HEARTBEAT: 5,
    ApiKey.CREATE_TOPICS: 8,
    ApiKey.DELETE_TOPICS: 7,
    ApiKey.DESCRIBE_CONFIGS: 5,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: 1,
}
BELOW = {
    ApiKey.FETCH: 3,
    ApiKey.LIST_OFFSETS: 0,
    ApiKey.OFFSET_COMMIT: 1,
    ApiKey.OFFSET_FETCH: 0,
    ApiKey.CREATE_TOPICS: 1,
    ApiKey.DELETE_TOPICS: 0,
    ApiKey.DESCRIBE_CONFIGS: 0,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: 1,
}


@scenario({key.name: key for key in ABOVE})
def a_version_too_high(s: Session, key: ApiKey) -> None:
    s.ask_raw(key, ABOVE[key], bytes(30), "30 zero bytes")


@scenario({key.name: key for key in BELOW})
def a_version_too_low(s: Session, key: ApiKey) -> None:
    s.ask_raw(key, BELOW[key], bytes(30), "30 zero bytes")


@scenario(
    {
        "METADATA": (ApiKey.METADATA, 9),
        "FETCH": (ApiKey.FETCH, 12),
        "PRODUCE": (ApiKey.PRODUCE, 9),
        "CREATE_TOPICS": (ApiKey.CREATE_TOPICS, 7),
    }
)
def an_empty_body(s: Session, case: tuple[ApiKey, int]) -> None:
    s.ask_raw(*case, b"", "nothing")


@scenario(
    {
        "METADATA v1": (ApiKey.METADATA, 1),
        "METADATA v9": (ApiKey.METADATA, 9),
        "JOIN_GROUP v5": (ApiKey.JOIN_GROUP, 5),
        "LIST_OFFSETS v7": (ApiKey.LIST_OFFSETS, 7),
    }
)
def a_body_that_is_cut(s: Session, case: tuple[ApiKey, int]) -> None:
    s.ask_raw(*case, b"\0\0\0\2\0\3abc\0", "an array of two elements that ends in the first")


@scenario((1, 8))
def an_array_longer_than_the_request(s: Session, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": Raw(struct.pack(">i", 2**31 - 1))})


@scenario()
def a_compact_array_longer_than_the_request(s: Session) -> None:
    s.ask(ApiKey.METADATA, 9, {"topics": Raw(b"\xff\xff\xff\xff\x07")})


@scenario((0,))
def an_array_of_negative_length(s: Session, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": Raw(struct.pack(">i", -2))})


@scenario()
def a_string_longer_than_the_request(s: Session) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, 0, {"key": Raw(struct.pack(">h", 1000) + b"abc")})


@scenario()
def a_string_that_is_not_utf8(s: Session) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, 0, {"key": Raw(struct.pack(">h", 2) + b"\xff\xfe")})


NULLS = {
    "a topic in METADATA v5": (ApiKey.METADATA, 5, {"topics": [{"name": None}]}),
    "the group in HEARTBEAT v4": (ApiKey.HEARTBEAT, 4, {"group_id": None}),
    "the topics in FETCH v12": (ApiKey.FETCH, 12, {"topics": None}),
    "the topics in CREATE_TOPICS v7": (ApiKey.CREATE_TOPICS, 7, {"topics": None}),
    "the topics in LIST_OFFSETS v1": (ApiKey.LIST_OFFSETS, 1, {"topics": None}),
    "the groups in DESCRIBE_GROUPS v5": (ApiKey.DESCRIBE_GROUPS, 5, {"groups": None}),
    "the topics in PRODUCE v9": (ApiKey.PRODUCE, 9, {"topic_data": None}),
    "the resources in DESCRIBE_CONFIGS v4": (ApiKey.DESCRIBE_CONFIGS, 4, {"resources": None}),
}


@scenario(NULLS)
def null_where_none_is_allowed_for(s: Session, case: tuple[ApiKey, int, dict[str, None]]) -> None:
    s.ask(*case)


@scenario()
def bytes_behind_a_request(s: Session) -> None:
    s.ask_raw(ApiKey.METADATA, 1, struct.pack(">i", 0) + b"more", "no topics, and four bytes behind")


@scenario()
def an_unknown_tagged_field(s: Session) -> None:
    body = b"\x01\0\0\0\x01\x63\x03abc"
    s.ask_raw(ApiKey.METADATA, 9, body, "no topics, and tag 99")


@scenario({"-1": -1, "0": 0, "3": 3, "above 100 MiB": 104_857_601, "largest": 2**31 - 1})
def a_frame_of_size(s: Session, size: int) -> None:
    s.send_bytes(struct.pack(">i", size) + b"abc"[: max(size, 0)], f"a frame that says {size}")


@scenario()
def text_of_another_protocol(s: Session) -> None:
    s.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "an HTTP request")


@scenario()
def an_answer_after_what_was_refused(s: Session) -> None:
    s.ask(ApiKey.METADATA, 1, {"topics": []}, hide={"brokers"})
    s.ask_raw(99, 0, b"", "nothing")
    s.ask(ApiKey.METADATA, 1, {"topics": []}, hide={"brokers"})
