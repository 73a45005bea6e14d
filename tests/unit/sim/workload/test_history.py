"""What clients were told."""

from chronik.sim.workload.history import History, Sent
from chronik.vocab.ids import Offset, TopicPartition

P = TopicPartition("t", 0)


def send(history: History, number: int) -> bytes:
    return history.send(Sent("producer", P, number), "x", 0)


def test_the_end_of_what_was_acknowledged_by_a_time() -> None:
    history = History()
    values = [send(history, number) for number in range(3)]
    history.acknowledge(values[1], Offset(1), 1.0)
    history.acknowledge(values[0], Offset(0), 2.0)
    history.acknowledge(values[2], Offset(5), 3.0)
    assert [history.acknowledged_end(P, at) for at in (0.9, 1.0, 2.5, 3.0, 9.0)] == [0, 2, 2, 6, 6]
    assert history.acknowledged_end(TopicPartition("t", 1), 9.0) == 0


def test_one_record_at_two_offsets_is_a_problem() -> None:
    history = History()
    value = send(history, 0)
    history.acknowledge(value, Offset(4), 1.0)
    history.acknowledge(value, Offset(4), 2.0)
    history.acknowledge(value, None, 3.0)
    assert history.problems == []
    history.acknowledge(value, Offset(5), 4.0)
    assert len(history.problems) == 1


def test_the_highest_commit_is_kept() -> None:
    history = History()
    history.commit("g", P, Offset(3))
    history.commit("g", P, Offset(2))
    assert history.committed == {("g", P): 3}
