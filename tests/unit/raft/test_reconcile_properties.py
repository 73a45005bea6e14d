"""A replica's log and markers against the logs of its leaders, on a disk that loses power at any time.

Whatever a crash leaves, after recovery and reconciliation the replica must have what it acknowledged, and be
the beginning of one leader's log: each entry at its index, with its term, its bytes and its offset.
"""

import asyncio
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.log.config import LogConfig
from chronik.raft import state_store
from chronik.raft.core.entries import Append
from chronik.raft.core.ready import LogStart
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, HardState, RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase, RestartPayload
from chronik.raft.reconcile import reconcile
from chronik.raft.replicated_log import ReplicatedLog
from chronik.raft.state_store import GroupState, StateStore
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.ids import NodeId, Offset, TopicId
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import open_log, read_all
from tests.unit.raft.raft_history import (
    FOUNDERS,
    History,
    Unit,
    common_length,
    end_offset,
    entries_of,
    last_index,
    membership_after,
)

pytestmark = pytest.mark.long

CONFIG = LogConfig(segment_bytes=500, index_interval_bytes=120, retention_ms=-1, retention_bytes=-1)
GROUP = GroupId(TopicId(b"g" * 16), 0)
OTHER = GroupId(TopicId(b"o" * 16), 0)
BASE = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, FOUNDERS, BEFORE_FIRST)


class World:
    """One replica, and the group that it is in."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.disk = CrashDisk()
        self.clock = ManualClock(2000)
        self.history = History(random)
        # Whom the replica follows; never an earlier one than before.
        self.following = 1
        # Its log, from the beginning of time; retention and restarts only move where it begins on disk.
        self.units: list[Unit] = []
        # What it told its leader that it has: a crash must leave it.
        self.acknowledged: list[Unit] = []
        # The last one that is durable, and those written since.
        self.hard_states = [HardState()]
        # The restart that was under way, by the log it leads to.
        self.restarting: list[Unit] | None = None
        self.log = open_log(self.disk, self.clock, CONFIG)
        self.store = StateStore.open(self.disk)
        self.store.create(GROUP, BASE)
        self.store.create(OTHER, BASE)
        self.store.sync_now()
        self.replicated = self._replicated()

    @property
    def leader_log(self) -> list[Unit]:
        return self.history.logs[self.following]

    # What happens in the group.

    def elect(self) -> None:
        self.history.elect()

    def propose(self) -> None:
        self.history.propose(self.random.choice([self.history.newest, self.following]))

    def commit(self) -> None:
        self.history.commit()

    # What happens to the replica. Each is as the core has it done.

    def follow(self) -> None:
        if self.following == self.history.newest:
            return
        self.following = self.history.newest
        vote = self.random.choice([None, NodeId(1), NodeId(2)])
        self.hard_states.append(HardState(term=Term(self.following), voted_for=vote))
        self.store.set_hard_state(GROUP, self.hard_states[-1])

    def receive(self) -> None:
        """What the leader has next, in the place of what contradicts it."""
        same = common_length(self.units, self.leader_log)
        count = self.random.choice([1, 1, 2, 3, 6])
        wanted = self.leader_log[same : same + count]
        if not wanted:
            return
        if same < len(self.units):
            self._truncate(same)
        self.units = self.units + wanted
        entries = entries_of(wanted)
        self.replicated.append(Append(first=entries.first, last=entries.last, entries=entries))

    def sync(self) -> None:
        """A round: only then anything is acknowledged."""
        files, end = self.log.files_to_sync()
        written, units = self.store.written, self.units
        files = [*files, *self.store.files_to_sync()]
        self.random.shuffle(files)
        for file in files:
            file.sync()
        self.log.on_synced(end)
        self.store.on_synced(written)
        del self.hard_states[:-1]
        self.acknowledged = units

    def sync_log(self) -> None:
        """A round that fails elsewhere."""
        for file in self.log.files_to_sync()[0]:
            file.sync()

    def sync_store(self) -> None:
        """Another group's round."""
        written = self.store.written
        for file in self.store.files_to_sync():
            file.sync()
        self.store.on_synced(written)
        del self.hard_states[:-1]

    def write_other(self) -> None:
        """Another group has an election."""
        state = self.store.get(OTHER)
        assert state is not None
        self.store.set_hard_state(OTHER, HardState(term=Term(state.hard_state.term + 1)))

    def record_end(self) -> None:
        """The node does so once a second."""
        self.store.raise_log_ends({GROUP: self.log.synced_offset})
        self.store.note_size()

    def roll(self) -> None:
        self.log.roll()

    def retain(self) -> None:
        """Retention within what is known to be committed."""
        self.log.config = LogConfig(
            segment_bytes=CONFIG.segment_bytes,
            index_interval_bytes=CONFIG.index_interval_bytes,
            retention_ms=-1,
            retention_bytes=self.random.randrange(0, 900),
        )
        self.log.apply_retention(self.clock.now_ms(), end_offset(self._known_committed()))
        self._tidy()

    def delete_records(self) -> None:
        bound = end_offset(self._known_committed())
        if bound >= self.log.start_offset:
            self.log.advance_start(self.random.randint(self.log.start_offset, bound))
            self._tidy()

    def restart_log(self) -> None:
        """The leader has no longer what this replica needs next."""
        same = common_length(self.units, self.leader_log)
        committed = min(self.history.committed, len(self.leader_log))
        able = [n for n in range(same + 1, committed + 1) if not self.leader_log[n - 1].is_marker]
        if not able or self.leader_log[:committed] != self._committed()[:committed]:
            return
        length = self.random.choice(able)
        before = self.leader_log[:length]
        self.restarting = before
        self.replicated.restart(
            LogStart(
                index=RaftIndex(last_index(before)),
                term=Term(before[-1].term),
                membership=membership_after(before, length),
                payload=RestartPayload(Offset(end_offset(before)), None),
            )
        )
        self.units = self.acknowledged = before
        self.restarting = None

    def close(self) -> None:
        self.log.flush()
        self.sync()
        asyncio.run(self.log.tidy())
        self.log.close()
        self.store.close()
        self._open(was_clean=True)

    def kill(self) -> None:
        self.disk.kill()
        self.acknowledged = self.units
        del self.hard_states[:-1]
        self._open(was_clean=False)

    def crash(self) -> None:
        self.disk.crash(self.random)
        while True:
            if self.random.random() < 0.4:
                self.disk.lose_power_at(self.random.randrange(0, 15))
            try:
                self._open(was_clean=False)
            except PowerLost:
                self.disk.crash(self.random)
            else:
                break

    # What must be so.

    def check(self) -> None:
        """The replica is `units`, from its first index on."""
        replicated, markers = self.replicated, self._state().markers
        first = replicated.first_index
        assert replicated.last_index == last_index(self.units)
        assert replicated.term_at(RaftIndex(first - 1)) == self._term_at(first - 1)
        for unit in self.units:
            if unit.first < first:
                assert unit.last < first, f"the log begins at {first}, in the middle of a batch"
                continue
            for index in range(unit.first, unit.last + 1):
                assert replicated.term_at(RaftIndex(index)) == unit.term
                assert markers.is_marker(RaftIndex(index)) == unit.is_marker
            assert markers.offset_after(RaftIndex(unit.last)) == unit.end_offset
            if not unit.is_marker:
                assert markers.index_of(Offset(unit.offset)) == unit.first
        expected = [(u.first, u.offset, u.term, u.membership) for u in self.units if u.is_marker]
        begin = markers.base.index
        assert [tuple(r) for r in markers.records()] == [marker for marker in expected if marker[0] > begin]
        assert markers.memberships()[-1][1] == membership_after(self.units, len(self.units))
        self._check_batches()

    def _check_batches(self) -> None:
        found = [bytes(batch.data) for batch in read_all(self.log)]
        start = self.log.start_offset
        expected = [u.data for u in self.units if u.data is not None and u.end_offset > start]
        assert found == expected

    def check_recovered(self) -> None:
        """It is the beginning of some leader's log, has what was acknowledged, and is where it is."""
        state = self._state()
        # No crash looks like a loss of files.
        assert state.losses == 0
        assert state.hard_state in self.hard_states
        last, kept = self.replicated.last_index, self.acknowledged
        if self.restarting is not None and state.markers.base.index == last_index(self.restarting):
            kept = self.restarting
        able = [log[: _length(log, last)] for log in self.history.logs.values()]
        able = [log for log in able if last_index(log) == last and log[: len(kept)] == kept]
        assert able, f"no leader's log ends at {last} and begins with what was acknowledged"
        assert any(map(self._is, able)) or self._is_not(able[0])
        self.acknowledged, self.restarting = self.units, None
        self.hard_states = [state.hard_state]
        self.following = max(1, state.hard_state.term, self.units[-1].term if self.units else 0)

    def _is(self, log: list[Unit]) -> bool:
        self.units = log
        try:
            self.check()
        except AssertionError:
            return False
        return True

    def _is_not(self, log: list[Unit]) -> bool:
        """Say why."""
        self.units = log
        self.check()
        return False

    def _state(self) -> GroupState:
        state = self.store.get(GROUP)
        assert state is not None
        return state

    def _open(self, *, was_clean: bool) -> None:
        self.log = open_log(self.disk, self.clock, CONFIG, was_clean=was_clean)
        self.store = StateStore.open(self.disk)
        reconcile(self.log, self.store, GROUP)
        self.replicated = self._replicated()
        self.disk.lose_power_at(None)
        self.check_recovered()

    def _replicated(self) -> ReplicatedLog:
        return ReplicatedLog(GROUP, self.log, self.store, lambda _: None)

    def _truncate(self, length: int) -> None:
        self.acknowledged = self.acknowledged[: min(length, len(self.acknowledged))]
        self.replicated.truncate(RaftIndex(last_index(self.units[:length])))
        self.units = self.units[:length]

    def _committed(self) -> list[Unit]:
        return self.history.logs[self.history.newest][: self.history.committed]

    def _known_committed(self) -> list[Unit]:
        """As the newest leader tells. Before its term is durable, a crash can bring back an older one that
        does not know what is committed.
        """
        if self.following != self.history.newest or len(self.hard_states) > 1:
            return []
        committed = self._committed()
        return committed[: common_length(committed, self.units)]

    def _term_at(self, index: int) -> int:
        return next((unit.term for unit in self.units if unit.first <= index <= unit.last), NO_TERM)

    def _tidy(self) -> None:
        """As the group does: markers go after the records are durably gone."""
        if self.random.random() < 0.8:
            asyncio.run(self.log.tidy())
            if self.random.random() < 0.7:
                self.store.rebase(GROUP, RaftIndex(self.replicated.first_index - 1))


def _length(log: list[Unit], index: int) -> int:
    """How many units are at or before `index`."""
    return sum(unit.last <= index for unit in log)


# By how often they come.
OPERATIONS = (
    (World.elect, 5),
    (World.propose, 20),
    (World.commit, 5),
    (World.follow, 6),
    (World.receive, 24),
    (World.sync, 8),
    (World.sync_log, 2),
    (World.sync_store, 2),
    (World.write_other, 2),
    (World.record_end, 4),
    (World.roll, 2),
    (World.retain, 3),
    (World.delete_records, 2),
    (World.restart_log, 4),
    (World.close, 1),
    (World.kill, 1),
    (World.crash, 3),
)
_CHOICES = [operation for operation, weight in OPERATIONS for _ in range(weight)]


@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(st.integers(0, len(_CHOICES) - 1), st.none() | st.integers(0, 12)), min_size=30, max_size=90
    ),
)
def test_a_crash_leaves_the_beginning_of_a_leaders_log(
    seed: int, script: list[tuple[int, int | None]]
) -> None:
    # So that the journal is written again many times in a run.
    with patch.object(state_store, "REWRITE_BYTES_MIN", 600):
        play(World(Random(seed)), script)


def play(world: World, script: list[tuple[int, int | None]]) -> None:
    for choice, power_lost_at in script:
        # Rarely: a crash at every tenth operation leaves time for something to be lost.
        if power_lost_at is not None and world.random.random() < 0.2:
            world.disk.lose_power_at(power_lost_at)
        try:
            _CHOICES[choice](world)
        except PowerLost:
            world.crash()
        world.disk.lose_power_at(None)
        world.check()
    world.crash()
