"""The end of a command that failed."""

from chronik.cli.exit_codes import ExitCode


class Failure(Exception):
    """Has the reason, the remedy, and the exit code."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code
