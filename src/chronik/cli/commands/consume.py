"""`chronik consume`: records become lines."""

from typing import Annotated

import typer

from chronik.cli.completion import topic_names
from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer


@guarded
def consume(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="Where the records are.", autocompletion=topic_names)
    ],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Start at the first record, not at the end.")
    ] = False,
    offset: Annotated[
        str | None,
        typer.Option("--offset", "-o", metavar="N|-N|TIME", help="Start there; -N is N before the end."),
    ] = None,
    partition: Annotated[
        list[int] | None, typer.Option("--partition", "-p", min=0, help="Only this one; repeatable.")
    ] = None,
    max_messages: Annotated[
        int | None, typer.Option("--max-messages", "-n", min=0, help="End after so many records.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="At the end wait for more, or end.")
    ] = True,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="End when nothing comes for so long."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", "-g", help="Go on where this group is, and commit what was read."),
    ] = None,
    read_committed: Annotated[
        bool, typer.Option("--read-committed", help="Hide records of aborted and open transactions.")
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            help="Go on behind a batch that cannot be read, and say which offsets it had.",
        ),
    ] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-F",
            metavar="TEMPLATE",
            help="How a record is printed, of {topic} {partition} {offset} {timestamp} {time} {key} {value} "
            "{headers}; \\n and \\t are what they say.",
        ),
    ] = "{value}\\n",
    null_marker: Annotated[
        str,
        typer.Option("--null-marker", metavar="TEXT", help="How a key or value that is null is printed."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print each record as a line of JSON.")] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
) -> None:
    """Print records, and wait for more until Ctrl-C.

    With --group no member joins: the group must have no running consumers. Offsets are committed when this
    command ends, and every five seconds.
    """
    from chronik.cli.consuming import Consumption, Limits, start_positions
    from chronik.cli.record_format import json_line, template
    from chronik.client.client import Client

    if offset is not None and from_beginning:
        raise Failure(
            "--offset and --from-beginning say different things", "Give one of them.", ExitCode.USAGE
        )
    if group == "":
        raise Failure("--group is empty", "Give the group's id, or leave it out.", ExitCode.USAGE)
    write = json_line if json else template(output_format, null_marker)
    limits = Limits(records_max=max_messages, idle_seconds_max=timeout, follows=follow)
    with Client(bootstrap_server) as client:
        positions = start_positions(
            client,
            topic,
            partitions=partition or None,
            offset="earliest" if from_beginning else offset,
            group=group,
        )
        consumption = Consumption(
            client,
            topic,
            positions,
            limits,
            group=group,
            read_committed=read_committed,
            skips_unreadable=skip_unreadable,
        )
        consumption.run(write)
