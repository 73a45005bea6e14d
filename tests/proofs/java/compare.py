"""Compares a case's steps with Kafka's, and sets apart what is meant to differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from tests.proofs.java.differences import DIFFERENCES
from tests.proofs.java.recorded import difference
from tests.proofs.java.session import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One step of which Chronik says something else than Kafka."""

    case: str
    command: str
    # Kafka's lines with `-`, Chronik's with `+`.
    text: str
    # Why it is meant; None where it is a fault.
    reason: str | None


def compare(case: str, kafka: Sequence[Step], chronik: Sequence[Step]) -> list[Difference]:
    found = []
    for theirs, ours in zip_longest(kafka, chronik):
        text = difference(theirs, ours)
        commands = {step.command for step in (theirs, ours) if step is not None}
        if len(commands) > 1 or None in (theirs, ours):
            found.append(
                Difference(case=case, command=" / ".join(sorted(commands)), text="other steps", reason=None)
            )
            return found
        if text:
            command = commands.pop()
            found.append(
                Difference(case=case, command=command, text=text, reason=_reason(case, command, text))
            )
    return found


def _reason(case: str, command: str, text: str) -> str | None:
    for intended in DIFFERENCES:
        if (
            intended.case == case
            and re.fullmatch(intended.command, command)
            and re.fullmatch(intended.text, text)
        ):
            return intended.reason
    return None
