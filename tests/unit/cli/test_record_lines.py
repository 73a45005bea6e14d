"""The record of a line."""

import pytest

from chronik.cli.record_lines import BadLine, LineRecord, json_lines, text_lines


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b"", (None, b"")),
        (b"a:b", (None, b"a:b")),
        (b"null", (None, None)),
    ],
)
def test_text_is_the_value(line: bytes, record: tuple[bytes | None, bytes | None]) -> None:
    assert text_lines(None, None, "null")(line) == LineRecord(*record)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b"a::b:", (b"a", b":b:")),
        (b"a:null", (b"a", None)),
        (b"null:b", (None, b"b")),
        (b":", (b"", b"")),
    ],
)
def test_a_separator_stands_behind_the_key(line: bytes, record: tuple[bytes | None, bytes | None]) -> None:
    assert text_lines(":", None, "null")(line) == LineRecord(*record)


def test_without_a_marker_nothing_is_null() -> None:
    assert text_lines(":", None, None)(b":null") == LineRecord(b"", b"null")


def test_a_key_for_all() -> None:
    assert text_lines(None, "k", None)(b"v") == LineRecord(b"k", b"v")


def test_text_without_the_separator() -> None:
    with pytest.raises(BadLine, match="no '=>' between key and value: a:b"):
        text_lines("=>", None, None)(b"a:b")


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"value": "v"}', LineRecord(None, b"v")),
        (b'{"key": "k", "value": null}', LineRecord(b"k", None)),
        (b'{"key": {"base64": "/w=="}, "value": ""}', LineRecord(b"\xff", b"")),
        (
            b'{"value": "v", "headers": {"a": "1", "b": null}}',
            LineRecord(None, b"v", (("a", b"1"), ("b", None))),
        ),
        (
            b'{"value": "v", "headers": [["a", "1"], ["a", {"base64": "/w=="}]]}',
            LineRecord(None, b"v", (("a", b"1"), ("a", b"\xff"))),
        ),
        (b'{"value": "v", "timestamp": 5}', LineRecord(None, b"v", (), 5)),
        (
            b'{"topic": "t", "partition": 2, "offset": 7, "timestamp": -1, "time": null, "key": null, '
            b'"value": "v", "headers": []}',
            LineRecord(None, b"v"),
        ),
    ],
)
def test_json(line: bytes, record: LineRecord) -> None:
    assert json_lines(line) == record


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"v", "it is not JSON: v"),
        (b"", "it is not JSON: "),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'["v"]', "it is not an object"),
        (b'{"key": "k"}', "null is a tombstone"),
        (b'{"vlaue": "v"}', "there is no field 'vlaue'; there are headers, key, timestamp, value"),
        (b'{"value": 5}', "'value' is neither text, null nor"),
        (b'{"value": {"base64": "/w==", "x": 1}}', "'value' is neither text, null nor"),
        (b'{"value": {"base64": "no!"}}', "'value' is not base64"),
        (b'{"value": "\\ud800"}', "'value' is no text that UTF-8 has"),
        (b'{"value": "v", "headers": "h"}', '"headers" is neither'),
        (b'{"value": "v", "headers": [["a"]]}', '"headers" is neither'),
        (b'{"value": "v", "headers": {"a": 1}}', "'headers' is neither text"),
        (b'{"value": "v", "timestamp": "now"}', "milliseconds since 1970"),
        (b'{"value": "v", "timestamp": true}', "milliseconds since 1970"),
        (b'{"value": "v", "timestamp": 1e300}', "milliseconds since 1970"),
    ],
)
def test_json_that_is_no_record(line: bytes, said: str) -> None:
    with pytest.raises(BadLine, match=said):
        json_lines(line)
