import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.testing import Broker
from tests.integration.cli.command import Command

pytestmark = pytest.mark.integration


def write_lines(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_come_back(chronik: Command, topic: str, tmp_path: Path, compression: str) -> None:
    lines = [f"line {number}" for number in range(500)]
    file = write_lines(tmp_path / "lines", *lines)
    chronik.run("produce", topic, "-f", file, "-p", "0", "-z", compression)
    assert chronik.errors == f"500 records sent to {topic}\n"
    assert chronik.run("consume", topic, "--from-beginning", "--no-follow").splitlines() == lines


def test_keys_and_headers(chronik: Command, topic: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines", "a:one", "b:two:three", ":")
    chronik.run("produce", topic, "-f", file, "-K", ":", "-H", "from=test", "-H", "x=", "--acks", "1")
    records = chronik.json_lines("consume", topic, "--from-beginning", "--no-follow")
    assert {(record["key"], record["value"]) for record in records} == {
        ("a", "one"),
        ("b", "two:three"),
        ("", ""),
    }
    assert all(record["headers"] == [["from", "test"], ["x", ""]] for record in records)


def test_a_line_without_the_separator(chronik: Command, topic: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines", "no separator")
    chronik.run("produce", topic, "-f", file, "-K", ":", code=ExitCode.FAILED)
    assert "error: line 1: it has no ':' between key and value: no separator\n" in chronik.errors


def test_a_bad_line_is_named_and_what_went_before_it_is_sent(
    chronik: Command, topic: str, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "lines", "a:1", "b:2", "no separator", "c:3")
    chronik.run("produce", topic, "-f", file, "-K", ":", code=ExitCode.FAILED)
    assert "error: line 3: it has no ':'" in chronik.errors
    assert f"2 records sent to {topic}\n" in chronik.errors
    values = chronik.run("consume", topic, "--from-beginning", "--no-follow").split()
    assert sorted(values) == ["1", "2"]


def test_a_line_that_the_broker_refuses_is_named(chronik: Command, topic: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines", "a", "x" * 2_000_000, "b")
    chronik.run("produce", topic, "-f", file, "-p", "0", code=ExitCode.FAILED)
    assert f"error: line 2: cannot produce to {topic}-0: MESSAGE_TOO_LARGE" in chronik.errors
    assert f"1 record sent to {topic}\n" in chronik.errors
    assert chronik.run("consume", topic, "--from-beginning", "--no-follow") == "a\n"


def test_tombstones(chronik: Command, topic: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines", "a:1", "a:NULL")
    chronik.run("produce", topic, "-f", file, "-K", ":", "--null-marker", "NULL")
    records = chronik.json_lines("consume", topic, "--from-beginning", "--no-follow")
    assert [(record["key"], record["value"]) for record in records] == [("a", "1"), ("a", None)]
    shown = chronik.run("consume", topic, "--from-beginning", "--no-follow", "--null-marker", "-")
    assert shown == "1\n-\n"


def test_json_lines_go_in_as_they_came_out(
    chronik: Command, topic: str, broker: Broker, tmp_path: Path
) -> None:
    file = write_lines(
        tmp_path / "lines",
        '{"key": "k", "value": null, "headers": {"a": "1", "b": null}, "timestamp": 1700000000000}',
        '{"key": {"base64": "/w=="}, "value": "v"}',
    )
    chronik.run("produce", topic, "-f", file, "-i", "json", "-p", "0")
    first = chronik.run("consume", topic, "--from-beginning", "--no-follow", "--json")
    copy = f"{topic}-copy"
    broker.create_topic(copy)
    (tmp_path / "copied").write_text(first)
    chronik.run("produce", copy, "-f", str(tmp_path / "copied"), "-i", "json", "--json")
    second = chronik.json_lines("consume", copy, "--from-beginning", "--no-follow")
    expected = [json.loads(line) | {"topic": copy, "partition": 0} for line in first.splitlines()]
    assert second == expected
    assert expected[0]["timestamp"] == 1700000000000
    assert expected[0]["value"] is None


def test_options_for_text_are_none_for_json(chronik: Command, topic: str) -> None:
    chronik.run("produce", topic, "-i", "json", "-K", ":", code=ExitCode.USAGE)
    assert chronik.errors.startswith("error: --key-separator is for lines of text")


def test_a_topic_that_is_not_there(chronik: Command, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines", "line")
    chronik.run("produce", "missing", "-f", file, code=ExitCode.FAILED)
    assert "chronik topic create" in chronik.errors
    chronik.run("consume", "missing", "--no-follow", code=ExitCode.FAILED)
    assert "UNKNOWN_TOPIC_OR_PARTITION" in chronik.errors


def test_where_to_start_and_when_to_end(chronik: Command, topic: str, tmp_path: Path) -> None:
    chronik.run("produce", topic, "-f", write_lines(tmp_path / "lines", *"abcde"), "-p", "1")
    read = ["consume", topic, "-p", "1", "--no-follow"]
    assert chronik.run(*read) == ""
    assert chronik.run(*read, "--offset", "2").split() == ["c", "d", "e"]
    assert chronik.run(*read, "--offset", "-2").split() == ["d", "e"]
    assert chronik.run(*read, "--offset", "earliest", "-n", "2").split() == ["a", "b"]
    assert chronik.run(*read, "--offset", "2001-01-01").split() == list("abcde")
    assert chronik.run(*read, "--offset", "2999-01-01") == ""
    assert chronik.run("consume", topic, "--offset", "earliest", "--timeout", "0.05").split() == list("abcde")
    chronik.run("consume", topic, "-p", "7", code=ExitCode.FAILED)
    assert "partitions 0 to 2" in chronik.errors


def test_a_group_goes_on_where_it_was(chronik: Command, topic: str, tmp_path: Path) -> None:
    chronik.run("produce", topic, "-f", write_lines(tmp_path / "lines", *"abcde"), "-p", "1")
    read = ["consume", topic, "--group", f"group-of-{topic}", "--from-beginning", "--no-follow"]
    assert chronik.run(*read, "-n", "2").split() == ["a", "b"]
    assert chronik.run(*read).split() == ["c", "d", "e"]
    assert chronik.run(*read) == ""


def test_a_template(chronik: Command, topic: str, tmp_path: Path) -> None:
    chronik.run("produce", topic, "-f", write_lines(tmp_path / "lines", "v"), "-p", "2", "-k", "key")
    read = ["consume", topic, "--from-beginning", "--no-follow"]
    assert chronik.run(*read, "-F", "{partition}@{offset} {key}={value}\\n") == "2@0 key=v\n"
    chronik.run(*read, "-F", "{nothing}", code=ExitCode.USAGE)


class TestAsProcesses:
    """What only a terminal or a pipe shows."""

    def start(self, broker: Broker, *words: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"CHRONIK_BOOTSTRAP_SERVER": broker.bootstrap_servers}
        return subprocess.Popen(
            [sys.executable, "-m", "chronik.cli.main", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def test_a_line_is_on_its_way_before_the_next_is_typed(self, broker: Broker, topic: str) -> None:
        producer = self.start(broker, "produce", topic)
        consumer = self.start(broker, "consume", topic, "--from-beginning", "-n", "2")
        assert producer.stdin is not None
        assert consumer.stdout is not None
        producer.stdin.write(b"one\n")
        producer.stdin.flush()
        assert consumer.stdout.readline() == b"one\n"
        producer.communicate(b"two\n", timeout=20)
        assert consumer.communicate(timeout=20)[0] == b"two\n"
        assert (producer.returncode, consumer.returncode) == (0, 0)

    def test_ctrl_c_is_quiet(self, broker: Broker, topic: str, chronik: Command, tmp_path: Path) -> None:
        import signal

        chronik.run("produce", topic, "-f", write_lines(tmp_path / "lines", "one"))
        consumer = self.start(broker, "consume", topic, "--from-beginning", "--group", f"group-of-{topic}")
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"one\n"
        consumer.send_signal(signal.SIGINT)
        assert consumer.communicate(timeout=20) == (b"", b"")
        assert consumer.returncode == ExitCode.INTERRUPTED
        report = chronik.json("group", "describe", f"group-of-{topic}")
        assert sum(row["committed_offset"] for row in report["partitions"]) == 1

    def test_a_reader_that_has_enough(
        self, broker: Broker, topic: str, chronik: Command, tmp_path: Path
    ) -> None:
        lines = write_lines(
            tmp_path / "lines", *(f"a long line, number {number}" for number in range(20_000))
        )
        chronik.run("produce", topic, "-f", lines)
        consumer = self.start(broker, "consume", topic, "--from-beginning", "--no-follow")
        assert consumer.stdout is not None
        assert consumer.stderr is not None
        consumer.stdout.readline()
        consumer.stdout.close()
        consumer.wait(20)
        assert consumer.stderr.read() == b""
        assert consumer.returncode == 0
        consumer.communicate()

    def test_json_lines_are_whole(self, broker: Broker, topic: str) -> None:
        producer = self.start(broker, "produce", topic, "--json")
        assert json.loads(producer.communicate(b"\xff\xfe\n", timeout=20)[0]) == {"topic": topic, "sent": 1}
        consumer = self.start(broker, "consume", topic, "--from-beginning", "--no-follow", "--json")
        record = json.loads(consumer.communicate(timeout=20)[0])
        assert record["value"] == {"base64": "//4="}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["produce", "TOPIC", "-f", "/"], "error: cannot read the lines: Is a directory\n"),
        (["produce", "TOPIC", "-f", "/nowhere"], "error: cannot read /nowhere: No such file or directory\n"),
        (["consume", "TOPIC", "-p", "9"], "error: TOPIC has no partition 9\nIt has partitions 0 to 2.\n"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(
    chronik: Command, topic: str, words: list[str], said: str
) -> None:
    chronik.run(*[topic if word == "TOPIC" else word for word in words], code=ExitCode.FAILED)
    assert chronik.errors.endswith(said.replace("TOPIC", topic))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--offset", "5", "--from-beginning"], "--offset and --from-beginning say different things"),
        (["--group", ""], "--group is empty"),
        (["--format", "{value"], "--format '{value' has a brace without its other one"),
        (["--format", "}"], "--format '}' has a brace without its other one"),
    ],
)
def test_options_of_consume_that_say_nothing(
    chronik: Command, topic: str, words: list[str], said: str
) -> None:
    chronik.run("consume", topic, *words, code=ExitCode.USAGE)
    assert chronik.errors.startswith(f"error: {said}\n")
