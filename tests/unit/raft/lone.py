"""One replica without a network: a test says what the others say, and when the disk does its work."""

import asyncio
from collections.abc import Sequence
from random import Random

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead
from chronik.raft.core.entries import Entries, Marker, TermStart
from chronik.raft.core.messages import AppendAccepted, AppendEntries, Message, VoteReply
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, Membership, RaftIndex, Term
from chronik.raft.group_setting import GroupSetting, RestartHooks
from chronik.raft.markers import MarkerBase
from chronik.raft.persistence import FlushPolicy
from chronik.raft.reconcile import adopt, reconcile
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.records.batch import Batch, stamp
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim.virtual_time import LoopClock, wait_until_idle
from chronik.vocab.ids import NodeId, Offset
from tests.support.held_disk import HeldDisk
from tests.unit.raft.trio import GROUP, NAMED_FOUNDERS, NODES, OPTIONS, Told

ONE, TWO, THREE = NODES
FOUNDERS = NAMED_FOUNDERS
NAMED = FOUNDERS.directories


class LoneReplica:
    """Node 1, and its host. Both others are connected unless a test takes them out of `up`."""

    def __init__(self, disk: HeldDisk | None = None) -> None:
        self.disk = disk or HeldDisk()
        # What left, in order.
        self.sent: list[Message] = []
        self.loads: list[ColdRead] = []
        self.up = {TWO, THREE}
        self.directories = dict(NAMED)
        self.is_marked = False
        self.directory_id = f"directory-{ONE}"

    def open(
        self,
        *,
        membership: Membership = FOUNDERS,
        hooks: RestartHooks | None = None,
        caching: FlushPolicy | None = None,
        options: RaftOptions = OPTIONS,
        config: LogConfig | None = None,
        revision: int = 0,
    ) -> "LoneReplica":
        """`revision`: of the replica where it is not known yet; one of a later one is nobody's only one."""
        self.store = StateStore.open(self.disk)
        self.log = PartitionLog.open("t-0", self.disk, config or LogConfig(), LoopClock(), was_clean=False)
        if membership.members == {ONE} and not revision:
            adopt(self.log, self.store, GROUP, membership, NO_TERM)
        elif self.store.get(GROUP) is None:
            base = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, membership, BEFORE_FIRST)
            self.store.create(GROUP, base, revision)
        else:
            reconcile(self.log, self.store, GROUP)
        self.syncer = Syncer(self.disk)
        setting = GroupSetting(
            node=ONE,
            directory_id=self.directory_id,
            options=options,
            randomness=Random(1),
            clock=LoopClock(),
            store=self.store,
            syncer=self.syncer,
            host=self,
            lag_ms=lambda: 30_000,
        )
        self.group = ReplicatedGroup(GROUP, self.log, setting, write_caching=caching, hooks=hooks)
        self.told = Told(self.group)
        self.group.listen(self.told)
        return self

    def again(self, **options: object) -> "LoneReplica":
        """The next life, after a power cut that kept nothing of what was not synced."""
        self.group.close()
        self.disk.crash(_NothingKept())
        self.disk.let_go()
        return LoneReplica(self.disk).open(**options)  # type: ignore[arg-type]

    async def lead(self) -> "LoneReplica":
        """In term 1, settled."""
        self.group.bootstrap(ONE)
        await self.run()
        self.accept(self.last)
        await self.run()
        assert self.group.is_own_term_committed
        self.sent.clear()
        return self

    # `GroupHost`.

    def mark(self, group: ReplicatedGroup) -> None:
        self.is_marked = True

    def send(self, group: object, message: Message, log_start: Offset) -> None:
        self.sent.append(message)

    def load(self, group: ReplicatedGroup, cold: ColdRead) -> None:
        self.loads.append(cold)

    def is_up(self, node: NodeId) -> bool:
        return node in self.up

    def directory(self, node: NodeId) -> str | None:
        return self.directories[node] if node in self.up else None

    # Turns.

    def turn(self) -> None:
        """End a turn of the loop: what was said is carried out."""
        while self.is_marked:
            self.is_marked = False
            self.group.run()

    async def run(self) -> None:
        """End this turn, let syncs run that are not held, and so on until nothing happens."""
        self.turn()
        await wait_until_idle()
        while self.is_marked:
            self.turn()
            await wait_until_idle()

    # What the others say.

    @property
    def last(self) -> RaftIndex:
        return self.group._raft_log.last_index

    def accept(self, match: int, *, source: NodeId = TWO, is_counted: bool = True) -> None:
        term = self.group.leader_epoch
        self.group.step(AppendAccepted(source, ONE, term, RaftIndex(match), is_counted), -1)

    def append(
        self,
        entries: Entries,
        *,
        prev_term: int,
        term: int,
        committed: int = -1,
        source: NodeId = TWO,
        log_start: int = -1,
    ) -> None:
        prev = RaftIndex(entries.first - 1)
        message = AppendEntries(
            source, ONE, Term(term), prev, Term(prev_term), RaftIndex(committed), (entries,)
        )
        self.group.step(message, log_start)

    def sent_of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.sent if isinstance(message, kind)]

    def accepted(self) -> int | None:
        """The last acceptance that left."""
        matches = [message.match for message in self.sent if isinstance(message, AppendAccepted)]
        return matches[-1] if matches else None

    def votes(self) -> list[NodeId]:
        return [m.target for m in self.sent if isinstance(m, VoteReply) and m.is_granted]


class _NothingKept(Random):
    """Chance for `CrashDisk.crash` that loses every write that was not synced."""

    def randrange(self, *arguments: int) -> int:  # type: ignore[override]
        return 0

    def random(self) -> float:
        return 1.0


def start(index: int, term: int) -> Entries:
    """The marker that opens a term."""
    first = RaftIndex(index)
    return Entries(first, first, (TermStart(first, Term(term)),), (Marker(index=first),), None, 0)


def member(index: int, term: int, membership: Membership) -> Entries:
    first = RaftIndex(index)
    marker = Marker(index=first, membership=membership)
    return Entries(first, first, (TermStart(first, Term(term)),), (marker,), None, 0)


def records(index: int, offset: int, term: int, values: Sequence[str]) -> Entries:
    """A batch for each value, the first at `index` and `offset`."""
    first, payload = RaftIndex(index), b""
    for number, value in enumerate(values):
        data = bytearray(batch(value).data)
        stamp(data, offset + number, term)
        payload += data
    last = RaftIndex(index + len(values) - 1)
    return Entries(first, last, (TermStart(first, Term(term)),), (), [payload], len(payload))


def batch(value: str) -> Batch:
    return build_batch([Record(key=None, value=value.encode(), timestamp=0)])


async def pass_ticks(replica: LoneReplica, count: int) -> None:
    for _ in range(count):
        replica.group.tick()
        await replica.run()
        await asyncio.sleep(0.02)
