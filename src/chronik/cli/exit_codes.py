"""What the `chronik` command's exit code tells a script."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Documented in `chronik --help`; numbers never change their meaning."""

    # What was asked for was done.
    OK = 0
    # The broker, the file or the measurement said no.
    FAILED = 1
    # The command line or the settings are wrong; nothing was tried.
    USAGE = 2
    # No broker answered.
    UNREACHABLE = 3
    # Ended by Ctrl-C, as shells number it (128 + SIGINT).
    INTERRUPTED = 130
