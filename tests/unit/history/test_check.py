"""A history without fault is passed, and each planted violation is found and named."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from chronik.history.check import History, check
from chronik.history.ends import stale_answers
from chronik.history.events import UNTOLD, Commit, Committed, Event, Look, Poll, Records, Send
from chronik.history.violations import Allowances

T = TypeVar("T", Poll, Commit, Committed)

PLACE = "topic-0"
PROMISED = Allowances(stale_seconds_max=15.0)
GROUP = "group"


def send(number: int, offset: int | None, done_at: float | None = None, error: str | None = None) -> Send:
    """Answered a tenth of a second after it was sent, one a second."""
    done = number + 0.1 if done_at is None else done_at
    return Send(place=PLACE, number=number, sent_at=float(number), done_at=done, offset=offset, error=error)


def failed(number: int) -> Send:
    return send(number, None, error="timed out")


def poll(*records: tuple[int, int], at: float = 0.0) -> Poll:
    return Poll(group=GROUP, began=at, ended=at + 0.1, records={PLACE: list(records)})


def commit(offset: int, error: str | None = None) -> Commit:
    return Commit(group=GROUP, began=0.0, ended=0.1, offsets={PLACE: offset}, error=error)


def committed(offset: int) -> Committed:
    return Committed(group=GROUP, began=0.0, ended=0.1, offsets={PLACE: offset})


def look(end: int, began: float, ended: float) -> Look:
    return Look(began=began, ended=ended, ends={PLACE: end})


def one_after_the_other(events: Sequence[Event]) -> Iterator[Event]:
    """What a group's member does takes half a second of each."""
    for at, event in enumerate(events):
        match event:
            case Poll() | Commit() | Committed():
                yield replace(event, began=float(at), ended=at + 0.5)
            case _:
                yield event


def kinds(events: Sequence[Event], records: Records, allowed: Allowances = PROMISED) -> list[str]:
    history = History.of(one_after_the_other(events))
    return [violation.kind for violation in check(history, {PLACE: records}, allowed)]


THREE = [(0, 0), (1, 1), (2, 2)]
SENT = [send(0, 0), send(1, 1), send(2, 2)]


def test_a_clean_history_passes() -> None:
    events: list[Event] = [
        *SENT,
        committed(-1),
        poll((0, 0), (1, 1)),
        commit(2),
        committed(2),
        poll((2, 2)),
        commit(3),
        look(1, 0.5, 0.6),
        look(3, 2.5, 2.6),
    ]
    assert kinds(events, THREE) == []


@pytest.mark.parametrize(
    ("sends", "records", "expected"),
    [
        pytest.param(SENT, THREE[:2], ["loss"], id="the last one lost"),
        pytest.param(SENT, [(0, 0), (1, 2)], ["loss", "moved"], id="one lost from the middle"),
        pytest.param(SENT, [(0, 0), (2, 2)], ["hole", "loss"], id="one lost and a hole left"),
        pytest.param(SENT, [*THREE, (3, 1)], ["duplicate"], id="written twice"),
        pytest.param([*SENT, failed(3)], [*THREE, (3, 3), (4, 3)], ["duplicate"], id="failed and twice"),
        pytest.param(SENT, [(0, 0), (1, 2), (2, 1)], ["moved", "moved", "order"], id="reordered"),
        pytest.param(
            [send(0, 1), send(1, 0)], [(0, 1), (1, 0)], ["order"], id="acknowledged in the wrong order"
        ),
        pytest.param(SENT, [*THREE, (3, 7)], ["phantom"], id="never sent"),
        pytest.param(SENT, [(1, 0), (2, 1), (3, 2)], ["hole", "moved", "moved", "moved"], id="moved"),
        pytest.param([*SENT, failed(3)], THREE, [], id="failed and absent"),
        pytest.param(
            [*SENT, send(3, None, error="OutOfOrderSequenceNumber()")], THREE, ["sequence"], id="a hole told"
        ),
        pytest.param([*SENT, failed(3)], [*THREE, (3, 3)], [], id="failed and present"),
        pytest.param([*SENT, send(3, None)], [*THREE, (3, 3)], [], id="never answered and present"),
        pytest.param([send(0, 0), failed(1), send(2, 1)], [(0, 0), (1, 2), (2, 1)], [], id="failed and late"),
    ],
)
def test_the_log(sends: list[Send], records: Records, expected: list[str]) -> None:
    assert sorted(kinds(sends, records)) == sorted(expected)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([poll(*THREE)], [], id="all at once"),
        pytest.param([poll(*THREE[:2])], ["unread"], id="not all"),
        pytest.param([poll((0, 0)), poll((2, 2)), poll((0, 0), (1, 1))], ["skipped"], id="skipped"),
        pytest.param([poll((0, 0), (2, 2)), poll(*THREE)], ["skipped"], id="skipped within a poll"),
        pytest.param([poll((1, 1), (2, 2)), poll((0, 0))], ["went back"], id="begun too late"),
        pytest.param(
            [poll((0, 0), (1, 7), (2, 2)), poll(*THREE)], ["dirty read"], id="what was never committed"
        ),
        pytest.param([poll(*THREE, (3, 3))], ["dirty read"], id="beyond the end"),
        pytest.param([poll(*THREE), poll(*THREE)], [], id="again from the beginning without a commit"),
        pytest.param([poll((0, 0), (1, 1)), commit(1), poll((1, 1), (2, 2))], [], id="back to the commit"),
        pytest.param(
            [poll((0, 0), (1, 1)), commit(2), poll((1, 1), (2, 2))], ["went back"], id="back before it"
        ),
        pytest.param([poll(*THREE), commit(3), poll(*THREE)], ["went back"], id="commit forgotten"),
        pytest.param(
            [poll(*THREE), commit(1), commit(3, "timed out"), poll((1, 1), (2, 2))],
            [],
            id="failed, not there",
        ),
        pytest.param(
            [poll((0, 0)), commit(1, "timed out"), poll((1, 1), (2, 2)), commit(3), poll((1, 1))],
            [],
            id="failed, and came about later",
        ),
    ],
)
def test_what_a_group_is_given(events: list[Event], expected: list[str]) -> None:
    assert kinds([*SENT, *events], THREE) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([committed(-1), commit(2), committed(2), commit(3), committed(3)], 0, id="as committed"),
        pytest.param([commit(2), commit(3), committed(2)], 1, id="gone back"),
        pytest.param([commit(2), committed(-1)], 1, id="lost"),
        pytest.param([commit(2), committed(3)], 1, id="nobody's"),
        pytest.param([committed(0)], 1, id="from nowhere"),
        pytest.param([commit(2), commit(3, "timed out"), committed(3), committed(2)], 0, id="perhaps"),
    ],
)
def test_committed_offsets(events: list[Event], expected: int) -> None:
    found = kinds([*SENT, poll(*THREE), *events], THREE)
    assert found == ["committed offset"] * expected


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([look(0, 0.05, 0.2)], [], id="asked before the acknowledgement"),
        pytest.param([look(1, 0.05, 0.2)], [], id="committed before it is acknowledged"),
        pytest.param([look(0, 0.15, 0.2)], [], id="of a leader that does not know yet"),
        pytest.param([look(0, 14.0, 14.5)], [], id="and that was paused"),
        pytest.param([look(0, 15.2, 15.3)], ["stale read"], id="asked long after it"),
        pytest.param([look(2, 18.0, 18.1)], ["stale read"], id="the last one is missing"),
        pytest.param([look(2, 17.0, 17.1)], [], id="not for long"),
        pytest.param([look(3, 1.5, 1.6), look(2, 1.7, 1.8)], ["went back"], id="less than told before"),
        pytest.param([look(3, 1.5, 1.9), look(2, 1.7, 1.8)], [], id="at the same time"),
        pytest.param([look(4, 2.5, 2.6)], ["dirty end"], id="beyond the end"),
    ],
)
def test_ends_that_an_onlooker_is_told(looks: list[Look], expected: list[str]) -> None:
    assert kinds([*SENT, poll(*THREE), *looks], THREE) == expected


def test_how_old_answers_are() -> None:
    sends = {PLACE: SENT}
    assert list(stale_answers([look(3, 9.0, 9.1), look(1, 1.05, 9.0)], sends)) == []
    ages = [seconds for _, seconds in stale_answers([look(1, 9.1, 9.2), look(2, 9.1, 9.2)], sends)]
    assert ages == pytest.approx([8.0, 7.0])


def test_each_partition_and_group_is_on_its_own() -> None:
    other = Send(place="other-0", number=0, sent_at=0.0, done_at=0.1, offset=0)
    events: list[Event] = [
        *SENT,
        other,
        poll(*THREE),
        Poll(group=GROUP, began=0.0, ended=0.1, records={"other-0": [(0, 0)]}),
        Poll(group="lazy", began=0.0, ended=0.1, records={"other-0": [(0, 0)]}),
    ]
    violations = list(check(History.of(events), {PLACE: THREE, "other-0": [(0, 0)]}))
    assert [violation.kind for violation in violations] == ["unread"]
    assert "lazy: 3 records of topic-0, from offset 0 on" in str(violations[0])


# What is allowed where less is promised.


def by(producer: str, number: int, offset: int | None) -> Send:
    return Send(place=PLACE, number=number, sent_at=0.0, done_at=1.0, offset=offset, producer=producer)


TWICE = Allowances(repeating=["plain"])
LATE = Allowances(repeating=["plain"], unordered=["plain"])


@pytest.mark.parametrize(
    ("producer", "records", "allowed", "expected"),
    [
        pytest.param("plain", [(0, 0), (1, 1), (2, 0)], TWICE, [], id="sent again"),
        pytest.param("careful", [(0, 0), (1, 1), (2, 0)], TWICE, ["duplicate"], id="not by this one"),
        pytest.param("plain", [(0, 1), (1, 0)], TWICE, ["order"], id="late"),
        pytest.param("plain", [(0, 1), (1, 0)], LATE, [], id="late, which is allowed"),
        pytest.param("careful", [(0, 1), (1, 0)], LATE, ["order"], id="late by this one"),
    ],
)
def test_producers_that_are_not_idempotent(
    producer: str, records: Records, allowed: Allowances, expected: list[str]
) -> None:
    where = {number: offset for offset, number in reversed(records)}
    assert kinds([by(producer, number, where[number]) for number in (0, 1)], records, allowed) == expected


def test_each_producer_has_an_order_of_its_own() -> None:
    sends = [by("one", 0, 1), by("other", 1, 0), by("one", 2, 2)]
    assert kinds(sends, [(0, 1), (1, 0), (2, 2)], PROMISED) == []
    sends = [by("one", 0, 1), by("one", 1, 0), by("other", 2, 2)]
    assert kinds(sends, [(0, 1), (1, 0), (2, 2)], PROMISED) == ["order"]


@pytest.mark.parametrize(
    ("records", "start", "expected"),
    [
        pytest.param([(0, 0), (1, 1), (2, 2)], 0, [], id="there"),
        pytest.param([(0, 0), (1, 2)], 0, ["loss", "moved"], id="not there"),
        pytest.param([(2, 2)], 2, [], id="deleted, perhaps"),
        pytest.param([(1, 0), (2, 2)], 1, ["loss"], id="one before it is there"),
    ],
)
def test_a_record_that_was_acknowledged_without_an_offset(
    records: Records, start: int, expected: list[str]
) -> None:
    sends = [send(0, None if start == 1 else 0), send(1, UNTOLD), send(2, 2)]
    assert kinds(sends, records, Allowances(starts={PLACE: start})) == expected


@pytest.mark.parametrize(
    ("sends", "records", "expected"),
    [
        pytest.param(SENT, [(2, 2)], [], id="as deleted"),
        pytest.param(SENT, [(3, 2)], ["hole", "moved"], id="a hole"),
        pytest.param([send(0, 2), send(1, 0), send(2, 3)], [(2, 0), (3, 2)], ["order"], id="out of order"),
    ],
)
def test_a_log_whose_beginning_was_deleted(sends: list[Send], records: Records, expected: list[str]) -> None:
    assert kinds(sends, records, Allowances(starts={PLACE: 2})) == expected


def test_a_member_may_be_given_what_was_deleted_later_or_pass_over_it() -> None:
    allowed = Allowances(starts={PLACE: 2})
    assert kinds([*SENT, poll((0, 0)), poll((2, 2))], THREE[2:], allowed) == []
    assert kinds([*SENT, poll(*THREE)], THREE[2:], allowed) == []
    left = [(2, 2), (3, 3)]
    assert kinds([*SENT, send(3, 3), poll((0, 0)), poll((3, 3)), poll(*left)], left, allowed) == ["skipped"]


@pytest.mark.parametrize(("offset", "expected"), [(1, []), (2, []), (4, ["went back"])])
def test_a_member_that_is_sent_below_the_start_goes_on_there(offset: int, expected: list[str]) -> None:
    sends, left = [*SENT, send(3, 3)], [(2, 2), (3, 3)]
    events: list[Event] = [*sends, poll(*THREE, (3, 3)), commit(offset), poll(*left)]
    assert kinds(events, left, Allowances(starts={PLACE: 2})) == expected


def test_groups_that_commit_by_themselves() -> None:
    allowed = Allowances(committing=[GROUP])
    events: list[Event] = [*SENT, poll((0, 0), (1, 1)), poll((1, 1), (2, 2))]
    assert kinds(events, THREE, allowed) == []
    assert kinds(events, THREE) == ["went back"]
    assert kinds([*SENT, poll((0, 0)), poll((2, 2)), poll((1, 1))], THREE, allowed) == ["skipped"]
    assert kinds([*SENT, poll((1, 1), (2, 2)), poll((0, 0))], THREE, allowed) == ["went back"]


def test_a_group_need_not_have_read_further() -> None:
    assert kinds([*SENT, poll(*THREE[:2])], THREE, Allowances(ends={PLACE: 2})) == []
    assert kinds([*SENT, poll(*THREE[:1])], THREE, Allowances(ends={PLACE: 2})) == ["unread"]


def test_an_onlooker_that_asks_everybody() -> None:
    looks = [look(3, 1.5, 1.6), look(2, 1.7, 1.8), look(4, 2.5, 2.6)]
    assert kinds([*SENT, *looks], THREE, Allowances(asks_everybody=True)) == ["dirty end"]


# Groups of several members.


def of(member: str, event: T, began: float, ended: float) -> T:
    return replace(event, member=member, began=began, ended=ended)


def group_kinds(*events: Event) -> list[str]:
    found = check(History.of([*SENT, *events]), {PLACE: THREE}, Allowances(ends={PLACE: 0}))
    return [violation.kind for violation in found]


def test_of_two_commits_at_the_same_time_either_may_be_the_last() -> None:
    commits = [of("a", commit(2), 0.0, 2.0), of("b", commit(3), 1.0, 3.0)]
    for offset in (2, 3):
        assert group_kinds(*commits, of("c", committed(offset), 4.0, 5.0)) == []
    assert group_kinds(*commits, of("c", committed(1), 4.0, 5.0)) == ["committed offset"]
    assert group_kinds(*commits, of("c", committed(-1), 4.0, 5.0)) == ["committed offset"]


def test_a_commit_that_began_after_another_ended_supersedes_it() -> None:
    commits = [of("a", commit(2), 0.0, 1.0), of("b", commit(3), 2.0, 3.0)]
    assert group_kinds(*commits, of("c", committed(3), 4.0, 5.0)) == []
    assert group_kinds(*commits, of("c", committed(2), 4.0, 5.0)) == ["committed offset"]
    # Asked for while the second was under way.
    for offset in (2, 3):
        assert group_kinds(*commits, of("c", committed(offset), 2.5, 5.0)) == []
    # Nothing is told of before it is done.
    assert group_kinds(*commits, of("c", committed(3), 1.2, 1.5)) == ["committed offset"]


def test_a_member_begins_where_it_was_told_and_goes_on_by_itself() -> None:
    first: list[Event] = [of("a", poll((0, 0)), 0.0, 0.1), of("a", commit(1), 0.2, 0.3)]
    told = of("b", committed(1), 0.4, 0.5)
    # Meanwhile the other one went on.
    other: list[Event] = [of("a", poll((1, 1)), 0.6, 0.7), of("a", commit(2), 0.8, 0.9)]
    late = of("b", poll((1, 1), (2, 2)), 1.0, 1.1)
    assert group_kinds(*first, told, *other, late) == []
    assert group_kinds(*first, told, of("b", poll((2, 2)), 1.0, 1.1)) == ["skipped"]
    assert group_kinds(*first, *other, late) == ["went back"]
    assert group_kinds(*first, told, *other, late, replace(late, began=2.0, ended=2.1)) == ["went back"]
