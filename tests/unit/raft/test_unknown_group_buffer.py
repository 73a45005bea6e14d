"""Messages that come before their group."""

from chronik.raft import unknown_group_buffer as early
from chronik.raft.core.messages import AppendEntries, Message, TimeoutNow
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.unknown_group_buffer import UnknownGroupBuffer
from chronik.vocab.ids import NodeId, TopicId
from tests.unit.raft.lone import records

ONE, TWO = (GroupId(TopicId(b"t" * 16), number) for number in (1, 2))
# As long as one generation, of which two are kept.
TICKS = early._TICKS_MAX


def message(number: int) -> Message:
    return TimeoutNow(source=NodeId(1), target=NodeId(2), term=Term(number))


def append(size: int) -> Message:
    entries = records(1, 0, 1, ["x" * size])
    return AppendEntries(NodeId(1), NodeId(2), Term(1), RaftIndex(0), Term(1), RaftIndex(0), (entries,))


def pass_ticks(kept: UnknownGroupBuffer, count: int) -> None:
    for _ in range(count):
        kept.tick()


def test_each_group_is_given_its_own_once_in_order() -> None:
    kept = UnknownGroupBuffer()
    kept.keep(ONE, message(1), 10)
    kept.keep(TWO, message(2), 20)
    kept.keep(ONE, message(3), 30)
    assert kept.take(ONE) == [(message(1), 10), (message(3), 30)]
    assert kept.take(ONE) == []
    assert kept.take(TWO) == [(message(2), 20)]


def test_they_are_kept_in_order_over_a_generation() -> None:
    kept = UnknownGroupBuffer()
    kept.keep(ONE, message(1), -1)
    pass_ticks(kept, TICKS)
    kept.keep(ONE, message(2), -1)
    assert kept.take(ONE) == [(message(1), -1), (message(2), -1)]


def test_they_are_forgotten_after_two_generations() -> None:
    kept = UnknownGroupBuffer()
    kept.keep(ONE, message(1), -1)
    pass_ticks(kept, 2 * TICKS - 1)
    assert kept.take(ONE)
    kept.keep(ONE, message(2), -1)
    pass_ticks(kept, TICKS + 1)
    assert kept.take(ONE) == []


def test_those_of_one_peer_are_forgotten_when_it_is_lost() -> None:
    kept = UnknownGroupBuffer()
    other = TimeoutNow(source=NodeId(3), target=NodeId(2), term=Term(2))
    kept.keep(ONE, message(1), -1)
    pass_ticks(kept, TICKS)
    kept.keep(ONE, message(1), -1)
    kept.keep(ONE, other, -1)
    kept.keep(TWO, message(1), -1)
    kept.forget(NodeId(1))
    assert kept.take(ONE) == [(other, -1)]
    assert kept.take(TWO) == []


def test_their_number_is_bounded_in_a_generation() -> None:
    kept = UnknownGroupBuffer()
    for number in range(early._MESSAGES_MAX + 5):
        kept.keep(ONE, message(number), -1)
    assert len(kept.take(ONE)) == early._MESSAGES_MAX
    pass_ticks(kept, TICKS)
    kept.keep(ONE, message(1), -1)
    assert kept.take(ONE) == [(message(1), -1)]


def test_their_bytes_are_bounded() -> None:
    kept = UnknownGroupBuffer()
    large = append(early._BYTES_MAX // 3)
    for _ in range(3):
        kept.keep(ONE, large, -1)
    assert len(kept.take(ONE)) == 2
    # Others cost next to nothing.
    kept.keep(TWO, message(1), -1)
    assert kept.take(TWO) == [(message(1), -1)]
