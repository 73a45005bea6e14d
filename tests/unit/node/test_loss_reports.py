"""Reports to leaders by replicas that lost files."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chronik.node.loss_reports import REPORTED_AT_ONCE_MAX, LossReports, format_report, parse_report
from chronik.raft.group import GroupId
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, TopicId

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
GROUP = GroupId(TopicId(bytes(range(16))), 3)


def group(number: int = 3, **more: Any) -> Any:
    facts = {
        "id": GroupId(GROUP.topic_id, number),
        "losses": 1,
        "is_named": False,
        "known_leader": TWO,
        "directory": "d+1",
        "is_leader": False,
        "members": {ONE, TWO},
    }
    return SimpleNamespace(**{**facts, **more})


class FakeCalls:
    def __init__(self) -> None:
        self.handler: Any = None
        self.sent: list[tuple[NodeId, str, bytes]] = []
        self.answer = asyncio.Event()
        self.error: KafkaError | None = None

    def serve(self, method: str, handler: Any) -> None:
        self.handler = handler

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        self.sent.append((node, method, request))
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return b""


class Room:
    def __init__(self, *groups: Any) -> None:
        self.groups = {each.id: each for each in groups}
        host = SimpleNamespace(group=self.groups.get, directory=lambda node: "d")
        self.calls = FakeCalls()
        self.reports = LossReports(ONE, host, self.calls)  # type: ignore[arg-type]

    async def report(self) -> list[tuple[NodeId, str, bytes]]:
        self.reports.report(list(self.groups.values()))
        await asyncio.sleep(0)
        return self.calls.sent


def test_the_bytes_of_a_report() -> None:
    report = format_report({GROUP: "d+1"})
    assert report == (
        b'{"replicas":[{"topic_id":"000102030405060708090a0b0c0d0e0f","partition":3,"directory":"d+1"}]}'
    )
    assert list(parse_report(report)) == [(GROUP, "d+1")]


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"x",
        b"[]",
        b'{"replicas":1}',
        b'{"replicas":[1]}',
        b'{"replicas":[{"topic_id":"zz","partition":0,"directory":"d+1"}]}',
        format_report({GROUP: "without a loss"}),
        format_report({GROUP: "d+x"}),
        format_report({GROUP: "d" * 300 + "+1"}),
    ],
)
def test_what_makes_no_sense_is_left_out(report: bytes) -> None:
    assert list(parse_report(report)) == []


@virtual
async def test_the_leader_is_told_until_it_knows() -> None:
    room = Room(group())
    sent = await room.report()
    assert sent == [(TWO, "replica.files_lost", format_report({GROUP: "d+1"}))]
    # One call at a time.
    assert len(await room.report()) == 1
    room.calls.error = KafkaError(ErrorCode.NETWORK_EXCEPTION, "lost")
    room.calls.answer.set()
    await asyncio.sleep(0.01)
    assert len(await room.report()) == 2
    await asyncio.sleep(0.01)
    room.groups[GROUP].is_named = True
    assert len(await room.report()) == 2


@pytest.mark.parametrize("facts", [{"losses": 0}, {"known_leader": None}, {"known_leader": ONE}])
@virtual
async def test_nothing_is_said_where_there_is_nothing_to_say(facts: dict[str, Any]) -> None:
    assert await Room(group(**facts)).report() == []


@virtual
async def test_each_leader_is_told_of_its_own_and_of_so_many_at_once() -> None:
    many = [group(number) for number in range(REPORTED_AT_ONCE_MAX + 1)]
    room = Room(group(9_999, known_leader=THREE), *many)
    sent = {node: list(parse_report(report)) for node, _, report in await room.report()}
    assert [len(sent[THREE]), len(sent[TWO])] == [1, REPORTED_AT_ONCE_MAX]
    room.reports.close()


@virtual
async def test_a_leader_keeps_what_its_members_say_of_the_directory_they_have() -> None:
    led = group(1, is_leader=True)
    room = Room(led, group(2), group(4, is_leader=True, members={ONE}))
    said = {GroupId(GROUP.topic_id, number): "d+1" for number in (1, 2, 4, 5)}
    await room.calls.handler(TWO, format_report(said))
    assert [room.reports.directory(each, TWO) for each in said] == ["d+1", None, None, None]
    await room.calls.handler(TWO, format_report({led.id: "other+2"}))
    assert room.reports.directory(led.id, TWO) == "d+1"
    await room.calls.handler(TWO, format_report({led.id: "d+2"}))
    assert room.reports.directory(led.id, TWO) == "d+2"
    led.is_leader = False
    room.reports.forget_except([led])
    assert room.reports.is_empty
