"""Written events are read back."""

from pathlib import Path

import pytest

from chronik.history.events import Commit, Committed, Event, Look, Note, Poll, Send, as_line, from_line
from chronik.history.files import Recorder, read_events

EVENTS: list[Event] = [
    Send(place="t-0", number=7, sent_at=1.5, done_at=1.75, offset=3),
    Send(place="t-0", number=8, sent_at=1.5, done_at=1.75, error="timed out"),
    Poll(group="g", began=1.0, ended=2.0, records={"t-0": [(3, 7), (4, 8)], "t-1": [(0, 0)]}),
    Commit(group="g", began=1.0, ended=2.0, offsets={"t-0": 5}, error=None),
    Committed(group="g", began=1.0, ended=2.0, offsets={"t-0": -1}),
    Look(began=1.0, ended=2.0, ends={"t-0": 5}),
    Note(at=1.0, text="a line\nbreak"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_a_line(event: Event) -> None:
    line = as_line(event)
    assert line.count("\n") == 1
    assert from_line(line) == event


def test_a_file_has_the_events_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "other"]
    for path, events in zip(paths, (EVENTS[:3], EVENTS[3:]), strict=True):
        with Recorder(path) as recorder:
            for event in events:
                recorder.add(event)
    assert list(read_events(paths)) == EVENTS
