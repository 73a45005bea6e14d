"""What TLC prints with `-tool`: messages between markers, with a code each (tlc2/output/EC.java).

    @!@!@STARTMSG 2199:0 @!@!@
    10 states generated, 10 distinct states found, 0 states left on queue.
    @!@!@ENDMSG 2199 @!@!@

What stands between messages (the parser's own lines) is no message. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_START = re.compile(r"@!@!@STARTMSG (\d+):(\d+) @!@!@")
_END = re.compile(r"@!@!@ENDMSG \d+ @!@!@")

_PROGRESS = 2200
_STATS = 2199
_DEPTH = 2194
_SUCCESS = 2193
_STATE = 2217
# Of invariants in a first state and a later one, of what must hold of steps, of the temporal kind.
_VIOLATIONS = frozenset({2107, 2108, 2110, 2112, 2116})
_ERROR_SEVERITIES = frozenset({1, 2})

_NUMBERS = re.compile(
    r"([\d,.]+) states generated.*?([\d,.]+) distinct states found.*?([\d,.]+) states left", re.S
)
_DEPTH_NUMBER = re.compile(r"search is (\d+)")
_LEVEL = re.compile(r"Progress\((\d+)\)")
_PROPERTY = re.compile(r"(?:Invariant|[Pp]roperty|properties?) (\w+)")
# In the line of an action among those of Next.
_APPLIED = re.compile(r"(\w+)\(n\b[^()]*\)$")
_ACTION = re.compile(r"\d+: <(\w+).*? line (\d+)")


class Message(NamedTuple):
    code: int
    severity: int
    text: str


class Counts(NamedTuple):
    generated: int
    distinct: int
    # Found, and their successors not looked at yet.
    queued: int
    # How many states the longest path to one has; None where it is not said.
    depth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run of TLC, from its messages."""

    # Whether TLC says that it looked at every state and found nothing.
    is_complete: bool
    # None when it did not come so far as to count.
    counts: Counts | None
    # The property that does not hold; None when none was violated.
    violated: str | None
    # The states that lead there, as TLC prints them.
    trace: tuple[str, ...]
    # What else went wrong: a specification that makes no sense, no memory, …
    errors: tuple[str, ...]

    def steps(self, specification: Sequence[str]) -> tuple[str, ...]:
        """The action that led to each state of the trace but the first.

        TLC names an action only where it can tell in advance what it is applied to; of another one it says
        where in the specification, whose lines are given, it stands.
        """
        found = (_ACTION.match(state) for state in self.trace[1:])
        return tuple(
            _step(match.group(1), specification[int(match.group(2)) - 1]) for match in found if match
        )


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """As they come; one that has no end is none."""
    code = severity = 0
    text: list[str] | None = None
    for line in lines:
        start = _START.match(line)
        if start is not None:
            code, severity, text = int(start.group(1)), int(start.group(2)), []
        elif text is not None and _END.match(line):
            yield Message(code, severity, "\n".join(text))
            text = None
        elif text is not None:
            text.append(line.rstrip("\n"))


def progress(message: Message) -> Counts | None:
    """Counts of a run under way, if the message says any."""
    if message.code != _PROGRESS:
        return None
    level = _LEVEL.search(message.text)
    return _counts(message.text, None if level is None else int(level.group(1)))


def outcome(found: Iterable[Message]) -> Outcome:
    """All messages of a run."""
    counts: Counts | None = None
    depth = violated = None
    is_complete = False
    trace: list[str] = []
    errors: list[str] = []
    for message in found:
        if message.code in (_PROGRESS, _STATS):
            counts = _counts(message.text, None) or counts
        elif message.code == _DEPTH:
            depth = _depth(message.text)
        elif message.code == _SUCCESS:
            is_complete = True
        elif message.code == _STATE:
            trace.append(message.text)
        elif message.code in _VIOLATIONS:
            violated = violated or _property(message.text)
        elif message.severity in _ERROR_SEVERITIES and violated is None:
            errors.append(message.text)
    return Outcome(
        is_complete=is_complete,
        counts=None if counts is None else counts._replace(depth=depth),
        violated=violated,
        trace=tuple(trace),
        errors=tuple(errors),
    )


def _step(name: str, line: str) -> str:
    applied = _APPLIED.search(line)
    return applied.group(1) if name == "Next" and applied else name


def _counts(text: str, depth: int | None) -> Counts | None:
    match = _NUMBERS.search(text)
    if match is None:
        return None
    generated, distinct, queued = (int(re.sub(r"\D", "", number)) for number in match.groups())
    return Counts(generated, distinct, queued, depth)


def _depth(text: str) -> int | None:
    match = _DEPTH_NUMBER.search(text)
    return None if match is None else int(match.group(1))


def _property(text: str) -> str:
    match = _PROPERTY.search(text)
    return text.strip() if match is None else match.group(1)
