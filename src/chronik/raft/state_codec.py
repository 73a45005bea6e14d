"""The records of the state journal as bytes.

A file header, then records. A record is framed by a magic, its CRC-32C, its length, and how much of the file
was known to be durable when it was written, which distinguishes an unfinished write from damage. Its body is
a kind, a group and the kind's fields, all big-endian.
"""

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from chronik.raft.core.types import HardState, Membership, RaftIndex, ReplicaId, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.records.crc import crc32c
from chronik.vocab.ids import NodeId, Offset, TopicId

FILE_MAGIC = b"CHRNKRST"
# 2 has a generation in its header, log ends and losses. A file of version 1 is written again when it is
# opened.
VERSION = 2
# Replicas have revisions. A file becomes one of this version with the first of them: an earlier release goes
# on with one that has none, and refuses one that has.
REVISED_VERSION = 3
VERSIONS_READ = (1, VERSION, REVISED_VERSION)
# Magic, version, CRC of the rest, bytes of the records that were durable when the file got its name.
_FILE_HEADER = struct.Struct(">8sHxxIQ")
# From version 2 on, behind that: the file's generation, raised whenever the file is written again.
_GENERATION = struct.Struct(">Q")
FILE_HEADER_BYTES = _FILE_HEADER.size + _GENERATION.size

# No byte of it is zero or ASCII, so that it is found seldom where no record begins.
_RECORD_MAGIC = b"\xc4\x9eRS"
# Magic, CRC of all that follows it, length of the body, durable bytes of the file.
_FRAME = struct.Struct(">4sIIQ")
_CRC_FROM = 8
_FRAME_BYTES = _FRAME.size
# Kind, topic id, partition.
_GROUP = struct.Struct(">B16si")
# Far more than the markers of one group in one record; less would be a length that was damaged.
_BODY_BYTES_MAX = 64 << 20

_HARD_STATE = struct.Struct(">ii")
_FLAGS = struct.Struct(">B")
_INDEX = struct.Struct(">q")
_COUNT = struct.Struct(">I")
# Index, offset, term, bytes of the membership that follows.
_MARKER = struct.Struct(">qqiI")
# Index, offset, term, index of the membership, its bytes.
_BASE = struct.Struct(">qqiqI")
_MEMBERSHIP = struct.Struct(">HHH")
# In the count of replicas: each has a revision behind its name. Only in files of version 3.
_ARE_REVISED = 0x8000
_DIRECTORY = struct.Struct(">iB")
_REVISION = struct.Struct(">i")
# Log end offset.
_LOG_END = struct.Struct(">q")
# How often files were lost, log end offset.
_LOSS = struct.Struct(">Iq")

_NOBODY = -1
# Written by version 1 for a replica that had lost files: it has lost them once.
_IS_WIPED = 1
_IS_RESTARTED = 2
# A loss record's fields follow the flags.
_HAS_LOSS = 4
# Behind them the replica's revision, which is not 0. Only in files of version 3.
_HAS_REVISION = 8


class Kind(IntEnum):
    """The kinds of records about a group."""

    # The whole state, replacing any earlier one.
    STATE = 1
    HARD_STATE = 2
    # Of version 1: files of the replica were lost, or not.
    WIPED = 3
    MARKERS = 4
    TRUNCATE = 5
    RESTART = 6
    REBASE = 7
    FORGET = 8
    # The log is durable up to an offset.
    LOG_END = 9
    # Files of the replica were lost, once more.
    LOSS = 10


class Frame(NamedTuple):
    """A whole record in the file. `end` is the position after it; `durable_bytes` the durable size known
    to its writer.
    """

    body: memoryview
    end: int
    durable_bytes: int


class GroupImage(NamedTuple):
    """The fields of a STATE record."""

    hard_state: HardState
    base: MarkerBase
    markers: Sequence[MarkerRecord]
    # The base is where a leader had the log restarted, not where retention left it.
    is_restarted: bool
    # How often files of the replica were lost.
    losses: int
    # The log is durable up to here at least; 0 when nothing is known.
    log_end: Offset
    # The replica's own (`core.types.ReplicaId`).
    revision: int = 0


# Writing.


def format_file_header(state_bytes: int, generation: int, version: int = VERSION) -> bytes:
    """`state_bytes` of records are synced together with it."""
    behind = _GENERATION.pack(generation)
    crc = _header_crc(version, state_bytes, behind)
    return _FILE_HEADER.pack(FILE_MAGIC, version, crc, state_bytes) + behind


def _header_crc(version: int, state_bytes: int, behind: bytes) -> int:
    return int(crc32c(_FILE_HEADER.pack(FILE_MAGIC, version, 0, state_bytes) + behind))


def frame(body: bytes, durable_bytes: int) -> bytes:
    covered = _FRAME.pack(_RECORD_MAGIC, 0, len(body), durable_bytes)[_CRC_FROM:] + body
    return _RECORD_MAGIC + int(crc32c(covered)).to_bytes(4) + covered


def format_state(group: GroupId, image: GroupImage) -> bytes:
    flags = _HAS_LOSS | _IS_RESTARTED * image.is_restarted | _HAS_REVISION * bool(image.revision)
    return b"".join(
        (
            _group(Kind.STATE, group),
            _format_hard_state(image.hard_state),
            _FLAGS.pack(flags),
            _LOSS.pack(image.losses, image.log_end),
            _REVISION.pack(image.revision) if image.revision else b"",
            _format_base(image.base),
            _format_markers(image.markers),
        )
    )


def format_hard_state(group: GroupId, hard_state: HardState) -> bytes:
    return _group(Kind.HARD_STATE, group) + _format_hard_state(hard_state)


def format_log_end(group: GroupId, log_end: Offset) -> bytes:
    return _group(Kind.LOG_END, group) + _LOG_END.pack(log_end)


def format_loss(group: GroupId, losses: int, log_end: Offset) -> bytes:
    return _group(Kind.LOSS, group) + _LOSS.pack(losses, log_end)


def format_markers(group: GroupId, markers: Sequence[MarkerRecord]) -> bytes:
    return _group(Kind.MARKERS, group) + _format_markers(markers)


def format_truncate(group: GroupId, to: RaftIndex) -> bytes:
    return _group(Kind.TRUNCATE, group) + _INDEX.pack(to)


def format_restart(group: GroupId, base: MarkerBase) -> bytes:
    return _group(Kind.RESTART, group) + _format_base(base)


def format_rebase(group: GroupId, index: RaftIndex) -> bytes:
    return _group(Kind.REBASE, group) + _INDEX.pack(index)


def format_forget(group: GroupId) -> bytes:
    return _group(Kind.FORGET, group)


def _group(kind: Kind, group: GroupId) -> bytes:
    return _GROUP.pack(kind, group.topic_id, group.partition)


def _format_hard_state(hard_state: HardState) -> bytes:
    vote = _NOBODY if hard_state.voted_for is None else hard_state.voted_for
    return _HARD_STATE.pack(hard_state.term, vote)


def _format_base(base: MarkerBase) -> bytes:
    membership = format_membership(base.membership)
    return _BASE.pack(base.index, base.offset, base.term, base.membership_index, len(membership)) + membership


def _format_markers(markers: Sequence[MarkerRecord]) -> bytes:
    parts = [_COUNT.pack(len(markers))]
    for index, offset, term, membership in markers:
        body = b"" if membership is None else format_membership(membership)
        parts += _MARKER.pack(index, offset, term, len(body)), body
    return b"".join(parts)


# Groups share few memberships, each of which is a few hundred bytes.
@lru_cache(maxsize=1024)
def format_membership(membership: Membership) -> bytes:
    """Never empty."""
    voters, learners = sorted(membership.voters), sorted(membership.learners)
    are_revised = membership.has_revisions
    parts = [
        _MEMBERSHIP.pack(len(voters), len(learners), len(membership.replicas) | _ARE_REVISED * are_revised),
        struct.pack(f">{len(voters) + len(learners)}i", *voters, *learners),
    ]
    for node, directory, revision in sorted(membership.replicas):
        name = directory.encode()
        parts += _DIRECTORY.pack(node, len(name)), name
        if are_revised:
            parts.append(_REVISION.pack(revision))
    return b"".join(parts)


# Reading. A valid CRC over nonsense raises ValueError or struct.error.


class FileHeader(NamedTuple):
    """The header before the records."""

    version: int
    # Its own size: records begin here.
    size: int
    # The file was durable up to here when it got its name.
    durable_bytes: int
    # 0 in files of version 1.
    generation: int


def parse_file_header(content: bytes) -> FileHeader | None:
    """Returns None for a file that does not begin as a journal, or whose header is damaged."""
    if len(content) < _FILE_HEADER.size:
        return None
    magic, version, crc, state_bytes = _FILE_HEADER.unpack_from(content)
    size = _FILE_HEADER.size if version == 1 else FILE_HEADER_BYTES
    behind = content[_FILE_HEADER.size : size]
    if magic != FILE_MAGIC or len(content) < size or crc != _header_crc(version, state_bytes, behind):
        return None
    generation = _GENERATION.unpack(behind)[0] if behind else 0
    return FileHeader(version, size, size + state_bytes, generation)


def read_frame(content: bytes, position: int) -> Frame | None:
    """The record at `position`, None when there is no whole one."""
    if len(content) - position < _FRAME_BYTES:
        return None
    magic, crc, length, durable_bytes = _FRAME.unpack_from(content, position)
    start = position + _FRAME_BYTES
    if magic != _RECORD_MAGIC or length > min(len(content) - start, _BODY_BYTES_MAX):
        return None
    view = memoryview(content)[position + _CRC_FROM : start + length]
    if crc32c(view) != crc:
        return None
    return Frame(view[_FRAME_BYTES - _CRC_FROM :], start + length, durable_bytes)


def find_frames(content: bytes, position: int) -> Iterator[tuple[int, Frame]]:
    """Yields position and record of each whole record from `position` on, skipping anything between them."""
    while (position := content.find(_RECORD_MAGIC, position)) >= 0:
        found = read_frame(content, position)
        if found is not None:
            yield position, found
        position = position + 1 if found is None else found.end


def parse_group(body: memoryview) -> tuple[Kind, GroupId]:
    kind, topic_id, partition = _GROUP.unpack_from(body)
    return Kind(kind), GroupId(TopicId(topic_id), partition)


def parse_state(body: memoryview) -> GroupImage:
    position = _GROUP.size
    hard_state = _parse_hard_state(body, position)
    position += _HARD_STATE.size
    (flags,) = _FLAGS.unpack_from(body, position)
    position += _FLAGS.size
    losses, log_end = int(bool(flags & _IS_WIPED)), 0
    if flags & _HAS_LOSS:
        losses, log_end = _LOSS.unpack_from(body, position)
        position += _LOSS.size
    revision = 0
    if flags & _HAS_REVISION:
        (revision,) = _REVISION.unpack_from(body, position)
        position += _REVISION.size
    base, position = _parse_base(body, position)
    return GroupImage(
        hard_state,
        base,
        _parse_markers(body, position),
        bool(flags & _IS_RESTARTED),
        losses,
        Offset(log_end),
        revision,
    )


def parse_hard_state(body: memoryview) -> HardState:
    return _parse_hard_state(body, _GROUP.size)


def parse_wiped(body: memoryview) -> bool:
    return bool(_FLAGS.unpack_from(body, _GROUP.size)[0])


def parse_log_end(body: memoryview) -> Offset:
    return Offset(_LOG_END.unpack_from(body, _GROUP.size)[0])


def parse_loss(body: memoryview) -> tuple[int, Offset]:
    """Returns how often files were lost, and where the log ended then."""
    losses, log_end = _LOSS.unpack_from(body, _GROUP.size)
    return losses, Offset(log_end)


def parse_markers(body: memoryview) -> list[MarkerRecord]:
    return _parse_markers(body, _GROUP.size)


def parse_index(body: memoryview) -> RaftIndex:
    """The index of a TRUNCATE or REBASE record."""
    return RaftIndex(_INDEX.unpack_from(body, _GROUP.size)[0])


def parse_restart(body: memoryview) -> MarkerBase:
    return _parse_base(body, _GROUP.size)[0]


def _parse_hard_state(body: memoryview, position: int) -> HardState:
    term, vote = _HARD_STATE.unpack_from(body, position)
    return HardState(term=Term(term), voted_for=None if vote == _NOBODY else NodeId(vote))


def _parse_base(body: memoryview, position: int) -> tuple[MarkerBase, int]:
    index, offset, term, membership_index, size = _BASE.unpack_from(body, position)
    start = position + _BASE.size
    membership = parse_membership(bytes(body[start : start + size]))
    base = MarkerBase(RaftIndex(index), Offset(offset), Term(term), membership, RaftIndex(membership_index))
    return base, start + size


def _parse_markers(body: memoryview, position: int) -> list[MarkerRecord]:
    (count,) = _COUNT.unpack_from(body, position)
    position += _COUNT.size
    markers = []
    for _ in range(count):
        index, offset, term, size = _MARKER.unpack_from(body, position)
        start = position + _MARKER.size
        position = start + size
        membership = parse_membership(bytes(body[start:position])) if size else None
        markers.append(MarkerRecord(RaftIndex(index), Offset(offset), Term(term), membership))
    if position != len(body):
        raise ValueError(f"{len(body) - position} bytes after the last marker")
    return markers


@lru_cache(maxsize=1024)
def parse_membership(content: bytes) -> Membership:
    """The inverse of `format_membership`; the same object for the same bytes."""
    voter_count, learner_count, replica_count = _MEMBERSHIP.unpack_from(content)
    position = _MEMBERSHIP.size
    nodes = struct.unpack_from(f">{voter_count + learner_count}i", content, position)
    position += 4 * len(nodes)
    replicas = set()
    for _ in range(replica_count & ~_ARE_REVISED):
        node, size = _DIRECTORY.unpack_from(content, position)
        position += _DIRECTORY.size
        directory, revision = content[position : position + size].decode(), 0
        position += size
        if replica_count & _ARE_REVISED:
            (revision,) = _REVISION.unpack_from(content, position)
            position += _REVISION.size
        replicas.add(ReplicaId(NodeId(node), directory, revision))
    if position != len(content):
        raise ValueError("a membership of another length")
    voters, learners = nodes[:voter_count], nodes[voter_count:]
    return Membership(
        voters=frozenset(map(NodeId, voters)),
        learners=frozenset(map(NodeId, learners)),
        replicas=frozenset(replicas),
    )
