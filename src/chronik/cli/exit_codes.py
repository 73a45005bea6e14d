"""Exit codes of the `chronik` command for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Documented in `chronik --help`; numbers never change their meaning."""

    # The request was carried out.
    OK = 0
    # The broker, the file or the measurement reported a failure.
    FAILED = 1
    # The command line or the settings are wrong; nothing was tried.
    USAGE = 2
    # No broker answered.
    UNREACHABLE = 3
    # Ended by Ctrl-C, as shells number it (128 + SIGINT).
    INTERRUPTED = 130
