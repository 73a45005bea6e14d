"""Messages survive the wire; nothing else comes out of it."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.raft.codec import VERSION, decode, encode
from chronik.raft.codec_membership import decode_membership, encode_membership
from chronik.raft.core.entries import Entries, Marker, TermStart, check
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
from chronik.raft.core.types import Membership, RaftIndex, ReplicaId, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import RestartPayload
from chronik.raft.transport import Buffer, MalformedFrame
from chronik.vocab.ids import NodeId, Offset, TopicId

ONE, TWO = NodeId(1), NodeId(2)
GROUP = GroupId(TopicId(bytes(range(16))), 7)

indexes = st.integers(-1, 1 << 62).map(RaftIndex)
terms = st.integers(0, (1 << 31) - 1).map(Term)
nodes = st.integers(0, (1 << 31) - 1).map(NodeId)
groups = st.builds(GroupId, st.binary(min_size=16, max_size=16).map(TopicId), st.integers(0, (1 << 31) - 1))


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    voters = draw(st.frozensets(nodes, min_size=1, max_size=5))
    learners = draw(st.frozensets(nodes, max_size=3)) - voters
    named = st.tuples(st.text(max_size=30), st.sampled_from([0, 0, 1, 1 << 20, (1 << 31) - 1]))
    names = draw(st.dictionaries(st.sampled_from(sorted(voters | learners)), named))
    replicas = frozenset(ReplicaId(node, *name) for node, name in names.items())
    return Membership(voters=voters, learners=learners, replicas=replicas)


@st.composite
def pieces(draw: st.DrawFn, first: int, low: int, high: int) -> Entries:
    """Entries from `first` on, of terms in [low, high]."""
    last = first + draw(st.integers(0, 12))
    span = st.integers(first, last)
    count = draw(st.integers(1, min(4, last - first + 1, high - low + 1)))
    positions = [
        first,
        *sorted(draw(st.sets(st.integers(first + 1, max(first + 1, last)), max_size=count - 1))),
    ]
    positions = [position for position in positions if position <= last]
    chosen = sorted(draw(st.sets(st.integers(low, high), min_size=len(positions), max_size=len(positions))))
    marked = sorted(draw(st.sets(span, max_size=last - first + 1)))
    markers = [Marker(index=RaftIndex(index), membership=draw(st.none() | memberships())) for index in marked]
    is_marker_only = len(marked) == last - first + 1
    batches = None if is_marker_only else draw(st.lists(st.binary(min_size=1), min_size=1, max_size=3))
    return Entries(
        first=RaftIndex(first),
        last=RaftIndex(last),
        starts=tuple(
            TermStart(index=RaftIndex(index), term=Term(term))
            for index, term in zip(positions, chosen, strict=True)
        ),
        markers=tuple(markers),
        payload=batches,
        size=0 if batches is None else sum(map(len, batches)),
    )


@st.composite
def appends(draw: st.DrawFn) -> AppendEntries:
    term = draw(st.integers(8, 1 << 30))
    prev_index = draw(st.integers(-1, 1 << 60))
    prev_term = low = draw(st.integers(0, term - 8))
    entries: list[Entries] = []
    for _ in range(draw(st.integers(0, 3))):
        first = entries[-1].last + 1 if entries else prev_index + 1
        entries.append(draw(pieces(first, low, term)))
        low = entries[-1].last_term
    return AppendEntries(
        source=ONE,
        target=TWO,
        term=Term(term),
        prev_index=RaftIndex(prev_index),
        prev_term=Term(prev_term),
        entries=tuple(entries),
        committed=draw(indexes),
    )


restart_payloads = st.builds(
    RestartPayload, st.integers(0, 1 << 62).map(Offset), st.none() | st.binary(max_size=100)
)
ends = {"source": st.just(ONE), "target": st.just(TWO), "term": terms}
messages: st.SearchStrategy[Message] = st.one_of(
    appends(),
    st.builds(RequestPreVote, **ends, last_index=indexes, last_term=terms),
    st.builds(PreVoteReply, **ends, is_granted=st.booleans()),
    st.builds(RequestVote, **ends, last_index=indexes, last_term=terms, is_transfer=st.booleans()),
    st.builds(VoteReply, **ends, is_granted=st.booleans()),
    st.builds(AppendAccepted, **ends, match=indexes, is_counted=st.booleans()),
    st.builds(AppendRejected, **ends, prev_index=indexes, hint_index=indexes, hint_term=terms),
    st.builds(
        Heartbeat, **ends, committed=indexes, sent=indexes, accepted=indexes, is_unanswered=st.booleans()
    ),
    st.builds(HeartbeatReply, **ends, match=indexes, sent=indexes),
    st.builds(
        RestartLog,
        **ends,
        index=indexes,
        index_term=terms,
        membership=memberships(),
        payload=st.none() | restart_payloads,
    ),
    st.builds(TimeoutNow, **ends),
)
# The machine may be busy, and drawing the first frame slow: that says nothing of the codec.
SLOW = [HealthCheck.too_slow]

said = st.lists(st.tuples(groups, messages, st.integers(-1, 1 << 62)), max_size=6)


def framed(*messages: tuple[GroupId, Message, int]) -> bytes:
    out: list[Buffer] = []
    added = sum(encode(group, message, log_start, out) for group, message, log_start in messages)
    frame = b"".join(out)
    assert len(frame) == added
    return frame


def heard(frame: Buffer) -> list[tuple[GroupId, Message, int]]:
    back = list(decode(memoryview(frame), ONE, TWO))
    # Beside the version they are all there is.
    assert sum(size for *_, size in back) == len(frame) - 1
    return [(group, message, log_start) for group, message, log_start, _ in back]


def plain(message: Message) -> object:
    """With payloads joined, so that they compare."""
    if not isinstance(message, AppendEntries):
        # Named tuples of different classes may be equal.
        return type(message), message
    values = [getattr(message, name) for name in ("source", "target", "term", "prev_index", "prev_term")]
    entries = [
        (piece.first, piece.last, piece.starts, piece.markers, piece.size, joined(piece.payload))
        for piece in message.entries
    ]
    return [*values, message.committed, entries]


def joined(payload: object) -> bytes | None:
    return None if payload is None else b"".join(cast(Sequence[Buffer], payload))


@settings(suppress_health_check=SLOW)
@given(said)
def test_a_frame_says_what_was_put_into_it(said: list[tuple[GroupId, Message, int]]) -> None:
    back = heard(framed(*said)) if said else []
    carries = (AppendEntries, Heartbeat)
    assert [(group, plain(message), log_start) for group, message, log_start in back] == [
        (group, plain(message), log_start if isinstance(message, carries) else -1)
        for group, message, log_start in said
    ]


@given(appends(), st.integers(-1, 1 << 62))
def test_entries_keep_the_invariants_that_the_core_relies_on(message: AppendEntries, log_start: int) -> None:
    (_, back, _), *_ = heard(framed((GROUP, message, log_start)))
    assert isinstance(back, AppendEntries)
    for piece in back.entries:
        check(piece)


def fields_of(cls: Any) -> set[str]:
    return set(cls._fields) if issubclass(cls, tuple) else {field.name for field in fields(cls)}


@pytest.mark.parametrize("cls", [cls for cls in get_args(Message) if cls not in (AppendEntries, RestartLog)])
def test_every_field_of_a_message_is_carried(cls: type[Any]) -> None:
    """Fails for a new field of a message, as a reminder of its encoding and of the round trips above."""
    said = {
        name: at % 2 == 0 if name.startswith("is_") else at for at, name in enumerate(sorted(fields_of(cls)))
    }
    for flip in (False, True):
        values = {name: value ^ flip if name.startswith("is_") else value for name, value in said.items()}
        values |= {"source": ONE, "target": TWO}
        message = cls(**values)
        ((group, back, log_start),) = heard(framed((GROUP, message, -1)))
        assert (group, plain(back), log_start) == (GROUP, plain(message), -1)


def test_the_fields_of_variable_messages_are_those_that_are_tried() -> None:
    ends = {"source", "target", "term"}
    assert fields_of(AppendEntries) == {*ends, "prev_index", "prev_term", "entries", "committed"}
    assert fields_of(RestartLog) == {*ends, "index", "index_term", "membership", "payload"}
    assert fields_of(Entries) == {"first", "last", "starts", "markers", "payload", "size"}
    assert fields_of(Marker) == {"index", "membership"}
    assert fields_of(TermStart) == {"index", "term"}
    assert fields_of(Membership) == {"voters", "learners", "replicas"}


def test_the_bytes_of_a_membership_with_revisions() -> None:
    """Four more for each name, and a bit in their count; the founders have none of them."""
    voters, founders = frozenset({ONE, TWO}), {ReplicaId(ONE, "ab"), ReplicaId(TWO, "c")}
    head = b"\x00\x02\x00\x00%b\x02" + bytes((0, 0, 0, 1, 0, 0, 0, 2))
    plain = Membership(voters=voters, replicas=frozenset(founders))
    assert encode_membership(plain) == head % b"\x00" + b"\x00\x00\x00\x01\x00\x02ab\x00\x00\x00\x02\x00\x01c"
    revised = Membership(voters=voters, replicas=frozenset({ReplicaId(ONE, "ab"), ReplicaId(TWO, "c", 258)}))
    one, two = b"\x00\x00\x00\x01\x00\x02ab" + bytes(4), b"\x00\x00\x00\x02\x00\x01c\x00\x00\x01\x02"
    written = encode_membership(revised)
    assert written == head % b"\x80" + one + two
    assert decode_membership(memoryview(written), 0) == (revised, len(written))


def test_a_revision_below_those_of_founders_is_none() -> None:
    named = Membership(voters=frozenset({ONE}), replicas=frozenset({ReplicaId(ONE, "a", 1)}))
    written = encode_membership(named)[:-4] + b"\xff" * 4
    with pytest.raises(MalformedFrame, match="revision -1"):
        decode_membership(memoryview(written), 0)


def test_batches_are_views_of_the_frame() -> None:
    frame = bytearray(framed((GROUP, append(batches=[b"head", b"body"]), 0)))
    (_, message, _), *_ = heard(frame)
    assert isinstance(message, AppendEntries)
    (view,) = cast(list[memoryview], message.entries[0].payload)
    assert view.obj is frame
    assert bytes(view) == b"headbody"


def test_buffers_of_batches_go_out_as_they_are() -> None:
    batch = bytearray(b"body")
    out: list[Buffer] = []
    encode(GROUP, append(batches=[batch]), 0, out)
    assert out[-1] is batch


def append(**changes: object) -> AppendEntries:
    """One batch of one term after index 4, with what is not well in it."""
    batches = changes.pop("batches", [b"batch"])
    fields: dict[str, object] = {"prev_index": 4, "prev_term": 2, "term": 3, "committed": 4, **changes}
    piece = Entries(
        first=RaftIndex(5),
        last=RaftIndex(cast(int, fields.pop("last", 9))),
        starts=(TermStart(index=RaftIndex(5), term=Term(cast(int, fields.pop("entry_term", 3)))),),
        payload=batches,
    )
    return AppendEntries(source=ONE, target=TWO, entries=(piece,), **fields)  # type: ignore[arg-type]


def many(*pieces: Entries) -> AppendEntries:
    return AppendEntries(
        source=ONE,
        target=TWO,
        term=Term(9),
        prev_index=RaftIndex(4),
        prev_term=Term(2),
        entries=pieces,
        committed=RaftIndex(4),
    )


def piece(first: int, last: int, starts: list[tuple[int, int]], markers: list[int], size: int) -> Entries:
    return Entries(
        first=RaftIndex(first),
        last=RaftIndex(last),
        starts=tuple(TermStart(index=RaftIndex(index), term=Term(term)) for index, term in starts),
        markers=tuple(Marker(index=RaftIndex(index)) for index in markers),
        payload=[bytes(size)] if size else None,
    )


RESTART = RestartLog(
    source=ONE,
    target=TWO,
    term=Term(3),
    index=RaftIndex(5),
    index_term=Term(2),
    membership=Membership(voters=frozenset({ONE})),
    payload=RestartPayload(Offset(-1), None),
)


@pytest.mark.parametrize(
    "message",
    [
        append(last=4),
        append(entry_term=1),
        append(entry_term=4),
        append(prev_term=-1),
        append(prev_index=-2),
        append(committed=-2),
        append(batches=[]),
        many(piece(5, 4, [(5, 2)], [], 1)),
        many(piece(5, 7, [(5, 2), (5, 3)], [], 1)),
        many(piece(5, 6, [(5, 2), (7, 3)], [], 1)),
        many(piece(5, 7, [(5, 2), (7, 3), (6, 4)], [], 1)),
        many(piece(5, 7, [(5, 3), (6, 3)], [], 1)),
        many(piece(5, 6, [(5, 2), (6, 10)], [], 1)),
        many(piece(5, 6, [(5, 1)], [6], 1)),
        many(piece(5, 6, [(5, 2)], [4], 1)),
        many(piece(5, 6, [(5, 2)], [7], 1)),
        many(piece(5, 7, [(5, 2)], [6, 6], 1)),
        many(piece(5, 6, [(5, 2)], [5, 6], 1)),
        many(piece(5, 6, [(5, 2)], [5], 0)),
        many(piece(5, 5, [(5, 3)], [5], 0), piece(6, 6, [(6, 2)], [6], 0)),
        AppendAccepted(source=ONE, target=TWO, term=Term(1), match=RaftIndex(-2)),
        Heartbeat(
            source=ONE,
            target=TWO,
            term=Term(1),
            committed=RaftIndex(-2),
            sent=RaftIndex(0),
            accepted=RaftIndex(0),
        ),
        RESTART,
    ],
)
def test_what_cannot_be_is_no_message(message: Message) -> None:
    with pytest.raises(MalformedFrame):
        heard(framed((GROUP, message, 0)))


@pytest.mark.parametrize(
    "membership",
    [
        Membership(voters=frozenset()),
        Membership(voters=frozenset({ONE}), learners=frozenset({ONE})),
    ],
)
def test_a_membership_that_cannot_be_is_none(membership: Membership) -> None:
    marker = Marker(index=RaftIndex(5), membership=membership)
    entries = Entries(
        first=RaftIndex(5),
        last=RaftIndex(5),
        starts=(TermStart(index=RaftIndex(5), term=Term(2)),),
        markers=(marker,),
    )
    with pytest.raises(MalformedFrame):
        heard(framed((GROUP, many(entries), 0)))


@pytest.mark.parametrize("frame", [b"", bytes([VERSION + 1]), bytes([VERSION, 0]), bytes([VERSION, 99])])
def test_another_version_or_kind_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        heard(frame)


@settings(suppress_health_check=SLOW)
@given(said.filter(bool), st.data())
def test_half_a_frame_is_none(said: list[tuple[GroupId, Message, int]], data: st.DataObject) -> None:
    frame = framed(*said)
    last = len(frame) - len(framed(said[-1])) + 1
    end = data.draw(st.integers(last + 1, len(frame) - 1))
    with pytest.raises(MalformedFrame):
        heard(frame[:end])


@settings(suppress_health_check=SLOW)
@given(said.filter(bool), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4))
def test_spoiled_bytes_raise_nothing_else(
    said: list[tuple[GroupId, Message, int]], spoils: list[tuple[int, int]]
) -> None:
    frame = bytearray(framed(*said))
    for at, value in spoils:
        frame[at % len(frame)] = value
    try:
        back = heard(frame)
    except MalformedFrame:
        return
    for _, message, _ in back:
        for entries in message.entries if isinstance(message, AppendEntries) else ():
            check(entries)


@given(st.integers(1, 12), st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(kind: int, rest: bytes) -> None:
    try:
        back = heard(bytes([VERSION, kind]) + rest)
    except MalformedFrame:
        return
    # Each message took its place.
    assert len(back) <= 1 + len(rest) // 24


def test_announced_counts_allocate_nothing() -> None:
    """Four billion pieces, terms and markers in a hundred bytes."""
    frame = bytearray(framed((GROUP, many(piece(5, 6, [(5, 2), (6, 3)], [6], 1)), 0)))
    head = len(framed((GROUP, many(), 0)))
    for at in (head - 4, head + 8, head + 16, head + 20):
        spoiled = bytearray(frame)
        spoiled[at : at + 4] = b"\xff\xff\xff\xff"
        with pytest.raises(MalformedFrame):
            heard(spoiled)
