"""The messages that leave when, and the writes that a round of syncs covers."""

from chronik.raft.core.messages import Message, TimeoutNow
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.persistence import Durability
from chronik.vocab.ids import NodeId


def message(number: int) -> Message:
    return TimeoutNow(source=NodeId(1), target=NodeId(2), term=Term(number))


def begin(durability: Durability, last_index: int = 7) -> None:
    durability.begin(RaftIndex(last_index), Term(3), store_written=11)


def test_nothing_was_written_so_all_is_durable() -> None:
    durability = Durability(waiting=[message(1)])
    assert durability.is_durable
    assert durability.skip() == [message(1)]
    assert durability.waiting == []


def test_a_round_covers_what_was_written_before_it_and_no_more() -> None:
    durability = Durability(writes=2, waiting=[message(1)])
    begin(durability)
    durability.writes += 1
    durability.waiting.append(message(2))
    done = durability.end()
    assert done is not None
    assert (done.writes, done.last_index, done.term, done.store_written) == (2, 7, 3, 11)
    assert done.messages == (message(1),)
    assert not durability.is_durable
    assert durability.waiting == [message(2)]
    begin(durability)
    done = durability.end()
    assert done is not None
    assert done.messages == (message(2),)
    assert durability.is_durable


def test_a_round_ends_once() -> None:
    durability = Durability(writes=1)
    assert durability.end() is None
    begin(durability)
    assert durability.end() is not None
    assert durability.end() is None


def test_what_counted_as_durable_is_not_taken_back_by_a_round_that_began_before() -> None:
    durability = Durability(writes=1, waiting=[message(1)])
    begin(durability)
    durability.writes = 2
    durability.waiting.append(message(2))
    assert durability.skip() == [message(2)]
    assert durability.is_durable
    durability.end()
    assert durability.is_durable


def test_a_round_knows_what_the_log_went_through_before_it() -> None:
    durability = Durability(restarts=2, cuts=5)
    begin(durability)
    durability.restarts, durability.cuts = 3, 6
    done = durability.end()
    assert done is not None
    assert (done.restarts, done.cuts) == (2, 5)
