"""A partition's log and its markers as one Raft log."""

from contextlib import nullcontext

import pytest

from chronik.log.config import LogConfig
from chronik.log.reading import ColdRead
from chronik.raft.core.entries import Append, Entries
from chronik.raft.core.ready import LogStart
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.markers import RestartPayload
from chronik.raft.replicated_log import ReplicatedLog
from chronik.raft.state_store import STATE_FILE
from chronik.sim.mutants import MUTANTS
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.lone import FOUNDERS, LoneReplica, member, records, start
from tests.unit.raft.raft_history import Unit, entries_of
from tests.unit.raft.trio import GROUP

MAX = 1 << 20
FULL = OSError("full")
STATE = f"{STATE_FILE}.tmp"


class Room:
    """A log with a start of term 1, two records, a start of term 2, and a record."""

    def __init__(self, *, config: LogConfig | None = None) -> None:
        self.replica = LoneReplica().open(config=config)
        self.log = ReplicatedLog(GROUP, self.replica.log, self.replica.store, self.loads.append)
        self.write(start(0, 1), records(1, 0, 1, ["a", "b"]), start(3, 2), records(4, 2, 2, ["c"]))

    @property
    def loads(self) -> list[ColdRead]:
        return self.replica.loads

    def write(self, *pieces: Entries) -> None:
        for entries in pieces:
            self.log.append(Append(entries.first, entries.last, entries))

    def slice(self, first: int, max_bytes: int = MAX) -> Entries:
        found = self.log.slice(RaftIndex(first), max_bytes)
        assert found is not None
        return found

    def markers(self) -> list[int]:
        state = self.replica.store.get(GROUP)
        assert state is not None
        return [record.index for record in state.markers.records()]


def values(entries: Entries) -> bytes:
    return b"".join(bytes(buffer) for buffer in entries.payload or ())  # type: ignore[attr-defined]


@virtual
async def test_indexes_are_offsets_and_the_markers_before_them() -> None:
    room = Room()
    assert (room.log.first_index, room.log.last_index) == (0, 4)
    assert [room.log.term_at(RaftIndex(index)) for index in range(-1, 5)] == [0, 1, 1, 1, 2, 2]
    assert [room.log.offset_after(RaftIndex(index)) for index in range(-1, 5)] == [0, 0, 1, 2, 2, 3]


@virtual
async def test_a_slice_has_records_and_the_markers_among_them() -> None:
    room = Room()
    entries = room.slice(0)
    assert (entries.first, entries.last) == (0, 4)
    assert [(begin.index, begin.term) for begin in entries.starts] == [(0, 1), (3, 2)]
    assert [marker.index for marker in entries.markers] == [0, 3]
    assert len(values(entries)) == entries.size == room.replica.log.size


@virtual
async def test_a_slice_is_bounded_by_bytes_but_has_one_batch_and_what_stands_before_the_next() -> None:
    room = Room()
    assert (room.slice(1, 1).first, room.slice(1, 1).last) == (1, 1)
    assert [marker.index for marker in room.slice(2, 1).markers] == [3]


@virtual
async def test_behind_the_last_record_are_only_markers() -> None:
    room = Room()
    room.write(start(5, 3), member(6, 3, FOUNDERS))
    entries = room.slice(5)
    assert (entries.last, entries.payload, entries.size) == (6, None, 0)
    assert [marker.membership for marker in entries.markers] == [None, FOUNDERS]


@virtual
async def test_a_slice_that_is_not_in_memory_is_there_once_it_was_loaded() -> None:
    room = Room()
    room.replica.disk.is_cold = True
    assert room.log.slice(RaftIndex(1), MAX) is None
    assert room.log.slice(RaftIndex(1), MAX) is None
    (cold,) = room.loads
    room.log.on_loaded(cold.load())
    assert (room.slice(1).first, room.slice(1).last) == (1, 4)
    # Another place is loaded again.
    assert room.log.slice(RaftIndex(2), MAX) is None
    assert len(room.loads) == 2


@virtual
async def test_records_whose_markers_fail_are_taken_back() -> None:
    room = Room()
    room.replica.disk.fail("write", STATE, FULL)
    record = records(6, 3, 3, ["d"])
    entries = Entries(
        first=RaftIndex(5),
        last=RaftIndex(6),
        starts=start(5, 3).starts,
        markers=start(5, 3).markers,
        payload=record.payload,
        size=record.size,
    )
    with pytest.raises(OSError, match="full"):
        room.write(entries)
    assert (room.log.last_index, room.replica.log.end_offset) == (4, 3)
    room.replica.disk.heal()
    room.write(entries)
    assert (room.log.last_index, room.replica.log.end_offset) == (6, 4)
    assert room.markers() == [0, 3, 5]


@virtual
async def test_a_load_that_failed_is_asked_for_again() -> None:
    room = Room()
    room.replica.disk.is_cold = True
    assert room.log.slice(RaftIndex(1), MAX) is None
    room.log.on_loaded(None)
    assert room.log.slice(RaftIndex(1), MAX) is None
    assert len(room.loads) == 2


@pytest.mark.parametrize("is_loaded_before", [True, False])
@virtual
async def test_what_was_loaded_before_a_truncation_is_not_used_after_it(is_loaded_before: bool) -> None:
    room = Room()
    room.replica.disk.is_cold = True
    assert room.log.slice(RaftIndex(1), MAX) is None
    loaded = room.loads[0].load()
    if is_loaded_before:
        room.log.on_loaded(loaded)
    room.log.truncate(RaftIndex(1))
    room.write(start(2, 3), records(3, 1, 3, ["x", "y"]))
    if not is_loaded_before:
        room.log.on_loaded(loaded)
    assert room.log.slice(RaftIndex(1), MAX) is None
    assert len(room.loads) == 2
    room.log.on_loaded(room.loads[1].load())
    assert values(room.slice(1)) == b"".join(bytes(b.data) for b in room.loads[1].load().batches())


@virtual
async def test_a_truncation_cuts_records_and_markers() -> None:
    room = Room()
    assert room.log.truncate(RaftIndex(2)) == 2
    assert (room.log.last_index, room.replica.log.end_offset, room.markers()) == (2, 2, [0])
    # The marker alone.
    room.write(start(3, 4))
    assert room.log.truncate(RaftIndex(2)) == 2
    assert room.markers() == [0]


@virtual
async def test_a_part_of_entries_is_cut_at_batches() -> None:
    room = Room()
    units = [
        Unit(5, 5, 3, 2, bytes(records(5, 3, 2, ["d"]).payload[0])),  # type: ignore[index]
        Unit(6, 6, 4, 3, None),
        Unit(7, 7, 4, 3, bytes(records(7, 4, 3, ["e"]).payload[0])),  # type: ignore[index]
        Unit(8, 8, 5, 3, bytes(records(8, 5, 3, ["f"]).payload[0])),  # type: ignore[index]
    ]
    entries = entries_of(units)
    room.log.append(Append(RaftIndex(5), RaftIndex(6), entries))
    assert (room.log.last_index, room.replica.log.end_offset, room.markers()) == (6, 4, [0, 3, 6])
    room.log.append(Append(RaftIndex(7), RaftIndex(8), entries))
    assert (room.log.last_index, room.replica.log.end_offset) == (8, 6)


@virtual
async def test_a_membership_is_durable_before_what_follows_it_is_written() -> None:
    room = Room()
    room.replica.disk.hold_syncs()
    synced: list[bool] = []
    append = room.replica.log.append_stamped
    store = room.replica.store

    def watched(buffers: object) -> object:
        synced.append(store.synced == store.written)
        return append(buffers)  # type: ignore[arg-type]

    room.replica.log.append_stamped = watched  # type: ignore[method-assign,assignment]
    units = [
        Unit(5, 5, 3, 2, None, FOUNDERS),
        Unit(6, 6, 3, 2, bytes(records(6, 3, 2, ["d"]).payload[0])),  # type: ignore[index]
    ]
    room.write(entries_of(units))
    assert synced == [True]


@pytest.mark.parametrize("error", [FULL, KafkaError(ErrorCode.CORRUPT_MESSAGE)])
@virtual
async def test_entries_that_cannot_be_written_leave_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room()

    def failing(buffers: object) -> None:
        raise error

    monkeypatch.setattr(room.replica.log, "append_stamped", failing)
    units = [
        Unit(5, 5, 3, 2, None, FOUNDERS),
        Unit(6, 6, 3, 2, bytes(records(6, 3, 2, ["d"]).payload[0])),  # type: ignore[index]
    ]
    for entries in (entries_of(units), records(5, 3, 2, ["d"])):
        with pytest.raises(type(error)):
            room.write(entries)
        assert (room.log.last_index, room.markers()) == (4, [0, 3])


@virtual
async def test_entries_that_are_not_as_long_as_they_say_stop_the_group() -> None:
    room = Room()
    with pytest.raises(InvariantViolation, match="written up to 5"):
        room.write(records(5, 3, 2, ["d"])._replace(last=RaftIndex(6)))


@virtual
async def test_a_restart_begins_behind_an_entry() -> None:
    room = Room()
    begin = LogStart(
        index=RaftIndex(20),
        term=Term(4),
        membership=FOUNDERS,
        payload=RestartPayload(Offset(15), None),
    )
    room.log.restart(begin)
    assert (room.log.first_index, room.log.last_index, room.log.term_at(RaftIndex(20))) == (21, 20, 4)
    assert (room.replica.log.start_offset, room.replica.log.end_offset) == (15, 15)
    assert room.replica.store.synced == room.replica.store.written
    room.write(records(21, 15, 4, ["z"]))
    assert room.slice(21).last == 21


@virtual
async def test_a_restart_without_an_offset_stops_the_group() -> None:
    room = Room()
    with pytest.raises(InvariantViolation, match="without an offset"):
        room.log.restart(LogStart(index=RaftIndex(20), term=Term(4), membership=FOUNDERS))


@virtual
async def test_a_log_that_has_nothing_where_it_should_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    empty = room.replica.log.read(3, 1, 3)
    monkeypatch.setattr(room.replica.log, "read_for_replication", lambda offset, max_bytes: empty)
    with pytest.raises(KafkaError) as damaged:
        room.log.slice(RaftIndex(1), MAX)
    assert damaged.value.code is ErrorCode.CORRUPT_MESSAGE


@virtual
async def test_a_log_whose_state_nobody_knows_is_none() -> None:
    room = Room()
    room.replica.store.forget(GROUP)
    with pytest.raises(InvariantViolation, match="no state"):
        ReplicatedLog(GROUP, room.replica.log, room.replica.store, room.loads.append)


@pytest.mark.parametrize("is_planted", [False, True])
@virtual
async def test_a_membership_is_durable_before_the_records_behind_it(is_planted: bool) -> None:
    # Recovery cannot see that one is missing among batches of one epoch: indexes would be one too low.
    room = Room()
    room.replica.store.sync_now()
    marker, record = member(5, 2, FOUNDERS), records(6, 3, 2, ["d"])
    entries = marker._replace(last=record.last, payload=record.payload, size=record.size)
    with MUTANTS["membership-not-synced"].planted() if is_planted else nullcontext():
        room.write(entries)
    # Of the round that follows, the log's files end first.
    for file in room.replica.log.files_to_sync()[0]:
        file.sync()
    again = room.replica.again()
    recovered = ReplicatedLog(GROUP, again.log, again.store, again.loads.append)
    assert again.log.end_offset == 4
    assert (recovered.last_index == 6) is not is_planted
