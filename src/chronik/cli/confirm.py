"""Asking before what cannot be undone."""

import sys

from chronik.cli.exit_codes import ExitCode


def confirm(question: str, *, yes: bool) -> None:
    """Asks where a person can answer; otherwise a script's command stands. SystemExit unless the answer is
    yes.
    """
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        sys.stderr.write("Nothing was done.\n")
        raise SystemExit(ExitCode.FAILED)
