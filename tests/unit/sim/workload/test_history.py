"""The actions of clients and their answers, in the form of the check."""

from chronik.history.events import UNTOLD, Commit, Committed, Poll, Send
from chronik.sim.workload.history import History, Kept, Sent
from chronik.vocab.ids import Offset, TopicPartition

P = TopicPartition("t", 0)


def send(history: History, number: int, producer: str = "producer") -> bytes:
    return history.send(Sent(producer, P, number), "x", 1_000)


def test_records_are_numbered_by_partition_whoever_sent_them() -> None:
    history = History()
    values = [send(history, 0), send(history, 0, "other"), send(history, 1)]
    history.acknowledge(values[0], Offset(7), 1.0)
    history.acknowledge(values[2], None, 2.0)
    sends = [event for event in history.events() if isinstance(event, Send)]
    assert [(each.place, each.producer, each.number, each.offset) for each in sends] == [
        ("t-0", "producer", 0, 7),
        ("t-0", "other", 1, None),
        ("t-0", "producer", 2, UNTOLD),
    ]
    assert history.number_at("t-0", 4, values[1]) == 1
    assert history.number_at("t-1", 4, values[1]) == -5
    assert history.number_at("t-0", 4, b"nobody's") == -5


def test_one_record_at_two_offsets_is_a_problem() -> None:
    history = History()
    value = send(history, 0)
    history.acknowledge(value, Offset(4), 1.0)
    history.acknowledge(value, Offset(4), 2.0)
    history.acknowledge(value, None, 3.0)
    assert history.problems == []
    history.acknowledge(value, Offset(5), 4.0)
    assert len(history.problems) == 1
    assert history.kept(P) == [Kept(Offset(4), 1_000, value)]


def test_what_a_group_was_told() -> None:
    history = History()
    values = [send(history, number) for number in range(3)]
    history.committed("g", {P: -1}, member="m", began=0.0, ended=0.1)
    history.consume("g", P, [], member="m", began=0.2, ended=0.3)
    history.consume("g", P, [(Offset(4), values[0]), (Offset(5), b"?")], member="m", began=0.2, ended=0.3)
    history.commit("g", {P: Offset(6)}, member="m", began=0.4, ended=0.5, error="REQUEST_TIMED_OUT")
    assert history.told == [
        Committed(group="g", member="m", began=0.0, ended=0.1, offsets={"t-0": -1}),
        Poll(group="g", member="m", began=0.2, ended=0.3, records={"t-0": [(4, 0), (5, -6)]}),
        Commit(group="g", member="m", began=0.4, ended=0.5, offsets={"t-0": 6}, error="REQUEST_TIMED_OUT"),
    ]
    assert history.consumed == 2


def test_what_a_group_has_not_read() -> None:
    history = History()
    values = [send(history, number) for number in range(3)]
    for number in range(2):
        history.acknowledge(values[number], Offset(number), 1.0)
    history.consume("g", P, [(Offset(0), values[0])], member="m", began=0.2, ended=0.3)
    assert history.unread("g", [P]) == [Sent("producer", P, 1)]
    assert len(history.unread("other", [P])) == 2
    assert history.unread("g", [TopicPartition("t", 1)]) == []
