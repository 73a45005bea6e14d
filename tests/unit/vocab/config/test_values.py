from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, Importance
from chronik.vocab.config.validators import at_least
from chronik.vocab.config.values import format_value, parse_value
from chronik.vocab.errors import ErrorCode, KafkaError


def define(type: ConfigType, **fields: Any) -> ConfigDefinition:
    return ConfigDefinition(
        name="x.y", type=type, default=None, importance=Importance.LOW, documentation="", **fields
    )


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (ConfigType.BOOLEAN, " True ", True),
        (ConfigType.BOOLEAN, "FALSE", False),
        (ConfigType.INT, " -2147483648 ", -(2**31)),
        (ConfigType.INT, "+7", 7),
        (ConfigType.INT, "007", 7),
        (ConfigType.SHORT, "32767", 32767),
        (ConfigType.LONG, "9223372036854775807", 2**63 - 1),
        (ConfigType.LONG, "-9223372036854775808", -(2**63)),
        (ConfigType.DOUBLE, "0.5", 0.5),
        (ConfigType.DOUBLE, "1", 1.0),
        (ConfigType.DOUBLE, ".5", 0.5),
        (ConfigType.DOUBLE, "5.", 5.0),
        (ConfigType.DOUBLE, "1.7976931348623157E308", 1.7976931348623157e308),
        (ConfigType.LIST, "", ()),
        (ConfigType.LIST, "  ", ()),
        (ConfigType.LIST, " a ,b, c ", ("a", "b", "c")),
        (ConfigType.LIST, "a,,b", ("a", "", "b")),
        (ConfigType.STRING, " padded ", "padded"),
        (ConfigType.CLASS, "org.example.Policy", "org.example.Policy"),
        (ConfigType.PASSWORD, " secret", "secret"),
    ],
)
def test_parses_as_kafka_does(type: ConfigType, text: str, value: ConfigValue) -> None:
    parsed = parse_value(define(type), text)
    assert parsed == value
    assert parsed.__class__ is value.__class__


@pytest.mark.parametrize(
    ("type", "text", "message"),
    [
        (
            ConfigType.BOOLEAN,
            "yes",
            "Invalid value yes for configuration x.y: Expected value to be either true or false",
        ),
        (ConfigType.INT, "1.5", "Invalid value 1.5 for configuration x.y: Not a number of type INT"),
        (ConfigType.INT, "", "Invalid value  for configuration x.y: Not a number of type INT"),
        (ConfigType.INT, "1_000", "Invalid value 1_000 for configuration x.y: Not a number of type INT"),
        (ConfigType.INT, "٣", "Invalid value ٣ for configuration x.y: Not a number of type INT"),
        (
            ConfigType.INT,
            "2147483648",
            "Invalid value 2147483648 for configuration x.y: Not a number of type INT",
        ),
        (
            ConfigType.SHORT,
            "-32769",
            "Invalid value -32769 for configuration x.y: Not a number of type SHORT",
        ),
        (
            ConfigType.LONG,
            "9223372036854775808",
            "Invalid value 9223372036854775808 for configuration x.y: Not a number of type LONG",
        ),
        (ConfigType.DOUBLE, "nan", "Invalid value nan for configuration x.y: Not a number of type DOUBLE"),
        (
            ConfigType.DOUBLE,
            "1e400",
            "Invalid value 1e400 for configuration x.y: Not a number of type DOUBLE",
        ),
        (ConfigType.DOUBLE, ".", "Invalid value . for configuration x.y: Not a number of type DOUBLE"),
    ],
)
def test_refuses_in_kafkas_words(type: ConfigType, text: str, message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        parse_value(define(type), text)
    assert caught.value.code is ErrorCode.INVALID_CONFIG
    assert caught.value.message == message


def test_a_very_long_number_is_refused_without_being_read() -> None:
    # int() of a million digits takes seconds, and raises ValueError above its own limit.
    with pytest.raises(KafkaError) as caught:
        parse_value(define(ConfigType.LONG), "9" * 1_000_000)
    assert len(caught.value.message or "") < 300


def test_a_broken_rule_is_said_after_the_name() -> None:
    with pytest.raises(
        KafkaError, match=r"^Invalid value -1 for configuration x\.y: Value must be at least 0$"
    ):
        parse_value(define(ConfigType.INT, validator=at_least(0)), "-1")


def test_a_password_is_not_shown_in_its_error() -> None:
    with pytest.raises(KafkaError) as caught:
        parse_value(define(ConfigType.PASSWORD, validator=at_least(0)), "secret")
    assert "secret" not in (caught.value.message or "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        ((), ""),
        (("a", "b"), "a,b"),
        ("text", "text"),
        # As Double.toString prints them.
        (0.0, "0.0"),
        (0.5, "0.5"),
        (1.0, "1.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (-1.25e10, "-1.25E10"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
    ],
)
def test_prints_as_kafka_does(value: ConfigValue | None, text: str | None) -> None:
    assert format_value(value) == text


items = st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters=","), min_size=1)
values = st.one_of(
    st.tuples(st.just(ConfigType.BOOLEAN), st.booleans()),
    st.tuples(st.just(ConfigType.SHORT), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just(ConfigType.INT), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(ConfigType.LONG), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(ConfigType.DOUBLE), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(ConfigType.LIST), st.lists(items).map(tuple)),
    st.tuples(st.just(ConfigType.STRING), st.text().map(str.strip)),
)


@given(values)
def test_what_is_printed_is_parsed_back(typed: tuple[ConfigType, ConfigValue]) -> None:
    type, value = typed
    text = format_value(value)
    assert text is not None
    assert parse_value(define(type), text) == value


def outcome(type: ConfigType, text: str) -> ConfigValue | KafkaError:
    try:
        return parse_value(define(type), text)
    except KafkaError as error:
        return error


@given(st.sampled_from(list(ConfigType)), st.text())
def test_any_text_is_a_value_or_a_kafka_error(type: ConfigType, text: str) -> None:
    value = outcome(type, text)
    if isinstance(value, KafkaError):
        assert value.code is ErrorCode.INVALID_CONFIG
    else:
        assert outcome(type, format_value(value) or "") == value
