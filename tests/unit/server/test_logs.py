import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from chronik.server.logs import VALUE_CHARS_MAX, JsonFormatter, TextFormatter, configure, level_number


@pytest.fixture(autouse=True)
def restored_loggers() -> Iterator[None]:
    """Put back what `configure` changes for the whole process."""
    loggers = [logging.getLogger(name) for name in ("chronik", "asyncio", "uvicorn")]
    before = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    raises = logging.raiseExceptions
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
    logging.raiseExceptions = raises


def text_of(event: str, level: int = logging.INFO, **values: object) -> str:
    return TextFormatter().format(_record(event, level, values))


def json_of(event: str, level: int = logging.INFO, **values: object) -> dict[str, object]:
    line = JsonFormatter().format(_record(event, level, values))
    assert "\n" not in line
    content: dict[str, object] = json.loads(line)
    return content


def _record(event: str, level: int, values: dict[str, object]) -> logging.LogRecord:
    record = logging.LogRecord("chronik.broker", level, "file.py", 1, event, (), None)
    record.created = 1_769_860_800.123
    vars(record).update(values)
    return record


class TestText:
    def test_a_line_has_time_level_event_and_values(self) -> None:
        line = text_of("partition is offline", partition="orders-0", error="no space left")
        assert line[10] == " "
        assert line[19:] == '.123 INFO  partition is offline partition=orders-0 error="no space left"'

    def test_levels_have_one_width(self) -> None:
        assert " WARNING event" in text_of("event", logging.WARNING)
        assert " ERROR event" in text_of("event", logging.ERROR)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("", '""'),
            ("a b", '"a b"'),
            ('say "no"', '"say \\"no\\""'),
            ("a=b", '"a=b"'),
            ("line\nline", '"line\\nline"'),
            ("\x1b[31mred", '"\\u001b[31mred"'),
            ("back\\slash", '"back\\\\slash"'),
            (None, "None"),
            (17, "17"),
            ("größe", "größe"),
        ],
    )
    def test_values_can_be_read_back(self, value: object, shown: str) -> None:
        assert text_of("event", value=value).endswith(f" event value={shown}")

    def test_an_event_cannot_forge_a_line(self) -> None:
        assert "\n" not in text_of("one\n2026-01-31 12:00:00.123 INFO  two")

    def test_long_values_are_cut(self) -> None:
        assert len(text_of("event", value="x" * 10 * VALUE_CHARS_MAX)) < VALUE_CHARS_MAX + 100

    def test_a_traceback_is_indented_below(self) -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            record = _record("request failed", logging.ERROR, {})
            record.exc_info = sys.exc_info()
        first, *rest = TextFormatter().format(record).splitlines()
        assert first.endswith("request failed")
        assert rest[-1] == "    ValueError: broken"
        assert all(line.startswith("    ") for line in rest)


class TestJson:
    def test_an_object_with_the_values(self) -> None:
        assert json_of("started", node=1, is_ready=True, ratio=0.5, reason=None) == {
            "time": "2026-01-31T12:00:00.123Z",
            "level": "info",
            "logger": "chronik.broker",
            "event": "started",
            "node": 1,
            "is_ready": True,
            "ratio": 0.5,
            "reason": None,
        }

    def test_values_do_not_replace_what_every_line_has(self) -> None:
        record = _record("started", logging.INFO, {"event": "other", "level": "fatal"})
        content = json.loads(JsonFormatter().format(record))
        assert (content["event"], content["level"]) == ("started", "info")

    def test_what_json_has_no_number_for_is_text(self) -> None:
        assert json_of("event", value=float("nan"))["value"] == "nan"
        assert json_of("event", value=float("-inf"))["value"] == "-inf"

    def test_a_traceback_stays_on_the_line(self) -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            record = _record("request failed", logging.ERROR, {})
            record.exc_info = sys.exc_info()
        assert json.loads(JsonFormatter().format(record))["traceback"].endswith("ValueError: broken")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("format_name", ["text", "json"])
class TestNeverRaises:
    @pytest.mark.parametrize("value", [Hostile(), "\ud800", b"\xff", object(), [1, {}], "\x00"])
    def test_strange_values(self, format_name: str, value: object) -> None:
        out = io.StringIO()
        configure(format_name, "info", out)
        logging.getLogger("chronik.test").info("event", extra={"value": value})
        assert out.getvalue().count("\n") == 1
        assert "event" in out.getvalue()
        out.getvalue().encode()

    def test_wrong_arguments(self, format_name: str) -> None:
        out = io.StringIO()
        configure(format_name, "info", out)
        arguments = ("one",)
        logging.getLogger("chronik.test").info("event %d %d", *arguments)
        assert "event" in out.getvalue()

    def test_strange_events(self, format_name: str) -> None:
        out = io.StringIO()
        configure(format_name, "info", out)
        logging.getLogger("chronik.test").info("event \ud800")
        out.getvalue().encode()

    def test_a_stream_that_is_gone(self, format_name: str) -> None:
        out = io.StringIO()
        configure(format_name, "info", out)
        out.close()
        logging.getLogger("chronik.test").error("event")


class TestConfigure:
    def test_the_level_decides(self) -> None:
        out = io.StringIO()
        configure("text", "warning", out)
        logging.getLogger("chronik.test").info("quiet")
        logging.getLogger("chronik.test").warning("loud")
        assert "quiet" not in out.getvalue()
        assert "loud" in out.getvalue()

    def test_again_replaces_the_first(self) -> None:
        first, second = io.StringIO(), io.StringIO()
        configure("text", "info", first)
        configure("text", "info", second)
        logging.getLogger("chronik.test").info("event")
        assert first.getvalue() == ""
        assert second.getvalue().count("event") == 1

    def test_other_packages_are_not_touched(self) -> None:
        before = list(logging.getLogger().handlers)
        configure("text", "debug", io.StringIO())
        assert logging.getLogger().handlers == before

    @pytest.mark.parametrize("level", ["loud", "", "critical", "notset"])
    def test_unknown_levels(self, level: str) -> None:
        with pytest.raises(ValueError, match="none of debug"):
            level_number(level)

    def test_unknown_format(self) -> None:
        with pytest.raises(ValueError, match="none of text, json"):
            configure("xml")
