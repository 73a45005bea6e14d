"""Encodes AppendEntries as bytes: heads packed in one go, record batches untouched on either side.

By this project's convention `Entries.payload` is a sequence of buffers which, joined, are whole stamped
record batches in order, or None when the entries are only markers. Decoded, it is one slice of the frame.

Almost every message has one piece of one term without markers; it has a layout of its own, which is packed
and unpacked in one call. The start of a piece is not encoded: pieces follow each other and `prev_index`.
"""

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import cast

from chronik.raft.codec_membership import decode_membership, encode_membership
from chronik.raft.core.entries import Entries, Marker, TermStart
from chronik.raft.core.messages import AppendEntries
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.transport import Buffer, MalformedFrame
from chronik.vocab.ids import NodeId, TopicId

APPEND_ONE = 5
APPEND_MANY = 6

# Kind, topic id, partition, term, log start offset, prev index, prev term, committed; then the piece's last
# index, its term and the bytes of its payload.
_ONE = Struct(">B16siiqqiqqiI")
# The same, then how many pieces follow.
_MANY = Struct(">B16siiqqiqI")
# Last index, bytes of the payload, the term it begins with, how many later terms and how many markers.
_PIECE = Struct(">qIiII")
_START = Struct(">qi")
_MARKER = Struct(">q?")


def encode_append(group: GroupId, message: AppendEntries, log_start: int, out: list[Buffer]) -> int:
    """See `codec.encode`."""
    pieces = message.entries
    topic_id, partition = group
    if len(pieces) == 1:
        piece = pieces[0]
        if len(piece.starts) == 1 and not piece.markers:
            payload = cast(Sequence[Buffer], piece.payload)
            size = sum(map(len, payload))
            out.append(
                _ONE.pack(
                    APPEND_ONE,
                    topic_id,
                    partition,
                    message.term,
                    log_start,
                    message.prev_index,
                    message.prev_term,
                    message.committed,
                    piece.last,
                    piece.starts[0].term,
                    size,
                )
            )
            out += payload
            return _ONE.size + size
    head = _MANY.pack(
        APPEND_MANY,
        topic_id,
        partition,
        message.term,
        log_start,
        message.prev_index,
        message.prev_term,
        message.committed,
        len(pieces),
    )
    out.append(head)
    return len(head) + sum(_encode_piece(piece, out) for piece in pieces)


def _encode_piece(piece: Entries, out: list[Buffer]) -> int:
    payload = cast(Sequence[Buffer], piece.payload or ())
    size = sum(map(len, payload))
    head = _PIECE.pack(piece.last, size, piece.starts[0].term, len(piece.starts) - 1, len(piece.markers))
    if len(piece.starts) > 1 or piece.markers:
        head += _encode_inside(piece)
    out.append(head)
    out += payload
    return len(head) + size


def _encode_inside(piece: Entries) -> bytes:
    """The terms that start after the first entry, and the markers."""
    parts = [_START.pack(start.index, start.term) for start in piece.starts[1:]]
    for marker in piece.markers:
        parts.append(_MARKER.pack(marker.index, marker.membership is not None))
        if marker.membership is not None:
            parts.append(encode_membership(marker.membership))
    return b"".join(parts)


def decode_append_one(
    data: memoryview, at: int, source: NodeId, target: NodeId
) -> tuple[GroupId, AppendEntries, int, int]:
    """The group, the message, the leader's log start offset, and where the message ends.

    Raises MalformedFrame; struct.error at the frame's end.
    """
    _, topic_id, partition, term, log_start, prev_index, prev_term, committed, last, entry_term, size = (
        _ONE.unpack_from(data, at)
    )
    at += _ONE.size
    end = at + size
    is_rising = -1 <= prev_index < last and 0 <= prev_term <= entry_term <= term
    if not is_rising or end > len(data) or not size or committed < -1:
        raise MalformedFrame("entries that do not follow their predecessor, or end beyond their frame")
    first = prev_index + 1
    piece = Entries(first, last, (TermStart(first, entry_term),), (), [data[at:end]], size)
    message = AppendEntries(source, target, term, prev_index, prev_term, committed, (piece,))
    return GroupId(topic_id, partition), message, log_start, end


def decode_append_many(
    data: memoryview, at: int, source: NodeId, target: NodeId
) -> tuple[GroupId, AppendEntries, int, int]:
    """As `decode_append_one`."""
    _, topic_id, partition, term, log_start, prev_index, prev_term, committed, count = _MANY.unpack_from(
        data, at
    )
    at += _MANY.size
    if prev_index < -1 or committed < -1 or not 0 <= prev_term <= term:
        raise MalformedFrame("entries after a position that cannot be")
    pieces, known, known_term = [], prev_index, prev_term
    for _ in range(count):
        piece, at = _decode_piece(data, at, RaftIndex(known + 1))
        if not known_term <= piece.starts[0].term <= piece.last_term <= term:
            raise MalformedFrame("entries of falling terms, or of a term that has not come")
        pieces.append(piece)
        known, known_term = piece.last, piece.last_term
    message = AppendEntries(source, target, term, prev_index, prev_term, committed, tuple(pieces))
    return GroupId(TopicId(topic_id), partition), message, log_start, at


def _decode_piece(data: memoryview, at: int, first: RaftIndex) -> tuple[Entries, int]:
    last, size, term, start_count, marker_count = _PIECE.unpack_from(data, at)
    at += _PIECE.size
    starts: tuple[TermStart, ...] = (TermStart(first, term),)
    markers: tuple[Marker, ...] = ()
    if start_count or marker_count:
        later, at = _decode_starts(data, at, start_count)
        markers, at = _decode_markers(data, at, marker_count)
        starts += later
        _check(last, starts)
    _check_markers(first, last, markers, has_payload=size > 0)
    end = at + size
    if end > len(data):
        raise MalformedFrame("entries end beyond their frame")
    return Entries(first, last, starts, markers, [data[at:end]] if size else None, size), end


def _decode_starts(data: memoryview, at: int, count: int) -> tuple[tuple[TermStart, ...], int]:
    end = at + count * _START.size
    if end > len(data):
        raise MalformedFrame("terms beyond the frame's end")
    starts = _START.iter_unpack(data[at:end])
    return tuple(TermStart(RaftIndex(index), Term(term)) for index, term in starts), end


def _decode_markers(data: memoryview, at: int, count: int) -> tuple[tuple[Marker, ...], int]:
    markers = []
    for _ in range(count):
        index, has_membership = _MARKER.unpack_from(data, at)
        at += _MARKER.size
        membership = None
        if has_membership:
            membership, at = decode_membership(data, at)
        markers.append(Marker(index=RaftIndex(index), membership=membership))
    return tuple(markers), at


def _check(last: int, starts: Sequence[TermStart]) -> None:
    """The invariants of `Entries`, which the core takes for granted."""
    if starts[-1].index > last:
        raise MalformedFrame("a term that starts after its entries")
    for start, following in pairwise(starts):
        if start.index >= following.index or start.term >= following.term:
            raise MalformedFrame("entries of falling terms")


def _check_markers(first: int, last: int, markers: Sequence[Marker], *, has_payload: bool) -> None:
    """Checks the same for the general layout; batches and markers have all places between them."""
    if first > last or has_payload is (last - first + 1 == len(markers)):
        raise MalformedFrame("entries without their batches, or batches without a place")
    if markers:
        edges = [first - 1, *(marker.index for marker in markers), last + 1]
        if any(edge >= following for edge, following in pairwise(edges)):
            raise MalformedFrame("markers outside of their entries, or out of order")
