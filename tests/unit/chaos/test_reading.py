"""The member of a group as it is written down."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chronik.history.events import Commit, Event, Note, Poll
from chronik.history.files import Recorder, read_events
from tests.chaos.clients.member import Given, MemberFailed, Offsets
from tests.chaos.clients.reading import Reader

# A poll in which the member is assigned its partitions again.
REBALANCED: Sequence[Given] = [("t", 1, 0, 0)]


class FakeMember:
    """Gives what it was made with, one poll after the other; fails where that says so."""

    def __init__(self, polls: Sequence[Sequence[Given] | MemberFailed]) -> None:
        self._polls = list(polls)
        self.commits: list[dict[tuple[str, int], int]] = []
        self.fails_commits = False
        self.assignments = 0

    def poll(self) -> Sequence[Given]:
        given = self._polls.pop(0)
        if given is REBALANCED:
            self.assignments += 1
            self.fails_commits = False
        if isinstance(given, MemberFailed):
            raise given
        return given

    def commit(self, offsets: Offsets) -> None:
        if self.fails_commits:
            raise MemberFailed("timed out")
        self.commits.append(dict(offsets))

    def committed(self) -> dict[str, int]:
        return {"t-0": -1}

    def close(self) -> None: ...


def played(path: Path, member: FakeMember, *, steps: int) -> tuple[Reader, list[Event]]:
    with Recorder(path) as recorder:
        reader = Reader(member, "g", recorder)
        for _ in range(steps):
            reader.step()
    return reader, list(read_events([path]))


def test_what_was_given_is_committed_and_written_down(tmp_path: Path) -> None:
    member = FakeMember([[("t", 0, 4, 40), ("t", 1, 0, 0), ("t", 0, 5, 50)]])
    reader, events = played(tmp_path / "history", member, steps=1)
    (poll,) = [event for event in events if isinstance(event, Poll)]
    assert poll.records == {"t-0": [(4, 40), (5, 50)], "t-1": [(0, 0)]}
    (commit,) = [event for event in events if isinstance(event, Commit)]
    assert (commit.offsets, commit.error) == ({"t-0": 6, "t-1": 1}, None)
    assert member.commits == [{("t", 0): 6, ("t", 1): 1}]
    assert reader.has_reached({"t-0": 6, "t-1": 1})
    assert not reader.has_reached({"t-0": 7, "t-1": 1})
    assert not reader.has_reached({"t-0": 6, "t-2": 1})


def test_what_was_not_committed_is_not_reached(tmp_path: Path) -> None:
    member = FakeMember([[("t", 0, 0, 0)]])
    member.fails_commits = True
    reader, events = played(tmp_path / "history", member, steps=1)
    (commit,) = [event for event in events if isinstance(event, Commit)]
    assert (commit.offsets, commit.error) == ({"t-0": 1}, "timed out")
    assert not reader.has_reached({"t-0": 1})


@pytest.mark.parametrize("given", [[], MemberFailed("no leader")], ids=["nothing", "a failure"])
def test_a_poll_without_records_commits_nothing(
    tmp_path: Path, given: Sequence[Given] | MemberFailed
) -> None:
    member = FakeMember([given])
    _, events = played(tmp_path / "history", member, steps=1)
    assert member.commits == []
    assert not any(isinstance(event, Poll) for event in events)
    assert [isinstance(event, Note) for event in events][:1] == [isinstance(given, MemberFailed)]


def test_what_was_given_before_a_new_assignment_is_not_committed_after_it(tmp_path: Path) -> None:
    """The member may already have been told where to begin: before what it did not commit in time."""
    member = FakeMember([[("t", 0, 0, 0)], REBALANCED])
    member.fails_commits = True
    with Recorder(tmp_path / "history") as recorder:
        reader = Reader(member, "g", recorder, commit_seconds=0.0)
        reader.step()
        assert member.commits == []
        reader.step()
    assert member.commits == [{("t", 1): 1}]
    assert reader.has_reached({"t-1": 1})
    assert not reader.has_reached({"t-0": 1})
