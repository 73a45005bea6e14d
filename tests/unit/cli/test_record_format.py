import json

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.record_format import json_line, template
from chronik.client.fetching import FetchedRecord


def record(
    key: bytes | None = b"k",
    value: bytes | None = b"v",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    timestamp: int = 1_700_000_000_007,
) -> FetchedRecord:
    return FetchedRecord(
        topic="orders", partition=2, offset=5, timestamp=timestamp, key=key, value=value, headers=headers
    )


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{value}\\n", b"v\n"),
        ("{topic}-{partition}@{offset}", b"orders-2@5"),
        ("{timestamp}\\t{key}={value}", b"1700000000007\tk=v"),
        ("{headers}", b"a=1,b="),
        ("{{{value}}}", b"{v}"),
        ("\\\\n{value}", b"\\nv"),
        ("ends with \\", b"ends with \\"),
        ("", b""),
    ],
)
def test_templates(text: str, printed: bytes) -> None:
    assert template(text)(record(headers=(("a", b"1"), ("b", None)))) == printed


def test_bytes_go_out_as_they_came() -> None:
    assert template("{key}{value}")(record(b"\xff", b"\x00\n")) == b"\xff\x00\n"


def test_nothing_is_printed_for_null() -> None:
    assert template("{key}|{value}")(record(None, None)) == b"|"


@pytest.mark.parametrize("text", ["{nothing}", "{", "{}", "{0}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(Failure) as caught:
        template(text)
    assert caught.value.exit_code is ExitCode.USAGE


def test_json() -> None:
    line = json_line(record(b"\xff", None, (("h", b"1"), ("h", None))))
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "topic": "orders",
        "partition": 2,
        "offset": 5,
        "timestamp": 1_700_000_000_007,
        "time": "2023-11-14T22:13:20.007+00:00",
        "key": {"base64": "/w=="},
        "value": None,
        "headers": [["h", "1"], ["h", None]],
    }


def test_json_of_a_record_without_time() -> None:
    assert json.loads(json_line(record(timestamp=-1)))["time"] is None
