import re

import pytest

from chronik.cli.units import (
    format_bytes,
    format_time,
    format_utc,
    parse_assignment,
    parse_duration_ms,
    parse_time_ms,
    plain_bytes,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_bytes(count: int | None, text: str) -> None:
    assert format_bytes(count) == text


def test_time_is_local_and_has_milliseconds() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.007", format_time(1_700_000_000_007))


@pytest.mark.parametrize(("timestamp", "text"), [(-1, "-"), (2**62, str(2**62))])
def test_times_that_are_none(timestamp: int, text: str) -> None:
    assert format_time(timestamp) == text


def test_utc() -> None:
    assert format_utc(1_700_000_000_007) == "2023-11-14T22:13:20.007+00:00"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500),
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("PT1H30M", 5_400_000),
        ("P1DT1S", 86_401_000),
        ("P1W", 604_800_000),
        ("pt0.5s", 500),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "h", "1x", "1h 30m", "-1h", "P", "PT", "1h30", "PT1H30"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1700000000007", 1_700_000_000_007),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20.007+01:00", 1_700_000_000_007),
    ],
)
def test_times(text: str, ms: int) -> None:
    assert parse_time_ms(text) == ms


def test_a_time_without_zone_is_local() -> None:
    from datetime import datetime

    assert parse_time_ms("2023-11-14T22:13:20") == datetime(2023, 11, 14, 22, 13, 20).timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2023-13-01", "-5", "１２"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time_ms(text)


def test_bytes_are_text_where_they_can_be() -> None:
    assert plain_bytes("größe".encode()) == "größe"
    assert plain_bytes(b"\xff\x00") == {"base64": "/wA="}


def test_assignments() -> None:
    assert parse_assignment("a=b=c") == ("a", "b=c")
    assert parse_assignment(" a =") == ("a", "")
    for text in ("a", "=b", " =b"):
        with pytest.raises(ValueError, match="NAME=VALUE"):
            parse_assignment(text)
