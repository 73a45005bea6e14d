"""State shared by all roles: the persistent state, the log, the commit index, and outgoing messages."""

from chronik.raft.core.entries import Entries, Marker, TermStart
from chronik.raft.core.memberships import Memberships
from chronik.raft.core.messages import Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.tail import LogTail
from chronik.raft.core.types import HardState, Membership, RaftIndex, ReplicaId, Term
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Randomness


class Replica:
    """One node's part of a group. Created with its core; outlives the roles."""

    def __init__(
        self,
        *,
        node: NodeId,
        name: ReplicaId | None,
        options: RaftOptions,
        randomness: Randomness,
        hard_state: HardState,
        log: LogTail,
        memberships: Memberships,
        committed: RaftIndex,
        may_vote: bool,
        salt: int,
        first_term: Term,
    ) -> None:
        self.node = node
        # None: what memberships call it, whatever that is.
        self._name = name
        self.salt = salt
        self.first_term = first_term
        self.options = options
        self.randomness = randomness
        self.hard_state = hard_state
        # Invariant: hard_state's; cached because every message needs it.
        self.term = hard_state.term
        self.log = log
        self.memberships = memberships
        # False: it lost its promises. See `RaftCore.may_vote`.
        self.may_vote = may_vote
        # Those it has no connection to, members or not.
        self.lost_peers: set[NodeId] = set()
        # Invariant: never decreases; <= log.last_index.
        self.committed = committed
        # Invariant: <= log.last_index. Entries up to here survive a crash of this node.
        self.persisted = log.last_index
        # The leader that this node follows in this term; itself when it leads.
        self.leader: NodeId | None = None
        self.messages: list[Message] = []
        self.messages_after_persistence: list[Message] = []

    @property
    def next_term(self) -> Term:
        """The one to campaign in."""
        return Term(max(self.term, self.first_term) + 1)

    @property
    def is_voter(self) -> bool:
        return self.node in self.memberships.current.voters

    @property
    def is_alone(self) -> bool:
        """True if there is no other member whom anything could be asked or sent."""
        memberships, name = self.memberships, self._name
        if name is None:
            name = memberships.current.replica(self.node) or ReplicaId(self.node, "")
        return memberships.is_alone(name, self.committed)

    @property
    def may_campaign(self) -> bool:
        return self.may_vote and self.memberships.may_campaign(self.node, self.committed)

    @property
    def other_voters(self) -> list[NodeId]:
        """Sorted, so that a run is reproducible."""
        return sorted(self.memberships.current.voters - {self.node})

    @property
    def turn(self) -> int:
        """The order in which nodes that lost the leader together campaign: all compute the same order, and
        every group, by its salt, another one, so that the leaderships of a lost node are spread over all
        others.
        """
        there = [node for node in sorted(self.memberships.current.voters) if node not in self.lost_peers]
        return (there.index(self.node) - self.salt) % len(there) if self.node in there else 0

    def send(self, message: Message) -> None:
        self.messages.append(message)

    def send_after_persistence(self, message: Message) -> None:
        self.messages_after_persistence.append(message)

    def enter_term(self, term: Term, voted_for: NodeId | None) -> None:
        invariant(term >= self.term, "term {} after {}", term, self.term)
        if term > self.term:
            self.leader = None
            self.term = term
            self.hard_state = HardState(term=term, voted_for=voted_for)

    def vote_for(self, node: NodeId) -> None:
        """Votes for `node` in the present term."""
        invariant(self.hard_state.voted_for in (None, node), "a second vote in term {}", self.term)
        self.hard_state = HardState(term=self.term, voted_for=node)

    def append(self, entries: Entries, first: RaftIndex) -> None:
        """Appends `entries` from `first` on, replacing what the log has there."""
        if first <= self.log.last_index:
            self.truncate(RaftIndex(first - 1))
        self.log.append(entries, first)
        self.memberships.append(entries, first)

    def append_own(
        self, count: int, *, marker: bool, membership: Membership | None, payload: object, size: int
    ) -> Entries:
        """Appends, as leader, `count` indexes of the present term."""
        first = RaftIndex(self.log.last_index + 1)
        entries = Entries(
            first=first,
            last=RaftIndex(first + count - 1),
            starts=(TermStart(index=first, term=self.term),),
            markers=(Marker(index=first, membership=membership),) if marker else (),
            payload=payload,
            size=size,
        )
        self.append(entries, first)
        return entries

    def truncate(self, to: RaftIndex) -> None:
        invariant(to >= self.committed, "truncate to {} below the committed {}", to, self.committed)
        self.log.truncate(to)
        self.memberships.truncate(to)
        self.persisted = min(self.persisted, to)

    def commit(self, index: RaftIndex) -> None:
        """Commits everything up to `index`; no-op if it was committed before."""
        if index > self.committed:
            invariant(index <= self.log.last_index, "commit {} beyond {}", index, self.log.last_index)
            self.committed = index

    def forget_unwritten(self) -> None:
        """The last writes failed; their entries count as never proposed."""
        self.log.forget()
        last = self.log.last_index
        self.memberships.truncate(last)
        self.persisted = min(self.persisted, last)
        # A follower may have received the commit of entries that it failed to write.
        self.committed = min(self.committed, last)
