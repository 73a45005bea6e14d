"""The figures and the page of a run."""

import json
from pathlib import Path

import pytest

from chronik.history.check import History
from chronik.history.events import Commit, Event, Look, Poll, Send
from chronik.history.violations import Violation
from tests.chaos.faults import Fault, Kind
from tests.chaos.figures import figures
from tests.chaos.report import page, write_report
from tests.chaos.run import Outcome
from tests.chaos.scene import Befallen

EVENTS: list[Event] = [
    Send(place="topic-0", number=0, sent_at=100.0, done_at=100.5, offset=0),
    Send(place="topic-0", number=1, sent_at=101.0, done_at=104.5, offset=1),
    Send(place="topic-0", number=2, sent_at=105.0, done_at=105.5, error="timed out after 30 s"),
    Poll(group="g", began=100.0, ended=101.0, records={"topic-0": [(0, 0)]}),
    Poll(group="g", began=102.0, ended=103.0, records={"topic-0": [(0, 0), (1, 1)]}),
    Commit(group="g", began=103.0, ended=103.1, offsets={"topic-0": 2}, error="timed out"),
    Look(began=106.0, ended=106.1, ends={"topic-0": 1}),
]


def befallen(kind: Kind, at: float, left_out: str | None = None) -> Befallen:
    fault = Fault(number=0, start=at - 100.0, seconds=1.0, kind=kind, nodes=(3,))
    return Befallen(fault, began=at, ended=at + 1.0, left_out=left_out)


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        seed=7,
        minutes=0.1,
        began=100.0,
        ended=107.0,
        disk="somehow",
        befallen=[
            befallen(Kind.PAUSE, 101.0),
            befallen(Kind.DISK_FULL, 103.0, "it did not run"),
        ],
        healing={"all nodes serve": 1.25},
        history=History.of(EVENTS),
        logs={"topic-0": [(0, 0), (1, 1)]},
        violations=[Violation("loss", "of something")],
    )


def test_figures(outcome: Outcome) -> None:
    found = figures(outcome)
    assert found["producers"] == {"topic": {"sent": 3, "acknowledged": 2, "failed": 1}}
    assert found["failures"] == {"timed out after … s": 1}
    assert found["groups"]["g"] == {
        "given": 3,
        "given_again": 1,
        "commits": 1,
        "commits_failed": 1,
        "committed_asked": 0,
    }
    assert found["looks"] == {"ends": 1, "stale": 1, "stale_seconds_longest": 1.5}
    assert found["violations"] == {"loss": 1}
    pause = found["kinds"]["SIGSTOP"]
    assert (pause["drawn"], pause["carried_out"]) == (1, 1)
    assert pause["pause"] == {"median": 4.0, "longest": 4.0}
    assert pause["pause_of_group"] == {"median": 2.0, "longest": 2.0}
    disk = found["kinds"]["disk full"]
    assert (disk["drawn"], disk["carried_out"], disk["left_out"]) == (1, 0, {"it did not run": 1})
    assert disk["pause"] is None
    assert {kind.value for kind in Kind} == set(found["kinds"])


def test_a_fault_beside_others_is_told_apart(outcome: Outcome) -> None:
    outcome.befallen = [befallen(Kind.PAUSE, 101.0), befallen(Kind.KILL, 103.5)]
    kinds = figures(outcome)["kinds"]
    assert (kinds["SIGSTOP"]["alone"], kinds["SIGSTOP"]["pause"]) == (0, None)
    assert kinds["SIGSTOP"]["pause_beside_others"] == 4.0
    # The one of 101.0 has ended two seconds before.
    outcome.befallen[1] = befallen(Kind.KILL, 104.1)
    kinds = figures(outcome)["kinds"]
    assert (kinds["SIGSTOP"]["alone"], kinds["kill -9, one node"]["alone"]) == (1, 1)
    assert kinds["SIGSTOP"]["pause_beside_others"] is None


def test_the_page_says_what_was_found_and_what_was_left_out(outcome: Outcome) -> None:
    text = "\n".join(page(figures(outcome)))
    assert "**1 violations**" in text
    assert "* loss: of something" in text
    assert "| SIGSTOP | 1 of 1 | 1 | 4.0 | 4.0 | 4.0 | 2.0 | 2.0 |  |" in text
    assert "Left out: disk full, 1 times, because it did not run." in text
    assert "* failed, 1 times: timed out after … s" in text
    assert "--minutes 0.1 --seed 7" in text
    assert "A record that was acknowledged is in the log" in text
    assert "* all nodes serve: after 1.2 s" in text


def test_a_run_without_violations_says_none(outcome: Outcome) -> None:
    outcome.violations.clear()
    lines = list(page(figures(outcome)))
    assert lines[-1] == "* none"


def test_a_report_is_three_files(outcome: Outcome, tmp_path: Path) -> None:
    found = figures(outcome)
    write_report(tmp_path / "new", outcome, found)
    assert json.loads((tmp_path / "new" / "chaos.json").read_text()) == found
    assert (tmp_path / "new" / "chaos.md").read_text().startswith("# Chaos")
    svg = (tmp_path / "new" / "chaos.svg").read_text()
    assert svg.count("<title>") == 1
