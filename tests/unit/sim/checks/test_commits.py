"""What two replicas show to be committed must be the same."""

from types import SimpleNamespace
from typing import Any

from chronik.sim.checks.commits import CommitCheck, _Committed, _Reference
from chronik.sim.checks.problems import Problems
from chronik.sim.trace import Trace
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId

TOPIC = TopicId(bytes(16))


def batch(end: int, epoch: int = 1, checksum: int = 0) -> _Committed:
    return _Committed(Offset(end), epoch, checksum)


def test_the_same_again_is_no_contradiction() -> None:
    reference = _Reference()
    for _ in range(2):
        assert reference.contradiction(Offset(0), batch(3)) is None
        assert reference.contradiction(Offset(3), batch(5, epoch=2)) is None
    assert reference.by_epoch == {1: 3, 2: 5}


def test_other_bytes_other_epochs_and_other_ends_are() -> None:
    for other in (batch(3, checksum=1), batch(3, epoch=2), batch(4)):
        reference = _Reference()
        assert reference.contradiction(Offset(0), batch(3)) is None
        assert reference.contradiction(Offset(0), other) is not None


def test_batches_that_overlap_are() -> None:
    reference = _Reference()
    assert reference.contradiction(Offset(10), batch(20)) is None
    assert reference.contradiction(Offset(15), batch(25)) is not None
    assert reference.contradiction(Offset(5), batch(11)) is not None


def test_what_was_gone_before_anybody_looked_may_be_shown_later() -> None:
    reference = _Reference()
    assert reference.contradiction(Offset(0), batch(10)) is None
    assert reference.contradiction(Offset(20), batch(30)) is None
    assert reference.contradiction(Offset(10), batch(20)) is None


def test_two_leaders_of_one_epoch() -> None:
    problems = Problems(Trace(lambda: 0.0))
    check = CommitCheck(problems)
    check.on_leader(TOPIC, 0, NodeId(1), LeaderEpoch(1))
    check.on_leader(TOPIC, 0, NodeId(1), LeaderEpoch(1))
    check.on_leader(TOPIC, 0, NodeId(2), LeaderEpoch(2))
    check.on_leader(TOPIC, 1, NodeId(2), LeaderEpoch(1))
    assert problems.found == []
    check.on_leader(TOPIC, 0, NodeId(3), LeaderEpoch(2))
    assert len(problems.found) == 1


def test_a_leader_that_commits_what_others_left_with_nothing_of_its_own() -> None:
    problems = Problems(Trace(lambda: 0.0))
    check = CommitCheck(problems)

    def look(high_watermark: int, epoch: int, *, is_own_term_committed: bool) -> None:
        name = SimpleNamespace(partition=0)
        partition: Any = SimpleNamespace(
            topic_id=TOPIC,
            name=name,
            high_watermark=high_watermark,
            leader_epoch=epoch,
            is_own_term_committed=is_own_term_committed,
        )
        check._check_restraint("node 1, t-0", partition)

    look(5, 1, is_own_term_committed=False)
    look(9, 1, is_own_term_committed=True)
    look(9, 2, is_own_term_committed=False)
    look(9, 2, is_own_term_committed=False)
    assert problems.found == []
    look(10, 2, is_own_term_committed=False)
    assert len(problems.found) == 1
