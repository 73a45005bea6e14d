import logging
from collections.abc import Iterator

import pytest

from chronik.broker.loggers import check_level, check_logger, logger_levels, set_level, unset_level
from chronik.vocab.errors import ErrorCode, KafkaError

NAME = "chronik.test_loggers"
BELOW = f"{NAME}.below"


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    logging.getLogger(BELOW)
    logging.getLogger(NAME)
    yield
    logging.getLogger(NAME).setLevel(logging.NOTSET)


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"])
def test_a_level_is_shown_as_it_was_set_and_reaches_below(level: str) -> None:
    set_level(NAME, level)
    levels = logger_levels()
    assert (levels[NAME], levels[BELOW]) == (level, level)
    assert list(levels) == [*sorted(levels.keys() - {"root"}), "root"]
    unset_level(NAME)
    assert logger_levels()[NAME] == logger_levels()["chronik"]


@pytest.mark.parametrize(("number", "level"), [(1, "TRACE"), (15, "DEBUG"), (25, "INFO"), (99, "FATAL")])
def test_a_level_between_kafkas_is_shown_as_the_one_below(number: int, level: str) -> None:
    logging.getLogger(NAME).setLevel(number)
    assert logger_levels()[NAME] == level


def test_only_our_loggers_are_shown() -> None:
    logging.getLogger("chronikle")
    assert all(name in ("chronik", "root") or name.startswith("chronik.") for name in logger_levels())


@pytest.mark.parametrize("name", ["", "asyncio", "chronik.no.such.logger", "chronikle"])
def test_other_loggers_do_not_exist(name: str) -> None:
    with pytest.raises(KafkaError, match="does not exist!") as caught:
        check_logger(name)
    assert caught.value.code is ErrorCode.INVALID_CONFIG


def test_kafkas_levels_are_levels() -> None:
    check_level("chronik", "WARN")
    with pytest.raises(KafkaError, match="not a supported log level"):
        check_level("chronik", "WARNING")


def test_kafkas_root_is_ours() -> None:
    """Kafka's tools set `root`; what is not ours stays as it is."""
    ours, everything = logging.getLogger("chronik").level, logging.getLogger().level
    try:
        check_level("root", "WARN")
        set_level("root", "WARN")
        levels = logger_levels()
        assert (levels["root"], levels["chronik"]) == ("WARN", "WARN")
        assert logging.getLogger().level == everything
    finally:
        logging.getLogger("chronik").setLevel(ours)
