"""Reads the state journal at the start of a node.

A crash may leave any part of the unsynced end, so the journal ends before the first record that is not whole.
Nothing that was durable may be lost that way: votes would be forgotten. Each record notes how much of the
file was durable when it was written; if that is more than was found up to the end, the file is damaged.
"""

import struct
from typing import NamedTuple, assert_never

from chronik.raft import state_codec as codec
from chronik.raft.group import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.state_codec import Kind
from chronik.vocab.invariant import InvariantViolation


class StoreDamaged(Exception):
    """Durable records of the journal are missing or damaged; this node must not vote on what is left."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the Raft state file is damaged: {what}")


class StoreTooNew(Exception):
    """The journal is a later release's; nothing is wrong with it."""

    def __init__(self, version: int) -> None:
        latest = codec.VERSIONS_READ[-1]
        super().__init__(f"the Raft state file has version {version}, and this release reads up to {latest}")


class Replayed(NamedTuple):
    """The content of a journal."""

    groups: dict[GroupId, GroupState]
    # Where it ends in the file.
    end: int
    header: codec.FileHeader


def replay(content: bytes) -> Replayed:
    """Raises StoreDamaged, StoreTooNew."""
    header = codec.parse_file_header(content)
    if header is None:
        raise StoreDamaged("it does not begin as one")
    if header.version not in codec.VERSIONS_READ:
        raise StoreTooNew(header.version)
    groups: dict[GroupId, GroupState] = {}
    position = header.size
    while (found := codec.read_frame(content, position)) is not None:
        try:
            _apply(groups, found.body)
        except (ValueError, KeyError, struct.error, InvariantViolation) as error:
            raise StoreDamaged(f"the record at byte {position} makes no sense ({error!r})") from error
        position = found.end
    if position < header.durable_bytes:
        raise StoreDamaged(f"no record can be read at byte {position}, which was durable from the beginning")
    _check_end(content, position)
    return Replayed(groups, position, header)


def _check_end(content: bytes, end: int) -> None:
    for position, found in codec.find_frames(content, end):
        if found.durable_bytes > end:
            raise StoreDamaged(
                f"no record can be read at byte {end}, but the one at byte {position} was written when "
                f"{found.durable_bytes} bytes were durable"
            )


def _apply(groups: dict[GroupId, GroupState], body: memoryview) -> None:
    kind, group = codec.parse_group(body)
    match kind:
        case Kind.STATE:
            groups[group] = GroupState.of(codec.parse_state(body))
        case Kind.HARD_STATE:
            groups[group].hard_state = codec.parse_hard_state(body)
        case Kind.WIPED:
            state = groups[group]
            state.losses = max(state.losses, int(codec.parse_wiped(body)))
        case Kind.MARKERS:
            markers = groups[group].markers
            for record in codec.parse_markers(body):
                markers.append(record)
        case Kind.TRUNCATE:
            groups[group].markers.truncate(codec.parse_index(body))
        case Kind.RESTART:
            groups[group].restart(codec.parse_restart(body))
        case Kind.REBASE:
            groups[group].rebase(codec.parse_index(body))
        case Kind.FORGET:
            del groups[group]
        case Kind.LOG_END:
            groups[group].log_end = codec.parse_log_end(body)
        case Kind.LOSS:
            groups[group].losses, groups[group].log_end = codec.parse_loss(body)
        case _:
            assert_never(kind)
