import pytest

from chronik.vocab.config.definition import ConfigValue, Validator
from chronik.vocab.config.validators import (
    NotEmpty,
    Range,
    RangeOr,
    ThrottledReplicas,
    at_least,
    between,
    list_of,
    one_of,
)


@pytest.mark.parametrize(
    ("validator", "value", "problem"),
    [
        (at_least(1), 1, None),
        (at_least(1), 0, "Value must be at least 1"),
        (at_least(1), "1", "Value must be a number"),
        (between(0, 1), 1.0, None),
        (between(0, 1), 0, None),
        (between(0, 1), 1.01, "Value must be no more than 1"),
        (between(0, 1), -0.01, "Value must be at least 0"),
        (Range(maximum=3), -100, None),
        (one_of("a", "b"), "b", None),
        (one_of("a", "b"), "A", "String must be one of: a, b"),
        (list_of(), (), None),
        (list_of(may_be_empty=False), (), "List must not be empty"),
        (list_of(), ("x", "x"), "List items must not be duplicated"),
        (list_of(), ("x", ""), "List items must not be empty"),
        (list_of(), "x", "Value must be a list"),
        (list_of("a", "b"), ("b", "a"), None),
        (list_of("a", "b"), ("a", "c"), "String must be one of: a, b"),
        (RangeOr(1, 9, -1), -1, None),
        (RangeOr(1, 9, -1), 9, None),
        (RangeOr(1, 9, -1), 0, "Value must be between 1 and 9 or equal to -1"),
        (ThrottledReplicas(), (), None),
        (ThrottledReplicas(), ("*",), None),
        (ThrottledReplicas(), ("0:1", "12:3"), None),
        (NotEmpty(), "x", None),
        (NotEmpty(), "", "String must be non-empty"),
    ],
)
def test_says_what_is_wrong(validator: Validator, value: ConfigValue, problem: str | None) -> None:
    assert validator.problem(value) == problem


@pytest.mark.parametrize("value", [("*", "0:1"), ("0",), ("a:b",), ("",), "*"])
def test_throttled_replicas_are_pairs_or_all(value: ConfigValue) -> None:
    assert "must be the literal '*'" in (ThrottledReplicas().problem(value) or "")


@pytest.mark.parametrize(
    ("validator", "text"),
    [
        (at_least(1), "[1,...]"),
        (between(0, 1), "[0,...,1]"),
        (Range(maximum=3), "[...,3]"),
        (one_of("a", "b"), "[a, b]"),
        (list_of("a", "b"), "[a, b]"),
        (list_of(), "any items, each once"),
        (list_of(may_be_empty=False), "any items, each once (not empty)"),
        (RangeOr(1, 9, -1), "[1,...,9] or -1"),
        (ThrottledReplicas(), "[partitionId]:[brokerId],[partitionId]:[brokerId],... or *"),
        (NotEmpty(), "non-empty string"),
    ],
)
def test_shows_its_valid_values(validator: Validator, text: str) -> None:
    assert str(validator) == text
