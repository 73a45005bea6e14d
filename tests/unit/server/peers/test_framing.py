"""Frames come out as they went in, however the bytes were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.raft.transport import FrameKind, MalformedFrame
from chronik.server.peers.framing import (
    HANDSHAKE_FRAME_BYTES_MAX,
    HEAD,
    FrameReceiver,
    LinkKind,
    frame,
    make_scratch,
)

KINDS = frozenset({LinkKind.HEARTBEAT, *FrameKind})
MIB = 1024 * 1024

frames = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.binary(max_size=300)), max_size=8)


def feed(receiver: FrameReceiver, data: bytes, cuts: list[int]) -> list[tuple[int, memoryview]]:
    """Reads that return at most as many bytes as `cuts` says, the last one for all that is left."""
    got: list[tuple[int, memoryview]] = []
    at = 0
    while at < len(data):
        space = receiver.space()
        assert len(space)
        size = min(len(space), cuts.pop(0) if cuts else len(data), len(data) - at)
        space[:size] = data[at : at + size]
        at += size
        got += receiver.received(size)
    return got


def receiver(scratch: memoryview | None = None) -> FrameReceiver:
    made = FrameReceiver(scratch or make_scratch(), KINDS)
    made.frame_bytes_max = 64 * MIB
    return made


@given(frames, st.lists(st.integers(1, 40), max_size=200))
def test_frames_come_out_however_reads_cut_them(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in sent)
    got = feed(receiver(), data, cuts)
    assert [(kind, bytes(payload)) for kind, payload in got] == sent


def test_large_frames_are_read_to_where_they_stay() -> None:
    sent = [(FrameKind.RAFT, bytes([number]) * 9 * MIB) for number in range(3)]
    data = b"".join(frame(kind, payload) for kind, payload in sent)
    scratch = make_scratch()
    made = receiver(scratch)
    got: list[tuple[int, memoryview]] = []
    at, in_scratch = 0, 0
    while at < len(data):
        space = made.space()
        size = min(len(space), len(data) - at)
        in_scratch += size if space.obj is scratch.obj else 0
        space[:size] = data[at : at + size]
        at += size
        got += made.received(size)
    assert [(kind, bytes(payload)) for kind, payload in got] == sent
    assert in_scratch <= len(sent) * len(scratch)


def test_what_was_handed_out_is_not_written_again() -> None:
    scratch = make_scratch()
    one, other = receiver(scratch), receiver(scratch)
    (kept,) = feed(one, frame(FrameKind.RAFT, b"kept"), [])
    feed(other, frame(FrameKind.RAFT, b"else"), [])
    feed(one, frame(FrameKind.RAFT, b"more"), [])
    assert bytes(kept[1]) == b"kept"


def test_who_announces_much_and_sends_little_holds_little() -> None:
    made = receiver()
    feed(made, HEAD.pack(64 * MIB, FrameKind.RAFT) + b"x", [])
    assert len(made.space()) <= 4 * MIB


@pytest.mark.parametrize("cuts", [[], [1, 1, 1, 1, 1]])
def test_a_frame_of_another_kind_or_above_the_limit_is_none(cuts: list[int]) -> None:
    for head in (
        HEAD.pack(3, LinkKind.HELLO),
        HEAD.pack(64 * MIB + 1, FrameKind.RAFT),
        HEAD.pack((1 << 32) - 1, FrameKind.RAFT),
        HEAD.pack(0, 0),
    ):
        with pytest.raises(MalformedFrame):
            feed(receiver(), head, list(cuts))


def test_before_a_handshake_frames_are_small() -> None:
    made = FrameReceiver(make_scratch(), KINDS)
    assert feed(made, frame(FrameKind.RAFT, bytes(HANDSHAKE_FRAME_BYTES_MAX)), [])
    with pytest.raises(MalformedFrame):
        feed(made, frame(FrameKind.RAFT, bytes(HANDSHAKE_FRAME_BYTES_MAX + 1)), [])


def test_kinds_may_change_between_two_frames_of_one_read() -> None:
    made = FrameReceiver(make_scratch(), frozenset({LinkKind.READY}))
    data = frame(LinkKind.READY) + frame(FrameKind.RAFT, b"x")
    space = made.space()
    space[: len(data)] = data
    got = []
    for kind, payload in made.received(len(data)):
        made.kinds = KINDS
        got.append((kind, bytes(payload)))
    assert got == [(LinkKind.READY, b""), (FrameKind.RAFT, b"x")]
