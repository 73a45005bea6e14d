"""The `chronik` command. `start` goes the short way, because how fast a broker is up is a promise."""

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` unless given); the exit code, see `chronik.cli.exit_codes`."""
    if words is None:
        words = sys.argv[1:]
    if words and words[0] == "start":
        from chronik.cli.start_options import parse

        arguments = parse(words[1:])
        if arguments is not None:
            from chronik.cli.start import start

            return start(arguments)
    # Imported here, because typer takes longer to import than a broker to start.
    from chronik.cli.app import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
