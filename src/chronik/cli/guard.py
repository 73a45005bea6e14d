"""Wrapper of commands: errors become a line and an exit code, Ctrl-C and closed pipes stay quiet."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.client.address import BadAddress
from chronik.client.errors import ClientError, Unreachable

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command that ends in SystemExit with a documented code rather than in a traceback."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except Failure as failure:
            from chronik.cli.output import print_error

            print_error(failure.message, failure.hint)
            raise SystemExit(failure.exit_code) from None
        except ClientError as error:
            from chronik.cli.output import print_error

            print_error(error.message, error.hint)
            raise SystemExit(_exit_code(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has read enough (`chronik consume orders | head`). Python would flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(ExitCode.OK) from None
        except OSError as error:
            # Of a file or a stream: brokers' are failures already.
            from chronik.cli.output import print_error

            where = f"{error.filename}: " if error.filename is not None else ""
            print_error(f"{where}{error.strerror or error}")
            raise SystemExit(ExitCode.FAILED) from None

    return run


def _exit_code(error: ClientError) -> ExitCode:
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    return ExitCode.USAGE if isinstance(error, BadAddress) else ExitCode.FAILED
