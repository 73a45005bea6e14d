"""Encodes frames of gossip as bytes. A version in front; a frame that no release sends is a
MalformedFrame.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntFlag
from typing import NamedTuple

from chronik.cluster.leadership import PartitionKey
from chronik.raft.transport import MalformedFrame
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId

_VERSION = 1

# From a node that does not serve yet: other nodes do not wait for it.
NOT_SERVING = Offset(-1)

# Version, flags, applied offset, leaderships, lagging partitions.
_HEADER = struct.Struct(">BBqII")
# Topic id, partition, epoch, whether it is led or was given up.
_LEADERSHIP = struct.Struct(">16siiB")
# Topic id, partition, epoch, nodes that follow.
_LAGGING = struct.Struct(">16siiH")


class Flags(IntFlag):
    """The kind of a frame."""

    NONE = 0
    # A part of all that the sender leads: it does not lead a partition that is in none of the parts.
    WHOLE = 1
    # The first of them.
    BEGIN = 2
    # The last of them.
    END = 4


class Leadership(NamedTuple):
    """A partition the sender leads in an epoch, or led and gave up."""

    key: PartitionKey
    epoch: LeaderEpoch
    is_led: bool


class LaggingReplicas(NamedTuple):
    """The replicas out of sync in a partition that the sender leads."""

    key: PartitionKey
    epoch: LeaderEpoch
    nodes: frozenset[NodeId]


class GossipFrame(NamedTuple):
    """One frame."""

    flags: Flags
    applied: Offset
    leaderships: Sequence[Leadership]
    lagging: Sequence[LaggingReplicas]


def encode_gossip(frame: GossipFrame) -> bytes:
    """25 bytes for each leadership."""
    head = _HEADER.pack(_VERSION, frame.flags, frame.applied, len(frame.leaderships), len(frame.lagging))
    return b"".join((head, *map(_leadership, frame.leaderships), *map(_lagging, frame.lagging)))


def decode_gossip(payload: memoryview) -> GossipFrame:
    """Raises MalformedFrame."""
    try:
        version, flags, applied, leaderships, lagging = _HEADER.unpack_from(payload)
        if version != _VERSION or flags not in _KNOWN_FLAGS or applied < NOT_SERVING:
            raise MalformedFrame(f"gossip of version {version} with flags {flags}")
        end = _HEADER.size + leaderships * _LEADERSHIP.size
        frame = GossipFrame(
            Flags(flags),
            Offset(applied),
            list(_read_leaderships(payload[_HEADER.size : end], leaderships)),
            _read_lagging(payload[end:], lagging),
        )
    except struct.error as error:
        raise MalformedFrame(f"gossip is cut short: {error}") from error
    return frame


_KNOWN_FLAGS = frozenset(
    {
        Flags.NONE,
        Flags.WHOLE,
        Flags.WHOLE | Flags.BEGIN,
        Flags.WHOLE | Flags.END,
        Flags.WHOLE | Flags.BEGIN | Flags.END,
    }
)


def _leadership(leadership: Leadership) -> bytes:
    (topic_id, partition), epoch, is_led = leadership
    return _LEADERSHIP.pack(topic_id, partition, epoch, is_led)


def _lagging(lagging: LaggingReplicas) -> bytes:
    (topic_id, partition), epoch, nodes = lagging
    return _LAGGING.pack(topic_id, partition, epoch, len(nodes)) + struct.pack(f">{len(nodes)}i", *nodes)


def _read_leaderships(view: memoryview, count: int) -> Iterable[Leadership]:
    if len(view) != count * _LEADERSHIP.size:
        raise MalformedFrame("gossip is cut short")
    for topic_id, partition, epoch, is_led in _LEADERSHIP.iter_unpack(view):
        yield Leadership(_key(topic_id, partition), _epoch(epoch), is_led != 0)


def _read_lagging(view: memoryview, count: int) -> list[LaggingReplicas]:
    found, position = [], 0
    for _ in range(count):
        topic_id, partition, epoch, nodes = _LAGGING.unpack_from(view, position)
        position += _LAGGING.size
        lagging = struct.unpack_from(f">{nodes}i", view, position)
        position += 4 * nodes
        found.append(
            LaggingReplicas(_key(topic_id, partition), _epoch(epoch), frozenset(map(NodeId, lagging)))
        )
    if position != len(view):
        raise MalformedFrame("gossip has bytes left over")
    return found


def _key(topic_id: bytes, partition: int) -> PartitionKey:
    if partition < 0:
        raise MalformedFrame(f"gossip about partition {partition}")
    return PartitionKey(TopicId(topic_id), partition)


def _epoch(epoch: int) -> LeaderEpoch:
    if epoch < 0:
        raise MalformedFrame(f"gossip about epoch {epoch}")
    return LeaderEpoch(epoch)
