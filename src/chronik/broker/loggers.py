"""Log levels as configuration: the resource BROKER_LOGGER, which lives in this process and not in the
metadata log (KIP-412).
"""

import logging

from chronik.vocab.errors import ErrorCode, KafkaError

# All of our loggers are below it; it is the root that clients see, also by the name that Kafka's has.
ROOT = "chronik"
_KAFKAS_ROOT = "root"

# Kafka's levels, in its order of severity.
_LEVELS = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def logger_levels() -> dict[str, str]:
    """Each logger that exists, and the level it works at."""
    names = [ROOT, *(name for name in logging.root.manager.loggerDict if name.startswith(f"{ROOT}."))]
    levels = {name: _level_name(logging.getLogger(name).getEffectiveLevel()) for name in sorted(names)}
    return {**levels, _KAFKAS_ROOT: levels[ROOT]}


def is_root(name: str) -> bool:
    return name in (ROOT, _KAFKAS_ROOT)


def _level_name(level: int) -> str:
    """The most severe of Kafka's levels that is not above `level`."""
    return next((name for name, number in reversed(_LEVELS.items()) if number <= level), "TRACE")


def check_level(name: str, level: str) -> None:
    """Raise KafkaError INVALID_CONFIG unless logger `name` can have `level`."""
    check_logger(name)
    if level not in _LEVELS:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {name} to {level} as it is not a supported log level. "
            f"Valid log levels are {', '.join(sorted(_LEVELS))}",
        )


def check_logger(name: str) -> None:
    """Raise KafkaError INVALID_CONFIG unless there is such a logger."""
    if not is_root(name) and not (
        name.startswith(f"{ROOT}.") and isinstance(logging.root.manager.loggerDict.get(name), logging.Logger)
    ):
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")


def set_level(name: str, level: str) -> None:
    """Let a logger, and those below it without a level of their own, work at `level` until the node stops."""
    logging.getLogger(ROOT if is_root(name) else name).setLevel(_LEVELS[level])


def unset_level(name: str) -> None:
    """Let a logger follow the one above it again."""
    logging.getLogger(name).setLevel(logging.NOTSET)
