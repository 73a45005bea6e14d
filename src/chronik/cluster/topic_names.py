"""Which topic names are legal, and which would be mistaken for another's (Kafka's Topic.java)."""

import re

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC

# A name is a directory's name together with `-` and a partition; with 249 characters it stays below 255, the
# limit of most file systems.
NAME_LENGTH_MAX = 249

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def check_topic_name(name: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION unless a client may have a topic of this name."""
    problem = _problem(name)
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)


def is_legal_topic_name(name: str) -> bool:
    """Whether a client may have a topic of this name."""
    return _problem(name) is None


def collision_key(name: str) -> str | None:
    """Names with equal keys are confused in metrics, where '.' and '_' are the same.

    None: cannot be confused.
    """
    folded = name.replace(".", "_")
    return folded if "_" in folded else None


def _problem(name: str) -> str | None:
    if not name:
        return "Topic name is invalid: it is empty"
    if name in (".", ".."):
        return f"Topic name is invalid: {name!r} is a name of file systems"
    if len(name) > NAME_LENGTH_MAX:
        return f"Topic name is invalid: it has {len(name)} characters, at most {NAME_LENGTH_MAX} are allowed"
    if not _LEGAL.fullmatch(name):
        return f"Topic name {name!r} is invalid: only ASCII letters, digits, '.', '_' and '-' are allowed"
    if name == METADATA_TOPIC:
        return f"Topic name is invalid: {name} is reserved for the cluster's own metadata"
    return None
