import secrets
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from tests.integration.cli.command import Command

pytestmark = pytest.mark.integration


def fresh_name() -> str:
    return f"orders-{secrets.token_hex(4)}"


def test_a_topic_from_its_creation_to_its_end(chronik: Command) -> None:
    name = fresh_name()
    created = chronik.run("topic", "create", name, "-p", "2", "-c", "retention.ms=60000")
    assert created == f"Topic {name} created: 2 partitions.\n"
    assert name in [topic["name"] for topic in chronik.json("topic", "list")]
    described = chronik.json("topic", "describe", name)
    assert described["config"] == {"retention.ms": "60000"}
    assert [partition["end_offset"] for partition in described["partitions"]] == [0, 0]
    chronik.run(
        "topic", "alter", name, "-p", "4", "-c", "segment.bytes=1048576", "--delete-config", "retention.ms"
    )
    described = chronik.json("topic", "describe", name)
    assert described["config"] == {"segment.bytes": "1048576"}
    assert len(described["partitions"]) == 4
    chronik.run("topic", "delete", name)
    assert name not in [topic["name"] for topic in chronik.json("topic", "list")]


def test_a_topic_that_is_there_already(chronik: Command, topic: str) -> None:
    chronik.run("topic", "create", topic, code=ExitCode.FAILED)
    assert "TOPIC_ALREADY_EXISTS" in chronik.errors
    assert "was there already: 3 partitions" in chronik.run("topic", "create", topic, "--if-not-exists")


def test_a_topic_that_is_not_there(chronik: Command) -> None:
    for words in (["describe"], ["delete"], ["records"], ["alter", "-p", "2"]):
        chronik.run("topic", words[0], "missing", *words[1:], code=ExitCode.FAILED)
        assert "UNKNOWN_TOPIC_OR_PARTITION" in chronik.errors
        assert "chronik topic list" in chronik.errors


def test_settings_that_are_none(chronik: Command) -> None:
    chronik.run("topic", "create", fresh_name(), "-c", "no.such=1", code=ExitCode.FAILED)
    assert "no.such" in chronik.errors
    chronik.run("topic", "create", fresh_name(), "-c", "nonsense", code=ExitCode.USAGE)
    assert "NAME=VALUE" in chronik.errors


def test_a_setting_that_is_none_is_not_deleted(chronik: Command, topic: str) -> None:
    """A broker answers that it is done: nothing of that name is set then."""
    chronik.run("topic", "alter", topic, "--delete-config", "no.such", code=ExitCode.FAILED)
    assert f"topic {topic} has no setting no.such" in chronik.errors
    chronik.run(
        "config", "alter", "topic", topic, "-d", "retention.ms", "-d", "no.such", code=ExitCode.FAILED
    )
    assert "no.such" in chronik.errors
    chronik.run("config", "alter", "broker", "-d", "no.such", code=ExitCode.FAILED)
    assert "all brokers has no setting no.such" in chronik.errors
    chronik.run("config", "alter", "broker", "-d", "log.retention.ms")
    chronik.run("config", "alter", "topic", topic, "-d", "retention.ms")


def test_tables(chronik: Command, topic: str) -> None:
    listed = chronik.run("topic", "list").splitlines()
    assert listed[0].split() == ["Topic", "Partitions", "Replicas", "Leaders", "Topic", "id"]
    assert any(line.split()[:4] == [topic, "3", "1", "all"] for line in listed)
    described = chronik.run("topic", "describe", topic)
    assert "all by default" in described
    assert described.splitlines()[-1].split()[:2] == ["2", "1"]


def test_internal_topics_are_shown_when_asked_for(chronik: Command, topic: str) -> None:
    chronik.run("consume", topic, "--group", "any", "--from-beginning", "--no-follow")
    shown = {found["name"] for found in chronik.json("topic", "list")}
    all_shown = {found["name"] for found in chronik.json("topic", "list", "--internal")}
    assert "__consumer_offsets" not in shown
    assert "__consumer_offsets" in all_shown


def test_records_are_counted_and_deleted(chronik: Command, topic: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"line {number}\n" for number in range(10)))
    chronik.run("produce", topic, "--file", str(lines), "--partition", "1")
    counted = chronik.json("topic", "records", topic, "--partition", "1")
    assert counted == [{"partition": 1, "start_offset": 0, "end_offset": 10, "offsets": 10}]
    counted = chronik.json("topic", "records", topic, "--delete-before", "4")
    assert [row["start_offset"] for row in counted] == [0, 4, 0]
    counted = chronik.json("topic", "records", topic, "--delete-all")
    assert [row["offsets"] for row in counted] == [0, 0, 0]
    chronik.run("topic", "records", topic, "--partition", "3", code=ExitCode.FAILED)
    assert "partitions 0 to 2" in chronik.errors
