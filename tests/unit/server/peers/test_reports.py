"""Lines are said once, and again when they are still true much later."""

import logging

import pytest

from chronik.server.peers.hello import Refusal, Refused
from chronik.server.peers.reports import Reports
from chronik.vocab.ids import NodeId

TWO, THREE = NodeId(2), NodeId(3)
REFUSED = Refused(Refusal.OTHER_CLUSTER, "why, and what to do")


class Stage:
    """Reports on a clock by hand, and what they said."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self.reports = Reports(lambda: self.now)
        self._caplog = caplog

    def said(self) -> list[str]:
        """Since it was last asked."""
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def stage(caplog: pytest.LogCaptureFixture) -> Stage:
    caplog.set_level(logging.INFO)
    return Stage(caplog)


def test_a_peer_that_is_away_is_told_of_once_until_it_was_there(stage: Stage) -> None:
    for _ in range(3):
        stage.reports.unreachable(TWO, "h:1", "refused")
    assert stage.said() == ["could not reach node 2; it is tried again"]
    stage.reports.unreachable(THREE, "h:2", "refused")
    stage.reports.up(TWO, "h:1")
    assert stage.said() == ["could not reach node 3; it is tried again", "node 2 connected"]
    stage.reports.down(TWO, "it closed the connection")
    stage.reports.unreachable(TWO, "h:1", "refused")
    assert stage.said() == ["node 2 disconnected"]


def test_a_refusal_is_repeated_after_a_minute_or_a_connection(stage: Stage) -> None:
    for _ in range(5):
        stage.reports.refused(TWO, REFUSED, "h:1", by_peer=False)
    assert stage.said() == ["peer connection refused: this node refuses: why, and what to do"]
    stage.reports.refused(TWO, REFUSED, "h:1", by_peer=True)
    stage.reports.refused(TWO, Refused(Refusal.ID_IN_USE, "else"), "h:1", by_peer=False)
    assert len(stage.said()) == 2
    stage.now = 59.9
    stage.reports.refused(TWO, REFUSED, "h:1", by_peer=False)
    assert stage.said() == []
    stage.now = 60.0
    stage.reports.refused(TWO, REFUSED, "h:1", by_peer=False)
    assert len(stage.said()) == 1
    stage.reports.up(TWO, "h:1")
    stage.said()
    stage.reports.refused(TWO, REFUSED, "h:1", by_peer=False)
    assert len(stage.said()) == 1


def test_any_number_of_strangers_is_remembered_in_bounds(stage: Stage) -> None:
    for node in range(1000):
        stage.reports.refused(NodeId(node), REFUSED, "h:1", by_peer=False)
    assert len(stage.reports._refusals) == 64


def test_strangers_are_one_line_a_minute(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10):
        stage.reports.stranger("h:1", "a frame of kind 0")
    assert len(stage.said()) == 1
    stage.now = 61.0
    stage.reports.stranger("h:1", "a frame of kind 0")
    (record,) = caplog.records
    assert vars(record)["untold"] == 9
