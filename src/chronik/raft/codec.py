"""Encodes messages of the core as bytes, those of many groups in one frame.

A frame is a version byte and messages, each beginning with its kind, its group and its term. Sender and
target follow from the connection. All numbers are big-endian, as in the Kafka protocol.
"""

import struct
from collections.abc import Callable, Iterator
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple, cast

from chronik.raft.codec_entries import (
    APPEND_MANY,
    APPEND_ONE,
    decode_append_many,
    decode_append_one,
    encode_append,
)
from chronik.raft.codec_membership import decode_membership, encode_membership
from chronik.raft.core.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    RestartLog,
    TimeoutNow,
    VoteReply,
)
from chronik.raft.group import GroupId
from chronik.raft.markers import RestartPayload
from chronik.raft.transport import Buffer, MalformedFrame
from chronik.vocab.ids import NodeId, Offset

# Of the layout of messages. A release that cannot read another's refuses its connection in the handshake;
# this is for frames that are found elsewhere, and costs a byte.
VERSION = 1
_HEAD = bytes([VERSION])

_Decoder = Callable[[memoryview, int, NodeId, NodeId], tuple[GroupId, Message, int, int]]


def encode(group: GroupId, message: Message, log_start: int, out: list[Buffer]) -> int:
    """Append `message` to the frame that is made in `out`; the bytes added.

    The first message in an empty `out` is preceded by the version. Payload buffers go in as they are and
    must not change any more. `log_start` is the leader's log start offset; it travels with AppendEntries and
    Heartbeat.
    """
    added = 0
    if not out:
        out.append(_HEAD)
        added = 1
    fixed = _FIXED.get(type(message))
    if fixed is not None:
        head = fixed.struct.pack(fixed.kind, *group, *fixed.fields(message))
        out.append(head)
        return added + len(head)
    if isinstance(message, AppendEntries):
        return added + encode_append(group, message, log_start, out)
    if isinstance(message, Heartbeat):
        return added + _encode_heartbeat(group, message, log_start, out)
    return added + _encode_restart(group, cast(RestartLog, message), out)


def decode(
    payload: memoryview, source: NodeId, target: NodeId
) -> Iterator[tuple[GroupId, Message, int, int]]:
    """Yields the messages of a frame, each with its group, the log start offset sent along (else -1) and its
    size in bytes.

    Lazily: a frame may hold millions of small ones. Payloads of entries are slices of `payload`. Raises
    MalformedFrame at the first malformed message; those before it stand.
    """
    end = len(payload)
    if not end or payload[0] != VERSION:
        raise MalformedFrame("messages of another version")
    at = 1
    while at < end:
        decoder = _DECODERS.get(payload[at])
        if decoder is None:
            raise MalformedFrame(f"no message has kind {payload[at]}")
        start = at
        try:
            group, message, log_start, at = decoder(payload, at, source, target)
        except struct.error as error:
            raise MalformedFrame("a message ends beyond its frame") from error
        yield group, message, log_start, at - start


class _Fixed(NamedTuple):
    """A message of a fixed length, packed and unpacked in one call."""

    kind: int
    struct: Struct
    names: tuple[str, ...]
    fields: Callable[[Any], tuple[Any, ...]]


def _fixed(kind: int, layout: str, *names: str) -> _Fixed:
    """`layout` and `names` are of the fields after `term`, all of them numbers from -1 on or flags."""
    # One name alone would be its value, not a tuple.
    fields = attrgetter("term", *names) if names else lambda message: (message.term,)
    return _Fixed(kind, Struct(f">B16sii{layout}"), ("term", *names), fields)


_FIXED: dict[type[Message], _Fixed] = {
    RequestPreVote: _fixed(1, "qi", "last_index", "last_term"),
    PreVoteReply: _fixed(2, "?", "is_granted"),
    RequestVote: _fixed(3, "qi?", "last_index", "last_term", "is_transfer"),
    VoteReply: _fixed(4, "?", "is_granted"),
    # 5 and 6 are AppendEntries.
    AppendAccepted: _fixed(7, "q?", "match", "is_counted"),
    AppendRejected: _fixed(8, "qqi", "prev_index", "hint_index", "hint_term"),
    # 9 is Heartbeat.
    HeartbeatReply: _fixed(10, "qq", "match", "sent"),
    # 11 is RestartLog.
    TimeoutNow: _fixed(12, ""),
}

_HEARTBEAT = 9
_RESTART = 11

# Kind, topic id, partition, term, log start offset, committed, sent, accepted, whether it is unanswered.
_HEARTBEAT_STRUCT = Struct(">B16siiqqqq?")
# Kind, topic id, partition, term, index, its term, next offset, bytes of the snapshot (-1: none), whether
# there is a payload at all. The membership and the snapshot follow.
_RESTART_STRUCT = Struct(">B16siiqiqi?")


def _encode_heartbeat(group: GroupId, message: Heartbeat, log_start: int, out: list[Buffer]) -> int:
    out.append(
        _HEARTBEAT_STRUCT.pack(
            _HEARTBEAT,
            *group,
            message.term,
            log_start,
            message.committed,
            message.sent,
            message.accepted,
            message.is_unanswered,
        )
    )
    return _HEARTBEAT_STRUCT.size


def _decode_heartbeat(
    data: memoryview, at: int, source: NodeId, target: NodeId
) -> tuple[GroupId, Message, int, int]:
    _, topic_id, partition, term, log_start, committed, sent, accepted, is_unanswered = (
        _HEARTBEAT_STRUCT.unpack_from(data, at)
    )
    if min(term, log_start, committed, sent, accepted) < -1:
        raise MalformedFrame("a heartbeat of positions that cannot be")
    message = Heartbeat(source, target, term, committed, sent, accepted, is_unanswered)
    return GroupId(topic_id, partition), message, log_start, at + _HEARTBEAT_STRUCT.size


def _encode_restart(group: GroupId, message: RestartLog, out: list[Buffer]) -> int:
    payload = cast(RestartPayload | None, message.payload)
    offset, snapshot = payload or (Offset(-1), None)
    size = -1 if snapshot is None else len(snapshot)
    head = _RESTART_STRUCT.pack(
        _RESTART, *group, message.term, message.index, message.index_term, offset, size, payload is not None
    )
    head += encode_membership(message.membership)
    out.append(head)
    if not snapshot:
        return len(head)
    out.append(snapshot)
    return len(head) + size


def _decode_restart(
    data: memoryview, at: int, source: NodeId, target: NodeId
) -> tuple[GroupId, Message, int, int]:
    _, topic_id, partition, term, index, index_term, offset, size, has_payload = _RESTART_STRUCT.unpack_from(
        data, at
    )
    membership, at = decode_membership(data, at + _RESTART_STRUCT.size)
    end = at + max(size, 0)
    if end > len(data) or min(term, index, index_term, size) < -1 or (has_payload and offset < 0):
        raise MalformedFrame("a restart at a position that cannot be, or beyond its frame")
    snapshot = bytes(data[at:end]) if size >= 0 else None
    message = RestartLog(
        source=source,
        target=target,
        term=term,
        index=index,
        index_term=index_term,
        membership=membership,
        payload=RestartPayload(Offset(offset), snapshot) if has_payload else None,
    )
    return GroupId(topic_id, partition), message, -1, end


def _fixed_decoder(cls: type[Message], fixed: _Fixed) -> _Decoder:
    unpack, size = fixed.struct.unpack_from, fixed.struct.size
    make = _maker(cls, fixed.names)

    def decode_fixed(
        data: memoryview, at: int, source: NodeId, target: NodeId
    ) -> tuple[GroupId, Message, int, int]:
        _, topic_id, partition, *values = unpack(data, at)
        if min(values) < -1:
            raise MalformedFrame("a message of positions that cannot be")
        return GroupId(topic_id, partition), make((source, target, *values)), -1, at + size

    return decode_fixed


def _maker(cls: type[Any], names: tuple[str, ...]) -> Callable[[tuple[Any, ...]], Message]:
    """Makes a message of source, target and the values of `names`."""
    names = ("source", "target", *names)
    if getattr(cls, "_fields", None) == names:
        # A named tuple, as the frequent ones are.
        return cast(Callable[[tuple[Any, ...]], Message], cls._make)
    return lambda values: cast(Message, cls(**dict(zip(names, values, strict=True))))


_DECODERS: dict[int, _Decoder] = {
    **{fixed.kind: _fixed_decoder(cls, fixed) for cls, fixed in _FIXED.items()},
    APPEND_ONE: decode_append_one,
    APPEND_MANY: decode_append_many,
    _HEARTBEAT: _decode_heartbeat,
    _RESTART: _decode_restart,
}
