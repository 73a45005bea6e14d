"""What a command ends with when it cannot do what was asked."""

from chronik.cli.exit_codes import ExitCode


class Failure(Exception):
    """Says why, what to do next, and what a script is told."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code
