"""`chronik start`: settings, logs, event loop, then the node until a signal ends it.

Imports nothing at the top that the node does not import anyway: see `chronik.cli.main`.
"""

import errno
import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from chronik.cli.exit_codes import ExitCode
from chronik.cli.start_options import StartArguments

if TYPE_CHECKING:
    from chronik.server.settings.loading import Settings

_STDIN = 0

# Where `chronik topic` and others find a cluster; here as well, because `options` imports typer.
BOOTSTRAP_VARIABLE = "CHRONIK_BOOTSTRAP_SERVER"


def start(arguments: StartArguments) -> int:
    """Run a node in this process; the exit code once it has stopped."""
    # What an import makes stays: the collector would look at it 70 times, a tenth of a start. When everything
    # is imported `chronik.server.node.run` turns it on.
    gc.disable()
    try:
        return _start(arguments)
    finally:
        gc.enable()


def _start(arguments: StartArguments) -> int:
    from chronik.server.settings.loading import Settings, SettingsError

    try:
        settings = Settings.load(
            arguments.settings, config_file=arguments.config_file, environment=settings_environment()
        )
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE
    from chronik.server.logs import configure

    configure(settings.config.str("log.format"), settings.config.str("log.level"))
    if arguments.until_stdin_closes:
        threading.Thread(target=_stop_when_stdin_closes, name="stdin", daemon=True).start()
    return _run(settings)


def _run(settings: "Settings") -> int:
    """Runs the node; problems that a user can correct are printed in one line."""
    from chronik.node.data_directory import DataDirectoryError
    from chronik.server.node import run

    try:
        run(settings)
    except DataDirectoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except OSError as error:
        print(f"error: {_without_number(error)}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def _without_number(error: OSError) -> str:
    """Returns the system's message, the file, and the remedy where there is one."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}. Choose another directory with --data-dir."
    if error.errno == errno.EADDRINUSE:
        return f"{reason}. Stop what listens there, or choose another port with --listeners or --http."
    return reason


def settings_environment() -> dict[str, str]:
    """Returns the variables that may be settings: all except those of other commands."""
    return {name: value for name, value in os.environ.items() if name != BOOTSTRAP_VARIABLE}


def _stop_when_stdin_closes() -> None:
    """Wait for the end of standard input, then end as a SIGTERM does."""
    while os.read(_STDIN, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
