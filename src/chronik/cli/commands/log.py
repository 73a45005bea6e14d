"""`chronik log`: look into a partition's files, offline."""

from pathlib import Path
from typing import Annotated

import typer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.guard import guarded
from chronik.cli.options import Json

app = typer.Typer(name="log", help="Look into a partition's files, offline.", no_args_is_help=True)

# Rows of a file shown as a table, which is built in memory.
_ROWS_MAX = 1000
_NAMES_MAX = 20


@app.callback()
def log() -> None:
    """Look into a partition's files, offline."""


@app.command()
@guarded
def dump(
    path: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="A partition's directory, or one of its files.")
    ],
    records: Annotated[
        bool, typer.Option("--records", "-r", help="Show records rather than batches.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Rows shown of each file; --json shows all.")
    ] = _ROWS_MAX,
    json: Json = False,
) -> None:
    """Show segments, indexes, producer snapshots and checkpoints, and what is wrong with them.

    Exit code 1 when something is damaged. With --json every row is a line of its own.
    """
    from chronik.cli.dump_report import print_dump, print_lines
    from chronik.cli.log_dump import dump_path, partition_directories
    from chronik.cli.output import print_note

    dumps = dump_path(path, records=records)
    for found in dumps:
        if json:
            print_lines(found)
        else:
            print_dump(found, limit)
    partitions = partition_directories(path)
    if partitions:
        more = f" and {len(partitions) - _NAMES_MAX} more" if len(partitions) > _NAMES_MAX else ""
        print_note(f"Partitions: {' '.join(partitions[:_NAMES_MAX])}{more}")
    raise SystemExit(ExitCode.FAILED if any(found.problems for found in dumps) else ExitCode.OK)
