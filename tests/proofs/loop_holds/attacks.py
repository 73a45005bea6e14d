"""What a node is attacked with. Each attack prepares what it needs, is announced, and then does its worst."""

import os
import resource
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

from chronik.sim.frames import framed, request
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.describe_topic_partitions import DescribeTopicPartitionsRequest, TopicRequest
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from chronik.wire.primitives import TAGGED_FIELDS_MAX, uvarint
from tests.proofs.loop_holds.filled import filled_requests
from tests.proofs.loop_holds.watching import WatchedNode
from tests.support.protocol.client import RawClient

# Descriptors of this process that are not connections to the node.
_OTHER_DESCRIPTORS = 200

_ANSWER_SECONDS_MAX = 60.0


class Attack(NamedTuple):
    name: str
    run: Callable[[WatchedNode], None]


def named() -> Iterator[Attack]:
    """Those of which each release says what it comes to."""
    yield Attack("Metadata, 300,000 unknown names", lambda node: _ask(node, *_unknown_names(300_000)))
    for filled in filled_requests():
        is_newest = filled.version == SUPPORTED[filled.api_key].last
        if is_newest and filled.name in _NINE_THOUSAND:
            frame = request(filled.api_key, filled.version, filled.message(9_000)).frame
            yield Attack(f"{filled.name}, 9,000 of them", lambda node, frame=frame: _ask(node, frame))  # type: ignore[misc]
    yield Attack(
        "DescribeTopicPartitions, 300,000 unknown names", lambda node: _ask(node, _names_to_describe(300_000))
    )
    yield Attack("a header with 10,001 tagged fields", lambda node: _ask(node, _tagged_header()))
    yield crowd(5_000)
    yield Attack("2,000 half-open HTTP connections", _half_open_http)


def crowd(count: int) -> Attack:
    """Takes 5 ms for each connection."""
    return Attack(
        f"{count:,} connections with 1 MB headers", lambda node: _crowd(node, count, _large_header())
    )


def filled(count: int) -> Iterator[Attack]:
    """`count` elements in each array of each API."""
    for one in filled_requests():

        def run(node: WatchedNode, one: object = one) -> None:
            _ask(node, request(one.api_key, one.version, one.message(count)).frame)  # type: ignore[attr-defined]

        yield Attack(f"{one.name} v{one.version}, {count:,} of them", run)


_NINE_THOUSAND = (
    "FETCH.topics.partitions",
    "LIST_OFFSETS.topics.partitions",
    "OFFSET_COMMIT.topics.partitions",
    "OFFSET_FETCH.groups.topics.partition_indexes",
    "CREATE_TOPICS.topics",
    "DELETE_TOPICS.topics",
    "DESCRIBE_GROUPS.groups",
    "DESCRIBE_CONFIGS.resources",
    "FIND_COORDINATOR.coordinator_keys",
    "JOIN_GROUP.protocols",
)


def _ask(node: WatchedNode, *frames: bytes) -> None:
    """Whatever comes of it: an answer, the end of the connection."""
    node.reset()
    with RawClient(node.port, _ANSWER_SECONDS_MAX) as client, suppress(ConnectionError, TimeoutError):
        for frame in frames:
            client.send(frame)
            client.receive_frame()


def _unknown_names(count: int) -> tuple[bytes, ...]:
    topics = [MetadataRequestTopic(name=f"unknown-{number}") for number in range(count)]
    return (request(ApiKey.METADATA, 12, MetadataRequest(topics=topics)).frame,)


def _names_to_describe(count: int) -> bytes:
    topics = [TopicRequest(name=f"unknown-{number}") for number in range(count)]
    return request(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, DescribeTopicPartitionsRequest(topics=topics)).frame


def _tagged_header() -> bytes:
    count = TAGGED_FIELDS_MAX + 1
    tags = b"".join(uvarint(tag) + b"\0" for tag in range(count))
    head = struct.pack(">hhih", ApiKey.METADATA, 12, 1, 0)
    return framed(head + uvarint(count) + tags)


def _large_header() -> bytes:
    """One tagged field of a megabyte, of which the last byte is missing."""
    head = struct.pack(">hhih", ApiKey.METADATA, 12, 1, 0)
    return framed(head + b"\1\0" + uvarint(1 << 20) + bytes(1 << 20))[:-1]


def _crowd(node: WatchedNode, count: int, data: bytes) -> None:
    """All connected first. They send while the node is stopped, so that all of them have something to read in
    one turn, which is the worst case; then the rest, as far as the node lets them.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as connected:
        crowd: list[socket.socket] = []
        for _ in range(min(count, most - _OTHER_DESCRIPTORS)):
            one = connected.enter_context(socket.create_connection(("127.0.0.1", node.port)))
            one.setblocking(False)
            crowd.append(one)
        node.reset()
        sent = dict.fromkeys(crowd, 0)
        with node.stopped():
            while _send_some(sent, data):
                pass
        while sent:
            writable = select.poll()
            for one in sent:
                writable.register(one, select.POLLOUT)
            if not writable.poll(_ANSWER_SECONDS_MAX * 1000):
                raise TimeoutError(f"the node reads nothing from {len(sent)} connections")
            _send_some(sent, data)
        node.report()


def _send_some(sent: dict[socket.socket, int], data: bytes) -> bool:
    """Send what fits; those that are done, or refused, leave `sent`. Whether there was any progress."""
    view = memoryview(data)
    has_sent = False
    for one, done in list(sent.items()):
        try:
            sent[one] = done + one.send(view[done:])
            has_sent = True
        except BlockingIOError:
            continue
        except OSError:
            del sent[one]
            continue
        if sent[one] == len(data):
            del sent[one]
    return has_sent


def _half_open_http(node: WatchedNode) -> None:
    node.reset()
    with ExitStack() as connected:
        for _ in range(2_000):
            one = connected.enter_context(socket.create_connection(("127.0.0.1", node.http_port)))
            with suppress(OSError):
                one.sendall(b"GET /metr")
        with socket.create_connection(("127.0.0.1", node.http_port)) as asking:
            asking.settimeout(_ANSWER_SECONDS_MAX)
            asking.sendall(b"GET /health/ready HTTP/1.0\r\n\r\n")
            if b" 200 " not in asking.recv(100):
                raise AssertionError(f"health is not answered beside {os.getpid()}'s connections")
