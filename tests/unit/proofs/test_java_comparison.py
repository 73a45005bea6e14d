"""The comparison of tools' output with Kafka's: it passes over nothing but what is listed."""

import pytest

from tests.proofs.java import recorded
from tests.proofs.java.compare import compare
from tests.proofs.java.session import Step


def step(command: str, *lines: str) -> Step:
    return Step(command=command, lines=list(lines))


def test_equal_steps_do_not_differ() -> None:
    steps = [step("kafka-topics --list", "a", "b"), step("kafka-topics --delete")]

    assert compare("topics", steps, steps) == []


@pytest.mark.parametrize(
    ("kafka", "chronik", "text"),
    [
        (["a"], ["b"], "-a\n+b"),
        (["a"], [], "-a"),
        ([], ["exit code 1"], "+exit code 1"),
        (["a", "b"], ["b", "a"], "+b\n-b"),
    ],
)
def test_another_line_is_a_difference(kafka: list[str], chronik: list[str], text: str) -> None:
    found = compare("topics", [step("kafka-topics", *kafka)], [step("kafka-topics", *chronik)])

    assert [(each.text, each.reason) for each in found] == [(text, None)]


def test_a_step_that_is_missing_is_a_difference() -> None:
    found = compare(
        "topics",
        [step("kafka-topics --list", "a"), step("kafka-topics --delete")],
        [step("kafka-topics --list", "a")],
    )

    assert [each.reason for each in found] == [None]


@pytest.mark.parametrize(
    ("command", "kafka", "chronik", "is_meant"),
    [
        ("Admin.describeClientQuotas", "{}", "UnsupportedVersionException", True),
        ("Admin.describeClientQuotas", "{}", "NullPointerException", False),
        ("Admin.describeClientQuotas", "{}", "TimeoutException", False),
        ("Admin.describeTopics", "0:elr=[],last=[]", "UnsupportedVersionException", False),
    ],
)
def test_only_what_is_listed_is_meant(command: str, kafka: str, chronik: str, is_meant: bool) -> None:
    (found,) = compare("admin", [step(command, kafka)], [step(command, chronik)])

    assert (found.reason is not None) is is_meant


def test_another_range_of_an_api_is_not_meant() -> None:
    command = "kafka-broker-api-versions"
    kafka = step(command, "Produce(0): 0 to 13 ,", "EndTxn(26): 0 to 5 ,")
    refused = step(command, "Produce(0): 0 to 13 ,", "EndTxn(26): UNSUPPORTED,")
    narrower = step(command, "Produce(0): 0 to 12 ,", "EndTxn(26): UNSUPPORTED,")

    assert [each.reason is not None for each in compare("cluster", [kafka], [refused])] == [True]
    assert [each.reason for each in compare("cluster", [kafka], [narrower])] == [None]


def test_what_is_recorded_is_read_as_it_was_written(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_DIRECTORY", tmp_path)
    steps = [step("kafka-topics --list", "a", "b"), step("kafka-topics --delete"), step("kafka-topics", "c")]
    recorded.write("topics", 3, steps)

    assert recorded.read("topics", 3) == steps
