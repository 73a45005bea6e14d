"""Errors between a user and a broker, with Kafka's name and the remedy."""

from collections.abc import Sequence
from typing import TypeVar

from chronik.vocab.errors import ErrorCode

T = TypeVar("T")

_HINTS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "`chronik topic list` shows the topics there are, "
    "`chronik topic create` makes one.",
    ErrorCode.TOPIC_ALREADY_EXISTS: "Choose another name; `chronik topic describe` shows what is there.",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "A name has letters, digits, `.`, `_` and `-`, at most 249 of them.",
    ErrorCode.INVALID_PARTITIONS: "Partitions can be added, not removed.",
    ErrorCode.INVALID_REPLICATION_FACTOR: "There must be as many brokers as replicas; "
    "`chronik cluster status` shows the brokers.",
    ErrorCode.INVALID_CONFIG: "`chronik config describe topic NAME --all` shows the settings there are.",
    ErrorCode.OFFSET_OUT_OF_RANGE: "`chronik topic describe` shows the offsets that can be read.",
    ErrorCode.NON_EMPTY_GROUP: "Stop the group's consumers first; `chronik group describe` shows them.",
    ErrorCode.UNKNOWN_MEMBER_ID: "The group's consumers are running and commit for themselves: stop them.",
    ErrorCode.GROUP_ID_NOT_FOUND: "`chronik group list` shows the groups there are.",
    ErrorCode.MESSAGE_TOO_LARGE: "Raise the topic's max.message.bytes, or send smaller records.",
    ErrorCode.KAFKA_STORAGE_ERROR: "The broker's log says what is wrong with its disk.",
    ErrorCode.UNKNOWN_SERVER_ERROR: "The broker's log says what happened.",
    ErrorCode.TOPIC_DELETION_DISABLED: "The broker has delete.topic.enable=false.",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "Ask for access to the topic.",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "Ask for access to the group.",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "Ask for access to the cluster.",
}


class ClientError(Exception):
    """A broker refused, or answered what cannot be used. `name` is Kafka's error name where it has one."""

    def __init__(
        self, message: str, *, name: str = "", hint: str = "", code: ErrorCode | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.name = name
        self.code = code


class Unreachable(ClientError):
    """No answer: nothing listens there, it hung up, or time ran out."""


def error_of(code: int, what: str, message: str | None = None) -> ClientError:
    """The error for a Kafka error code; `what` was tried: "create topic orders"."""
    try:
        known = ErrorCode(code)
    except ValueError:
        return ClientError(f"cannot {what}: error code {code}", name=f"ERROR_{code}")
    detail = f": {message}" if message else ""
    text = f"cannot {what}: {known.name}{detail}"
    return ClientError(text, name=known.name, hint=_HINTS.get(known, ""), code=known)


def only(answers: Sequence[T], what: str) -> T:
    """Returns the first of an answer's parts. Raises ClientError where the broker omits the requested
    part.
    """
    if not answers:
        raise ClientError(f"cannot {what}: the broker's answer says nothing about it")
    return answers[0]


def check(code: int, what: str, message: str | None = None) -> None:
    """Raise ClientError unless `code` is NONE."""
    if code != ErrorCode.NONE:
        raise error_of(code, what, message)
