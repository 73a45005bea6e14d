import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.vocab.config.topic_names import (
    INTERNAL_TOPICS,
    names_collide,
    topic_name_problem,
    validate_topic_name,
)
from chronik.vocab.errors import ErrorCode, KafkaError


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "...", "-", "0", "x" * 249, "__consumer_offsets"])
def test_kafkas_names_are_names(name: str) -> None:
    assert topic_name_problem(name) is None
    validate_topic_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "the empty string is not allowed"),
        (".", "'.' is not allowed"),
        ("..", "'..' is not allowed"),
        (
            "x y",
            "'x y' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "café",
            "'café' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        ("a/b", "'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
        ("a\n", "'a\n' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
        ("x" * 250, f"the length of '{'x' * 250}' is longer than the max allowed length 249"),
        ("__meta", "'__meta' is reserved for the metadata log"),
    ],
)
def test_other_names_are_refused_in_kafkas_words(name: str, problem: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_topic_name(name)
    assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert caught.value.message == f"Topic name is invalid: {problem}"


@given(st.text(max_size=260))
def test_a_name_that_passes_is_a_file_name(name: str) -> None:
    if topic_name_problem(name) is None:
        assert name.isascii()
        assert "/" not in name
        assert len(f"{name}-2147483647") <= 260


def test_dots_and_underscores_collide() -> None:
    assert names_collide("a.b", "a_b")
    assert not names_collide("a.b", "a-b")


def test_the_metadata_log_is_not_among_the_topics_that_clients_see() -> None:
    assert set(INTERNAL_TOPICS) == {"__consumer_offsets", "__transaction_state"}
