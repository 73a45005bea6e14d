"""`chronik group`: list, describe and delete consumer groups, and set where they go on."""

from typing import Annotated

import typer

from chronik.cli.completion import group_names, topic_names
from chronik.cli.confirm import confirm
from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout, Yes

app = typer.Typer(
    name="group", help="List, describe, delete and reset consumer groups.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="GROUP", help="The group's id.", autocompletion=group_names)]


@app.command("list")
@guarded
def list_groups(
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List groups."""
    from chronik.cli.output import left, print_json, print_table, right
    from chronik.client import groups
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        found = groups.list_all(client)
    if json:
        print_json(found)
        return
    print_table(
        [left("Group", is_cut=True), left("State"), left("Type"), left("Protocol"), right("Coordinator")],
        [(group.id, group.state, group.type, group.protocol, group.coordinator) for group in found],
        empty="There are no groups.",
    )


@app.command()
@guarded
def describe(
    name: Name,
    members: Annotated[bool, typer.Option("--members", help="Show each member with what it reads.")] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show a group's members, committed offsets and lag."""
    from chronik.cli.group_report import print_members, print_report, read_report
    from chronik.cli.output import print_json
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        report = read_report(client, name)
    if json:
        print_json(report)
    elif members:
        print_members(report)
    else:
        print_report(report)


@app.command()
@guarded
def delete(
    names: Annotated[
        list[str], typer.Argument(metavar="GROUP...", help="The groups' ids.", autocompletion=group_names)
    ],
    yes: Yes = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Delete groups that have no running consumers, with their committed offsets."""
    from chronik.cli.output import print_done, print_json
    from chronik.client import groups
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        confirm(f"Delete {', '.join(names)} and all committed offsets?", yes=yes)
        for name in names:
            groups.delete(client, name)
    if json:
        print_json({"deleted": names})
        return
    print_done(f"Deleted {', '.join(names)}.")


@app.command("reset-offsets")
@guarded
def reset_offsets(
    name: Name,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            metavar="TOPIC[:0,1]",
            help="A topic, or some partitions of it; repeatable.",
            autocompletion=topic_names,
        ),
    ] = None,
    all_topics: Annotated[
        bool, typer.Option("--all-topics", help="Every topic the group has committed offsets for.")
    ] = False,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="To the first record.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="To after the last record.")] = False,
    to_offset: Annotated[int | None, typer.Option("--to-offset", min=0, help="To an offset.")] = None,
    to_datetime: Annotated[
        str | None,
        typer.Option("--to-datetime", metavar="TIME", help="To the first record at or after a time."),
    ] = None,
    by_duration: Annotated[
        str | None, typer.Option("--by-duration", metavar="DURATION", help="To so long ago: 1h30m, PT1H30M.")
    ] = None,
    shift_by: Annotated[
        int | None, typer.Option("--shift-by", metavar="N", help="By N records; backwards when negative.")
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it. Without this, only what would be done is shown.")
    ] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Set a group's committed offsets. The group must have no running consumers.

    Shows what would change, and changes it with --execute. Offsets outside of what a partition holds become
    its first or its last.
    """
    from chronik.cli.offset_reset import plan, print_plan, target_of
    from chronik.cli.output import print_json
    from chronik.client.client import Client

    target = target_of(
        to_earliest=to_earliest,
        to_latest=to_latest,
        to_offset=to_offset,
        to_datetime=to_datetime,
        by_duration=by_duration,
        shift_by=shift_by,
    )
    if bool(topic) == all_topics:
        raise Failure("which topics?", "Give --topic NAME, or --all-topics.", ExitCode.USAGE)
    with Client(bootstrap_server, timeout_s=timeout) as client:
        resets = plan(client, name, topic or [], target)
        if execute:
            from chronik.client import groups

            groups.commit(client, name, {(reset.topic, reset.partition): reset.after for reset in resets})
    if json:
        print_json({"group": name, "executed": execute, "offsets": resets})
    else:
        print_plan(resets, executed=execute)
