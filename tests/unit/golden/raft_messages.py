"""What Raft groups send each other: a frame for each kind of message, one with several groups."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from chronik.raft.codec import decode, encode
from chronik.raft.core.entries import Entries, Marker, TermStart
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
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import RestartPayload
from chronik.raft.transport import Buffer
from chronik.vocab.ids import NodeId, Offset

from .metadata import ONE, OTHER_TOPIC_ID, TWO
from .raft_state import GROUP, MEMBERSHIP, REVISED
from .sample import Sample

TERM = Term(5)
LOG_START = 13


class _Ends(NamedTuple):
    source: NodeId
    target: NodeId
    term: Term


ENDS = _Ends(ONE, TWO, TERM)._asdict()


def _append(*entries: Entries) -> AppendEntries:
    return AppendEntries(ONE, TWO, TERM, RaftIndex(40), Term(3), RaftIndex(38), entries)


ONE_PIECE = Entries(
    RaftIndex(41), RaftIndex(43), (TermStart(RaftIndex(41), Term(4)),), (), [b"three records"], 13
)
MARKED = Entries(
    RaftIndex(41),
    RaftIndex(45),
    (TermStart(RaftIndex(41), Term(4)), TermStart(RaftIndex(44), TERM)),
    (Marker(index=RaftIndex(41)), Marker(index=RaftIndex(44), membership=MEMBERSHIP)),
    [b"two", b"one"],
    6,
)
ONLY_MARKER = Entries(
    RaftIndex(46), RaftIndex(46), (TermStart(RaftIndex(46), TERM),), (Marker(index=RaftIndex(46)),)
)

MESSAGES: dict[str, Message] = {
    "RequestPreVote": RequestPreVote(**ENDS, last_index=RaftIndex(40), last_term=Term(3)),
    "PreVoteReply": PreVoteReply(**ENDS, is_granted=True),
    "RequestVote": RequestVote(**ENDS, last_index=RaftIndex(40), last_term=Term(3), is_transfer=True),
    "VoteReply": VoteReply(**ENDS, is_granted=False),
    "AppendEntries.one": _append(ONE_PIECE),
    "AppendEntries.many": _append(MARKED, ONLY_MARKER),
    "AppendEntries.none": _append(),
    "AppendAccepted": AppendAccepted(ONE, TWO, TERM, RaftIndex(43), False),
    "AppendRejected": AppendRejected(
        **ENDS, prev_index=RaftIndex(40), hint_index=RaftIndex(35), hint_term=Term(2)
    ),
    "Heartbeat": Heartbeat(ONE, TWO, TERM, RaftIndex(38), RaftIndex(43), RaftIndex(40), True),
    "HeartbeatReply": HeartbeatReply(ONE, TWO, TERM, RaftIndex(43), RaftIndex(43)),
    "RestartLog": RestartLog(
        **ENDS,
        index=RaftIndex(40),
        index_term=Term(3),
        membership=MEMBERSHIP,
        payload=RestartPayload(Offset(37), b"a snapshot"),
    ),
    "RestartLog.without_snapshot": RestartLog(
        **ENDS,
        index=RaftIndex(40),
        index_term=Term(3),
        membership=MEMBERSHIP,
        payload=RestartPayload(Offset(37), None),
    ),
    "RestartLog.revised": RestartLog(
        **ENDS,
        index=RaftIndex(40),
        index_term=Term(3),
        membership=REVISED,
        payload=RestartPayload(Offset(37), None),
    ),
    "TimeoutNow": TimeoutNow(**ENDS),
}

Said = tuple[GroupId, Message, int]


def _frame(*messages: Said) -> bytes:
    out: list[Buffer] = []
    for group, message, log_start in messages:
        encode(group, message, log_start, out)
    return b"".join(out)


def plain(message: Message) -> object:
    """With payloads joined, so that they compare."""
    if not isinstance(message, AppendEntries):
        return type(message), message
    pieces = [piece._replace(payload=_joined(piece.payload)) for piece in message.entries]
    return AppendEntries, message._replace(entries=tuple(pieces))


def _joined(payload: object) -> bytes | None:
    return None if payload is None else b"".join(cast("Sequence[Buffer]", payload))


def _value(*messages: Said) -> object:
    return [
        (group, plain(message), log_start if isinstance(message, AppendEntries | Heartbeat) else -1)
        for group, message, log_start in messages
    ]


def _decode(content: bytes) -> object:
    found = decode(memoryview(content), ONE, TWO)
    return [(group, plain(message), log_start) for group, message, log_start, _ in found]


def _sample(name: str, *messages: Said) -> Sample:
    return Sample(name=f"raft/{name}", value=_value(*messages), encoded=_frame(*messages), decode=_decode)


SAMPLES = [
    *(_sample(name, (GROUP, message, LOG_START)) for name, message in MESSAGES.items()),
    _sample(
        "several_groups",
        (GROUP, MESSAGES["Heartbeat"], LOG_START),
        (GroupId(OTHER_TOPIC_ID, 0), MESSAGES["AppendAccepted"], -1),
    ),
]
