"""What a producer reports is written down: each record once, answered or not."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronik.history.events import Send
from chronik.history.files import Recorder, read_events
from tests.chaos.clients.recorded import Either, RecordedWrites


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "history") as made:
        yield made


def written_down(recorder: Recorder, tmp_path: Path) -> list[Send]:
    recorder.__exit__(None, None, None)
    return [event for event in read_events([tmp_path / "history"]) if isinstance(event, Send)]


def test_each_record_is_written_down_once(recorder: Recorder, tmp_path: Path) -> None:
    writes = RecordedWrites("client", "topic", 2, recorder)
    (first, one), (second, other), (third, last) = (writes.next() for _ in range(3))
    writes.on_acknowledged(second, other, 7)
    assert not writes.has_failed.is_set()
    writes.on_failed(first, one, "timed out")
    assert writes.has_failed.is_set()
    writes.give_up(None)
    sends = written_down(recorder, tmp_path)
    assert [(send.place, send.number, send.offset, send.error) for send in sends] == [
        ("topic-1", 0, 7, None),
        ("topic-0", 0, None, "timed out"),
        ("topic-0", 1, None, None),
    ]
    assert (third, last) == (0, b"1")
    assert all(send.sent_at <= send.done_at for send in sends)


def test_a_record_that_is_answered_twice_is_a_bug_of_the_harness(recorder: Recorder) -> None:
    writes = RecordedWrites("client", "topic", 1, recorder)
    partition, value = writes.next()
    writes.on_acknowledged(partition, value, 0)
    with pytest.raises(KeyError):
        writes.on_acknowledged(partition, value, 1)


def test_either_of_two_events() -> None:
    one, other = threading.Event(), threading.Event()
    either = Either(one, other)
    assert not either.is_set()
    assert not either.wait(0.0)
    other.set()
    assert either.is_set()
    assert either.wait(0.0)
    other.clear()
    one.set()
    assert either.wait(3600.0)
