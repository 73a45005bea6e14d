from pathlib import Path

import pytest
from confluent_kafka import Consumer

from chronik.cli.exit_codes import ExitCode
from chronik.testing import Broker
from tests.integration.cli.command import Command

pytestmark = pytest.mark.integration


@pytest.fixture
def group(chronik: Command, topic: str, tmp_path: Path) -> str:
    """A group that has read ten records of each partition, and that nobody reads for now."""
    lines = tmp_path / "lines"
    lines.write_text("line\n" * 10)
    for partition in range(3):
        chronik.run("produce", topic, "-f", str(lines), "-p", str(partition))
    name = f"group-of-{topic}"
    chronik.run("consume", topic, "--group", name, "--from-beginning", "--no-follow")
    return name


def committed(chronik: Command, group: str) -> list[int]:
    return [row["committed_offset"] for row in chronik.json("group", "describe", group)["partitions"]]


def test_a_group_is_listed_and_described(chronik: Command, group: str, topic: str) -> None:
    assert group in [listed["id"] for listed in chronik.json("group", "list")]
    report = chronik.json("group", "describe", group)
    assert (report["state"], report["lag"], report["members"]) == ("Empty", 0, [])
    assert [row["partition"] for row in report["partitions"]] == [0, 1, 2]
    table = chronik.run("group", "describe", group)
    assert table.splitlines()[-1].split() == [topic, "2", "10", "10", "0", "-", "-"]


def test_a_reset_is_shown_and_only_done_when_asked_for(chronik: Command, group: str, topic: str) -> None:
    words = ["group", "reset-offsets", group, "--topic", topic, "--to-earliest"]
    shown = chronik.run(*words)
    assert shown.splitlines()[-1].split() == [topic, "2", "10", "0"]
    assert "--execute" in chronik.errors
    assert committed(chronik, group) == [10, 10, 10]
    chronik.run(*words, "--execute")
    assert committed(chronik, group) == [0, 0, 0]
    assert chronik.json("group", "describe", group)["lag"] == 30


def test_records_that_were_deleted_are_no_lag(chronik: Command, group: str, topic: str) -> None:
    chronik.run("group", "reset-offsets", group, "--topic", topic, "--to-earliest", "--execute")
    chronik.run("topic", "records", topic, "--delete-before", "8", "--yes")
    report = chronik.json("group", "describe", group)
    assert [row["lag"] for row in report["partitions"]] == [2, 2, 2]
    assert report["lag"] == 6


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (["--to-offset", "4"], [4, 4, 4]),
        (["--shift-by", "-3"], [7, 7, 7]),
        (["--shift-by", "-30"], [0, 0, 0]),
        (["--to-datetime", "2001-01-01"], [0, 0, 0]),
        (["--by-duration", "1h"], [0, 0, 0]),
        (["--to-datetime", "2999-01-01"], [10, 10, 10]),
    ],
)
def test_targets(chronik: Command, group: str, words: list[str], after: list[int]) -> None:
    chronik.run("group", "reset-offsets", group, "--all-topics", *words, "--execute")
    assert committed(chronik, group) == after


def test_some_partitions(chronik: Command, group: str, topic: str) -> None:
    chronik.run("group", "reset-offsets", group, "--topic", f"{topic}:0,2", "--to-earliest", "--execute")
    assert committed(chronik, group) == [0, 10, 0]


def test_a_new_group_can_be_placed(chronik: Command, group: str, topic: str) -> None:
    name = f"new-{group}"
    reset = chronik.json("group", "reset-offsets", name, "--topic", topic, "--to-latest", "--execute")
    assert [row["before"] for row in reset["offsets"]] == [None, None, None]
    assert committed(chronik, name) == [10, 10, 10]


def test_which_topics_and_where_to_must_be_said(chronik: Command, group: str, topic: str) -> None:
    chronik.run("group", "reset-offsets", group, "--to-earliest", code=ExitCode.USAGE)
    chronik.run("group", "reset-offsets", group, "--topic", topic, code=ExitCode.USAGE)
    chronik.run("group", "reset-offsets", group, "--topic", f"{topic}:9", "--to-latest", code=ExitCode.FAILED)
    chronik.run("group", "reset-offsets", group, "--topic", f"{topic}:x", "--to-latest", code=ExitCode.USAGE)


def test_a_group_with_running_consumers(chronik: Command, group: str, topic: str, broker: Broker) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "client.id": "reader",
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe([topic])
        while not consumer.assignment():
            consumer.poll(0.1)
        report = chronik.json("group", "describe", group)
        assert report["state"] == "Stable"
        assert {row["client_id"] for row in report["partitions"]} == {"reader"}
        assert len(report["members"][0]["partitions"]) == 3
        assert "reader" in chronik.run("group", "describe", group, "--members")
        reset = ["group", "reset-offsets", group, "--all-topics", "--to-earliest", "--execute"]
        chronik.run(*reset, code=ExitCode.FAILED)
        assert "Stable: its consumers are running" in chronik.errors
        chronik.run("group", "delete", group, code=ExitCode.FAILED)
        assert "NON_EMPTY_GROUP" in chronik.errors
    finally:
        consumer.close()


def test_lag_is_not_known_before_the_first_commit(chronik: Command, topic: str, broker: Broker) -> None:
    name = f"new-{topic}"
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": name, "enable.auto.commit": False}
    )
    try:
        consumer.subscribe([topic])
        while not consumer.assignment():
            consumer.poll(0.1)
        report = chronik.json("group", "describe", name)
        assert (len(report["partitions"]), report["lag"]) == (3, None)
    finally:
        consumer.close()


def test_a_group_is_deleted(chronik: Command, group: str) -> None:
    chronik.run("group", "delete", group)
    chronik.run("group", "describe", group, code=ExitCode.FAILED)
    assert "GROUP_ID_NOT_FOUND" in chronik.errors
    assert group not in [listed["id"] for listed in chronik.json("group", "list")]
