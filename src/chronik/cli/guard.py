"""What commands are wrapped in: errors become a line and an exit code, Ctrl-C and closed pipes stay quiet."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from chronik.cli.exit_codes import ExitCode

P = ParamSpec("P")
R = TypeVar("R")


class Failure(Exception):
    """A command cannot do what was asked; says why and what to do."""

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command that ends in SystemExit with a documented code rather than in a traceback."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        from chronik.cli.client.errors import ClientError, Unreachable
        from chronik.cli.output import print_error

        try:
            return command(*arguments, **options)
        except Failure as failure:
            print_error(failure.message, failure.hint)
            raise SystemExit(failure.exit_code) from None
        except Unreachable as error:
            print_error(error.message, error.hint)
            raise SystemExit(ExitCode.UNREACHABLE) from None
        except ClientError as error:
            print_error(error.message, error.hint)
            raise SystemExit(ExitCode.FAILED) from None
        except KeyboardInterrupt:
            raise SystemExit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read has read enough (`chronik consume orders | head`). Python would flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(ExitCode.OK) from None

    return run
