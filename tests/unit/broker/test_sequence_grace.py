"""When a producer is told that its sequence numbers have a hole."""

from chronik.broker.sequence_grace import DOUBT_MS, SequenceGrace
from chronik.vocab.errors import ErrorCode, KafkaError

HOLE = KafkaError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "a hole")


def test_a_hole_is_told_when_an_old_leader_would_have_noticed() -> None:
    doubts = SequenceGrace()
    for now_ms in (5_000, 5_000 + DOUBT_MS - 1):
        assert doubts.judge(7, HOLE, now_ms).code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert doubts.judge(7, HOLE, 5_000 + DOUBT_MS) is HOLE


def test_each_producer_is_doubted_by_itself_and_anew_under_another_leader() -> None:
    doubts = SequenceGrace()
    doubts.judge(7, HOLE, 0)
    assert doubts.judge(8, HOLE, DOUBT_MS).code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    doubts.clear()
    assert doubts.judge(7, HOLE, DOUBT_MS).code is ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_many_producers_are_bounded() -> None:
    doubts = SequenceGrace()
    for producer in range(5_000):
        doubts.judge(producer, HOLE, 0)
    assert len(doubts._since_ms) <= 1_000
