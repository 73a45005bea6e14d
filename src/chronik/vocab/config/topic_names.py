"""Valid topic names (org.apache.kafka.common.internals.Topic)."""

import re

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, METADATA_TOPIC, TRANSACTION_STATE_TOPIC

# 255 characters of a file name, less those for a partition number and a suffix for deletion.
TOPIC_NAME_CHARS_MAX = 249

# Created and written by the broker; clients may read the first two and list them as internal.
INTERNAL_TOPICS = frozenset({CONSUMER_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC})

# The metadata log lives below the data directory under its topic name, so that no other topic may have it.
RESERVED_TOPICS = frozenset({METADATA_TOPIC})

_LEGAL = r"[a-zA-Z0-9._-]+"


def topic_name_problem(name: str) -> str | None:
    """Returns the reason why `name` cannot be a topic's name, in Kafka's words; None when it can."""
    if not name:
        return "the empty string is not allowed"
    if name in (".", ".."):
        return f"'{name}' is not allowed"
    if len(name) > TOPIC_NAME_CHARS_MAX:
        return f"the length of '{name}' is longer than the max allowed length {TOPIC_NAME_CHARS_MAX}"
    if re.fullmatch(_LEGAL, name) is None:
        return f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    if name in RESERVED_TOPICS:
        return f"'{name}' is reserved for the metadata log"
    return None


def validate_topic_name(name: str) -> None:
    """Raises KafkaError INVALID_TOPIC_EXCEPTION unless `name` can be a topic's name."""
    problem = topic_name_problem(name)
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {problem}")


def names_collide(first: str, second: str) -> bool:
    """True if metrics, which cannot distinguish `.` from `_`, would take both for one topic."""
    return first.replace(".", "_") == second.replace(".", "_")
