"""Programmer errors stop loudly: `invariant` is a function because `python -O` strips `assert`."""


class InvariantViolation(AssertionError):
    """Something the code relies on is not so. The partition or process that sees it must stop."""


def invariant(condition: object, message: str, *values: object) -> None:
    """Raise InvariantViolation with `message.format(*values)` unless `condition` holds."""
    if not condition:
        raise InvariantViolation(message.format(*values))
