"""Values of options, with mistakes named as a person made them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.units import parse_assignment

T = TypeVar("T")


def parsed(parse: Callable[[str], T], text: str) -> T:
    """Returns `parse(text)`, whose ValueError becomes a Failure with exit code USAGE."""
    try:
        return parse(text)
    except ValueError as error:
        raise Failure(str(error), exit_code=ExitCode.USAGE) from None


def assignments(texts: Sequence[str] | None) -> dict[str, str]:
    """`NAME=VALUE` options; the last of a name counts."""
    return dict(parsed(parse_assignment, text) for text in texts or ())
