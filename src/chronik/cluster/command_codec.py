"""A question to the controller and its answer, as they travel between nodes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from chronik.cluster.answers import Answer, Outcome
from chronik.cluster.image import ClusterDelta
from chronik.cluster.json_codec import format_object, from_plain, parse_object, to_plain
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset


class UnknownCommand(ValueError):
    """A question with a command that this release does not have."""


class Question(NamedTuple):
    """A command, and how long its sender waits for the answer."""

    command: Command
    validate_only: bool
    timeout_ms: int


def encode_question(question: Question) -> bytes:
    """One line with the name of the command and its parameters, one with the command."""
    kind = type(question.command)
    head = f"{kind.__name__} {int(question.validate_only)} {question.timeout_ms}\n"
    return head.encode() + format_object(to_plain(kind, question.command))


def decode_question(data: bytes, subjects: SubjectTable | None = None) -> Question:
    """Raises ValueError, UnknownCommand."""
    head, _, body = data.partition(b"\n")
    name, validate_only, timeout_ms = head.decode().split(" ")
    form = (SUBJECTS if subjects is None else subjects).commands.get(name)
    if form is None:
        raise UnknownCommand(f"The controller, of an earlier release, does not know the command {name!r}")
    return Question(from_plain(form.kind, parse_object(body)), validate_only == "1", int(timeout_ms))


class _Head(NamedTuple):
    """`Answer` without its delta, whose subjects' fields follow."""

    fate: Outcome
    offset: Offset
    error: ErrorCode
    message: str | None = None


def encode_answer(answer: Answer, subjects: SubjectTable | None = None) -> bytes:
    """One object of JSON: the outcome, and the changes of each subject that has some."""
    fields: dict[str, Any] = to_plain(_Head, _Head(answer.fate, answer.offset, answer.error, answer.message))
    for subject in (SUBJECTS if subjects is None else subjects).subjects:
        kind: type[Any] = subject.changes
        changes = answer.delta.of(kind)
        if changes != kind():
            fields |= to_plain(kind, changes)
    return format_object(fields)


def decode_answer(data: bytes, subjects: SubjectTable | None = None) -> Answer:
    """Raises ValueError."""
    fields: Mapping[str, Any] = parse_object(data)
    head = from_plain(_Head, fields)
    kinds: list[type[Any]] = [
        subject.changes for subject in (SUBJECTS if subjects is None else subjects).subjects
    ]
    delta = ClusterDelta.made_of(*(from_plain(kind, fields) for kind in kinds))
    return Answer(fate=head.fate, offset=head.offset, delta=delta, error=head.error, message=head.message)
