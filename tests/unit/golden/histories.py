"""Histories of clients: files that a run leaves, and that are checked again later."""

from chronik.history.events import (
    UNTOLD,
    Commit,
    Committed,
    Event,
    Look,
    Note,
    Poll,
    Send,
    as_line,
    from_line,
)

from .sample import Sample

PLACE = "orders.eu-3"


def _decode(content: bytes) -> object:
    return from_line(content.decode())


def _sample(name: str, event: Event) -> Sample:
    return Sample(name=f"histories/{name}", value=event, encoded=as_line(event).encode(), decode=_decode)


def _earlier(name: str, event: Event) -> Sample:
    """As it was written before events left out what is as by default."""
    return Sample(name=f"histories/{name}", value=event, encoded=None, decode=_decode)


ACKNOWLEDGED = Send(place=PLACE, number=7, sent_at=1.5, done_at=1.75, offset=3)
POLL = Poll(group="g", began=1.0, ended=2.0, records={PLACE: [(3, 7), (4, 8)], "t-1": [(0, 0)]})

SAMPLES = [
    _sample("Send", ACKNOWLEDGED),
    _sample("Send.failed", Send(place=PLACE, number=8, sent_at=1.5, done_at=1.75, error="timed out")),
    _sample("Send.unanswered", Send(place=PLACE, number=9, sent_at=1.5, done_at=60.0)),
    _sample(
        "Send.untold",
        Send(place=PLACE, number=9, sent_at=1.5, done_at=1.75, offset=UNTOLD, producer="producer-0"),
    ),
    _sample("Poll", POLL),
    _sample("Poll.member", Poll(group="g", began=1.0, ended=2.0, records={PLACE: [(5, 9)]}, member="m")),
    _sample("Commit", Commit(group="g", began=1.0, ended=2.0, offsets={PLACE: 5})),
    _sample(
        "Commit.failed",
        Commit(group="g", began=1.0, ended=2.0, offsets={PLACE: 5}, error="timed out", member="m"),
    ),
    _sample("Committed", Committed(group="g", began=1.0, ended=2.0, offsets={PLACE: -1}, member="m")),
    _sample("Look", Look(began=1.0, ended=2.0, ends={PLACE: 5})),
    _sample("Note", Note(at=1.0, text="a line\nbreak, caf\u00e9")),
    _earlier("Send.0_1", ACKNOWLEDGED),
    _earlier("Poll.0_1", POLL),
]
