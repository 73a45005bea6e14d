"""All groups of a node: whom they hear, when they are run and ticked, what leaves together."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence

import pytest

from chronik.log.reading import ColdRead, LogSlice
from chronik.raft import host as host_module
from chronik.raft.codec import decode, encode
from chronik.raft.core.messages import (
    AppendEntries,
    Message,
    RequestPreVote,
    RestartLog,
    TimeoutNow,
    VoteReply,
)
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.host import RaftHost
from chronik.raft.markers import RestartPayload
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset, TopicId
from tests.unit.raft.lone import FOUNDERS
from tests.unit.raft.trio import TICK_MS

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
A, B = (GroupId(TopicId(bytes(16)), number) for number in (1, 2))
TICK = TICK_MS / 1000


class FakeGroup:
    """Says what it is asked to, and what it was told."""

    def __init__(self, group_id: GroupId, host: RaftHost) -> None:
        self.id = group_id
        self.host = host
        self.members = FOUNDERS.members
        self.is_quiesced = True
        self.is_leader = False
        self.has_vote = True
        self.laggards: frozenset[NodeId] = frozenset()
        self.found_laggards: list[frozenset[NodeId]] = []
        self.elections = self.leader_changes = self.handed_over = 0
        self.heard: list[object] = []
        # Of the messages.
        self.sources: list[NodeId] = []
        # Done in `run`.
        self.work: list[Callable[[], None]] = []
        self.failure: OSError | None = None
        # What raises, if anything.
        self.faulty = ""

    def hear(self, what: str, *details: object) -> None:
        self.heard.append((what, *details) if details else what)
        if what == self.faulty:
            raise ZeroDivisionError(what)

    def step(self, message: Message, log_start: int) -> None:
        self.sources.append(message.source)
        self.hear("step", type(message), log_start)

    def tick(self) -> None:
        self.hear("tick")

    def run(self) -> None:
        self.hear("run")
        work, self.work = self.work, []
        for one in work:
            one()

    def on_peer_lost(self, node: NodeId) -> None:
        self.hear("lost", node)

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        self.hear("found", node, is_restarted)

    def on_loaded(self, read: LogSlice) -> None:
        self.hear("loaded", read)

    def on_load_failed(self, error: OSError, *, is_gone: bool) -> None:
        self.hear("gone" if is_gone else "not loaded")

    def look_for_laggards(self) -> bool:
        self.hear("look")
        if not self.found_laggards:
            return False
        self.laggards = self.found_laggards.pop(0)
        return True

    def restart_payload(self, index: RaftIndex) -> RestartPayload:
        return RestartPayload(Offset(index + 100), b"snapshot")

    def fail(self, error: OSError) -> None:
        self.failure = error


class Room:
    """A host between fake groups and a transport that writes down."""

    def __init__(self, metered: GroupId | None = None) -> None:
        self.frames: list[tuple[NodeId, bytes]] = []
        self.is_full = False
        self.reads: list[LogSlice | Exception] = []
        self.lag_told: list[FakeGroup] = []
        self.host = RaftHost(
            ONE, self, tick_ms=TICK_MS, load_cold=self._load, on_lag=self._on_lag, metered=metered
        )

    def _load(self, cold: ColdRead) -> Awaitable[LogSlice]:
        async def load() -> LogSlice:
            await asyncio.sleep(0.01)
            read = self.reads.pop(0)
            if isinstance(read, Exception):
                raise read
            return read

        return load()

    def _on_lag(self, group: ReplicatedGroup) -> None:
        self.lag_told.append(group)  # type: ignore[arg-type]

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        assert kind is FrameKind.RAFT
        if self.is_full:
            return False
        self.frames.append((node, b"".join(buffers)))
        return True

    def peers(self) -> Sequence[PeerInfo]:
        return ()

    def up(self, node: NodeId, incarnation: int = 1) -> None:
        self.host.on_peer_up(PeerInfo(node, f"directory-{node}", incarnation))

    def add(self, group_id: GroupId = A) -> FakeGroup:
        group = FakeGroup(group_id, self.host)
        self.host.add(group)  # type: ignore[arg-type]
        return group

    def mark(self, group: FakeGroup) -> None:
        self.host.mark(group)  # type: ignore[arg-type]

    def say(self, group: FakeGroup, *targets: NodeId) -> None:
        """Have it send something in its next run."""
        for target in targets:
            group.work.append(lambda target=target: self.host.send(group.id, pre_vote(target), Offset(3)))  # type: ignore[misc]
        self.mark(group)

    def sent(self, node: NodeId) -> list[list[tuple[GroupId, Message, int]]]:
        """The messages of each frame."""
        frames = [frame for to, frame in self.frames if to == node]
        return [[said[:3] for said in decode(memoryview(frame), ONE, node)] for frame in frames]


def pre_vote(target: NodeId, source: NodeId = ONE) -> RequestPreVote:
    return RequestPreVote(
        source=source, target=target, term=Term(5), last_index=BEFORE_FIRST, last_term=NO_TERM
    )


def frame(*groups: GroupId, source: NodeId = TWO) -> memoryview:
    out: list[Buffer] = []
    for group in groups:
        encode(group, TimeoutNow(source=source, target=ONE, term=Term(1)), -1, out)
    return memoryview(b"".join(out))


@virtual
async def test_a_group_is_told_of_members_that_are_not_connected_and_run() -> None:
    room = Room()
    room.up(TWO)
    group = room.add()
    await wait_until_idle()
    assert group.heard == [("lost", THREE), "run"]
    assert room.host.group(A) is group  # type: ignore[comparison-overlap]
    assert room.host.groups() == [group]  # type: ignore[comparison-overlap]


@virtual
async def test_what_came_before_a_group_is_given_to_it() -> None:
    room = Room()
    room.up(TWO)
    room.up(THREE)
    room.host.on_frame(TWO, frame(A, B))
    group = room.add(A)
    await wait_until_idle()
    assert group.heard == [("step", TimeoutNow, -1), "run"]


@virtual
async def test_what_came_over_a_connection_that_ended_is_not_given_to_a_later_group() -> None:
    # It would take a message of a leader that is gone, and be quiesced forever.
    room = Room()
    room.up(TWO)
    room.up(THREE)
    room.host.on_frame(TWO, frame(A))
    room.host.on_frame(THREE, frame(A, source=THREE))
    room.host.on_peer_down(TWO)
    room.up(TWO, incarnation=2)
    group = room.add(A)
    await wait_until_idle()
    assert group.heard == [("step", TimeoutNow, -1), "run"]
    assert group.sources == [THREE]


@virtual
async def test_a_frame_is_cut_up_for_its_groups_before_any_is_run() -> None:
    room = Room()
    a, b = room.add(A), room.add(B)
    await wait_until_idle()
    a.heard.clear()
    b.heard.clear()
    room.mark(a)
    room.host.on_frame(TWO, frame(A, B, A))
    assert a.heard == [("step", TimeoutNow, -1)] * 2
    assert b.heard == [("step", TimeoutNow, -1)]
    room.host.on_turn_end()
    assert a.heard[-1] == "run"
    room.host.on_turn_end()
    assert a.heard.count("run") == 1


@virtual
async def test_a_frame_that_makes_no_sense_is_refused() -> None:
    room = Room()
    with pytest.raises(MalformedFrame):
        room.host.on_frame(TWO, memoryview(b"\xff"))


@virtual
async def test_what_groups_say_in_a_turn_is_one_frame_for_each_peer() -> None:
    room = Room()
    room.up(TWO)
    room.up(THREE)
    a, b = room.add(A), room.add(B)
    room.say(a, TWO, THREE)
    room.say(b, TWO)
    await wait_until_idle()
    assert [[group for group, _, _ in messages] for messages in room.sent(TWO)] == [[A, B]]
    assert [[group for group, _, _ in messages] for messages in room.sent(THREE)] == [[A]]


@virtual
async def test_nothing_is_said_to_who_is_not_there() -> None:
    room = Room()
    room.up(TWO)
    group = room.add()
    room.say(group, THREE)
    await wait_until_idle()
    assert room.frames == []
    room.host.send(A, pre_vote(TWO), Offset(0))
    room.host.on_peer_down(TWO)
    await wait_until_idle()
    assert room.frames == []


@virtual
async def test_a_large_frame_leaves_at_once() -> None:
    room = Room()
    room.up(TWO)
    group = room.add()
    await wait_until_idle()
    snapshot = RestartLog(
        source=ONE,
        target=TWO,
        term=Term(1),
        index=RaftIndex(7),
        index_term=Term(1),
        membership=FOUNDERS,
    )
    group.restart_payload = lambda index: RestartPayload(Offset(1), bytes(host_module._FRAME_BYTES))  # type: ignore[method-assign]
    room.host.send(A, snapshot, Offset(0))
    assert len(room.frames) == 1
    room.host.send(A, pre_vote(TWO), Offset(0))
    assert len(room.frames) == 1


@virtual
async def test_a_restart_carries_the_groups_payload() -> None:
    room = Room()
    room.up(TWO)
    room.add()
    message = RestartLog(
        source=ONE, target=TWO, term=Term(1), index=RaftIndex(7), index_term=Term(1), membership=FOUNDERS
    )
    room.host.send(A, message, Offset(3))
    await wait_until_idle()
    ((_, sent, log_start),) = room.sent(TWO)[0]
    assert isinstance(sent, RestartLog)
    assert (sent.payload, log_start) == (RestartPayload(Offset(107), b"snapshot"), -1)


@virtual
async def test_the_log_start_travels_with_what_a_leader_says() -> None:
    room = Room()
    room.up(TWO)
    room.add()
    append = AppendEntries(ONE, TWO, Term(1), RaftIndex(0), Term(1), RaftIndex(0))
    room.host.send(A, append, Offset(3))
    room.host.send(A, pre_vote(TWO), Offset(3))
    await wait_until_idle()
    assert [log_start for _, _, log_start in room.sent(TWO)[0]] == [3, -1]


@virtual
async def test_work_that_leads_to_work_is_done_in_the_same_turn() -> None:
    room = Room()
    room.up(TWO)
    a, b = room.add(A), room.add(B)
    a.work.append(lambda: room.say(b, TWO))
    room.mark(a)
    room.host.on_turn_end()
    assert b.heard[-1] == "run"
    assert len(room.frames) == 1


@pytest.mark.parametrize("faulty", ["run", "step", "tick", "lost", "found", "look"])
@virtual
async def test_a_bug_in_one_group_stops_it_and_no_other(faulty: str) -> None:
    room = Room()
    room.host.start()
    room.up(THREE)
    bad, good = room.add(A), room.add(B)
    await wait_until_idle()
    bad.faulty = faulty
    for group in (bad, good):
        group.is_quiesced = False
        room.say(group, THREE)
    await wait_until_idle()
    room.host.on_frame(TWO, frame(A, B))
    room.up(TWO)
    room.host.on_peer_down(TWO)
    await asyncio.sleep(0.6)
    assert isinstance(bad.failure, OSError)
    assert good.failure is None
    assert {("step", TimeoutNow, -1), ("lost", TWO), ("found", TWO, False), "tick", "run", "look"} <= set(
        good.heard
    )
    assert B in [group for messages in room.sent(THREE) for group, _, _ in messages]
    await room.host.close()


@virtual
async def test_only_groups_that_are_not_quiet_are_ticked() -> None:
    room = Room()
    room.host.start()
    quiet, busy = room.add(A), room.add(B)
    busy.is_quiesced = False
    room.mark(busy)
    await asyncio.sleep(10.5 * TICK)
    assert (quiet.heard.count("tick"), busy.heard.count("tick")) == (0, 10)
    assert (room.host.statistics().ticks, room.host.statistics().active) == (10, 1)
    busy.is_quiesced = True
    room.mark(busy)
    await asyncio.sleep(10 * TICK)
    assert busy.heard.count("tick") == 10
    await room.host.close()


@virtual
async def test_a_group_that_is_gone_hears_nothing() -> None:
    room = Room()
    room.host.start()
    group, other = room.add(A), room.add(B)
    await wait_until_idle()
    group.is_quiesced = False
    room.mark(group)
    await wait_until_idle()
    group.heard.clear()
    # In the turn in which it was to be run.
    room.mark(other)
    other.work.append(lambda: room.host.remove(group))  # type: ignore[arg-type]
    room.mark(group)
    group.elections = 2
    await wait_until_idle()
    assert group.heard in ([], ["run"])
    group.heard.clear()
    room.host.on_frame(TWO, frame(A))
    room.up(TWO)
    await asyncio.sleep(1)
    assert group.heard == []
    room.host.remove(group)  # type: ignore[arg-type]
    assert (room.host.statistics().elections, room.host.statistics().active) == (2, 0)
    await room.host.close()


@virtual
async def test_a_peer_that_comes_back_is_restarted_if_it_is_another_incarnation() -> None:
    room = Room()
    group = room.add()
    for incarnation in (1, 1, 2):
        room.up(TWO, incarnation)
        room.host.on_peer_down(TWO)
    found = [one for one in group.heard if isinstance(one, tuple) and one[0] == "found"]
    assert found == [("found", TWO, False), ("found", TWO, False), ("found", TWO, True)]


@virtual
async def test_only_members_are_told_of() -> None:
    room = Room()
    group = room.add()
    group.members = frozenset({ONE, TWO})
    group.heard.clear()
    room.up(THREE)
    room.host.on_peer_down(THREE)
    assert group.heard == []
    assert room.host.directory(THREE) is None
    room.up(THREE)
    assert room.host.directory(THREE) == "directory-3"
    assert room.host.is_up(THREE)


@virtual
async def test_a_frame_that_was_not_queued_is_made_up_for_as_a_connection_that_ended() -> None:
    room = Room()
    room.host.start()
    room.up(TWO)
    room.up(THREE)
    group, other = room.add(A), room.add(B)
    other.members = frozenset({ONE, THREE})
    await wait_until_idle()
    room.is_full = True
    room.say(group, TWO)
    await wait_until_idle()
    group.heard.clear()
    other.heard.clear()
    await asyncio.sleep(1.2)
    assert group.heard == [("lost", TWO), ("found", TWO, False)]
    assert other.heard == []
    await room.host.close()


@virtual
async def test_a_peer_that_is_lost_after_all_is_not_made_up_for() -> None:
    room = Room()
    room.host.start()
    room.up(TWO)
    group = room.add()
    room.is_full = True
    room.say(group, TWO)
    await wait_until_idle()
    room.host.on_peer_down(TWO)
    group.heard.clear()
    await asyncio.sleep(1.2)
    assert group.heard == []
    await room.host.close()


READ = LogSlice(0, 1, [b"x"], 1)


@virtual
async def test_what_was_read_in_a_thread_is_given_back() -> None:
    room = Room()
    group = room.add()
    room.reads = [READ]
    room.host.load(group, None)  # type: ignore[arg-type]
    await asyncio.sleep(0.02)
    assert group.heard[-1] == ("loaded", READ)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "io"), KafkaError(ErrorCode.CORRUPT_MESSAGE), ZeroDivisionError("a bug")]
)
@virtual
async def test_a_read_that_fails_is_told_a_while_later(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room()
    group = room.add()
    room.reads = [error]
    room.host.load(group, None)  # type: ignore[arg-type]
    await asyncio.sleep(0.1)
    assert "not loaded" not in group.heard
    await asyncio.sleep(1)
    assert group.heard[-1] == "not loaded"
    assert "could not read records for a follower; it is tried again" in caplog.text


@virtual
async def test_what_retention_took_meanwhile_is_told_at_once() -> None:
    room = Room()
    group = room.add()
    room.reads = [KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)]
    room.host.load(group, None)  # type: ignore[arg-type]
    await asyncio.sleep(0.02)
    assert group.heard[-1] == "gone"


@virtual
async def test_laggards_are_told_when_they_change() -> None:
    room = Room()
    room.host.start()
    room.up(TWO)
    room.up(THREE)
    group = room.add()
    group.is_quiesced = False
    group.is_leader = True
    room.mark(group)
    before = room.host.statistics()
    group.found_laggards = [frozenset({THREE}), frozenset()]
    await asyncio.sleep(0.6)
    assert room.lag_told == [group]
    assert room.host.statistics().shrinks - before.shrinks == 1
    await asyncio.sleep(0.5)
    assert room.lag_told == [group] * 2
    assert room.host.statistics().expands - before.expands == 1
    await room.host.close()


@virtual
async def test_after_its_end_nothing_is_done() -> None:
    room = Room()
    room.host.start()
    room.up(TWO)
    group = room.add()
    group.is_quiesced = False
    room.mark(group)
    await wait_until_idle()
    room.reads = [READ]
    room.host.load(group, None)  # type: ignore[arg-type]
    await wait_until_idle()
    await room.host.close()
    group.heard.clear()
    room.say(group, TWO)
    await asyncio.sleep(1)
    assert group.heard == []
    assert room.frames == []


@virtual
async def test_it_may_end_before_it_began() -> None:
    await Room().host.close()


@virtual
async def test_what_passes_for_the_metered_group_is_counted() -> None:
    room = Room(metered=A)
    group = room.add(A)
    other = room.add(B)
    room.up(TWO)
    room.say(group, TWO)
    room.say(other, TWO)
    await asyncio.sleep(0)
    (frame,) = [frame for _, frame in room.frames]
    sizes = {said[0]: said[3] for said in decode(memoryview(frame), ONE, TWO)}
    out: list[Buffer] = []
    reply = VoteReply(source=TWO, target=ONE, term=Term(5), is_granted=True)
    size = encode(A, reply, -1, out) - 1
    encode(B, reply, -1, out)
    room.host.on_frame(TWO, memoryview(b"".join(out)))
    channel = room.host.channel
    assert (channel.bytes_out, channel.requests) == (1 + sizes[A], 1)
    assert (channel.bytes_in, channel.responses) == (size, 1)
