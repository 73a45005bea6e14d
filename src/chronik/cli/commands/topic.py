"""`chronik topic`: list, create, delete, describe, alter topics, and look at or delete their records."""

from typing import TYPE_CHECKING, Annotated

import typer

from chronik.cli.completion import topic_names
from chronik.cli.confirm import confirm
from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout, Yes
from chronik.cli.parsing import assignments
from chronik.client.partitioner import partitions_text

if TYPE_CHECKING:
    from chronik.client.topics import Topic

app = typer.Typer(name="topic", help="List, create, delete, describe and alter topics.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic's name.")]
Existing = Annotated[
    str, typer.Argument(metavar="TOPIC", help="The topic's name.", autocompletion=topic_names)
]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="NAME=VALUE", help="A setting of the topic; repeatable."),
]


@app.command("list")
@guarded
def list_topics(
    internal: Annotated[bool, typer.Option("--internal", help="Show internal topics too.")] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List topics."""
    from chronik.cli.output import left, print_json, print_table, right
    from chronik.client import topics
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        found = [topic for topic in topics.list_all(client) if internal or not topic.is_internal]
    if json:
        print_json(found)
        return
    print_table(
        [
            left("Topic", is_cut=True),
            right("Partitions"),
            right("Replicas"),
            left("Leaders"),
            left("Topic id"),
        ],
        [
            (topic.name, len(topic.partitions), topic.replication_factor, _health(topic), topic.id)
            for topic in found
        ],
        empty="There are no topics yet; `chronik topic create NAME` makes one.",
    )


@app.command()
@guarded
def create(
    name: Name,
    partitions: Annotated[
        int | None, typer.Option("--partitions", "-p", min=1, help="Default: the broker's num.partitions.")
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option("--replication-factor", "-r", min=1, help="Default: the broker's."),
    ] = None,
    config: Config = None,
    if_not_exists: Annotated[
        bool, typer.Option("--if-not-exists", help="Nothing happens when the topic is there already.")
    ] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Create a topic."""
    from chronik.cli.output import print_done, print_json, print_note
    from chronik.client import topics
    from chronik.client.client import Client
    from chronik.client.errors import ClientError
    from chronik.vocab.errors import ErrorCode

    settings = assignments(config)
    with Client(bootstrap_server, timeout_s=timeout) as client:
        is_new, notice = True, None
        try:
            notice = topics.create(
                client,
                name,
                partitions=partitions or topics.BROKER_DEFAULT,
                replication_factor=replication_factor or topics.BROKER_DEFAULT,
                config=settings,
            )
        except ClientError as error:
            if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS or not if_not_exists:
                raise
            is_new = False
        topic = topics.find(client, name)
    if notice:
        print_note(notice)
    if json:
        print_json({"topic": topic, "created": is_new})
        return
    count = len(topic.partitions)
    what = "created" if is_new else "was there already"
    print_done(f"Topic {name} {what}: {count} partition{'s' if count != 1 else ''}.")


@app.command()
@guarded
def delete(
    names: Annotated[
        list[str], typer.Argument(metavar="TOPIC...", help="The topics' names.", autocompletion=topic_names)
    ],
    yes: Yes = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Delete topics and all their records. Asks first, where a person is there to answer."""
    from chronik.cli.output import print_done, print_json
    from chronik.client import topics
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        confirm(f"Delete {', '.join(names)} and all records?", yes=yes)
        topics.delete(client, names)
    if json:
        print_json({"deleted": names})
        return
    print_done(f"Deleted {', '.join(names)}.")


@app.command()
@guarded
def describe(
    name: Existing,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show a topic's partitions, offsets, sizes and the settings it does not have by default."""
    from chronik.cli.output import print_json
    from chronik.cli.topic_report import print_report, read_report
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        report = read_report(client, name)
    if json:
        print_json(report)
    else:
        print_report(report)


@app.command()
@guarded
def alter(
    name: Existing,
    partitions: Annotated[
        int | None, typer.Option("--partitions", "-p", min=1, help="How many it shall have in all.")
    ] = None,
    config: Config = None,
    delete_config: Annotated[
        list[str] | None,
        typer.Option("--delete-config", metavar="NAME", help="Give a setting its default back; repeatable."),
    ] = None,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Add partitions, or change settings."""
    from chronik.cli.output import print_done, print_json
    from chronik.client import configs, topics
    from chronik.client.client import Client
    from chronik.vocab.config.definition import ResourceType

    change, reset = assignments(config), delete_config or []
    if partitions is None and not change and not reset:
        raise Failure(
            "there is nothing to alter", "Give --partitions, --config or --delete-config.", ExitCode.USAGE
        )
    with Client(bootstrap_server, timeout_s=timeout) as client:
        if change or reset:
            configs.alter(client, ResourceType.TOPIC, name, change=change, delete=reset)
        if partitions is not None:
            topics.add_partitions(client, name, partitions)
    if json:
        print_json({"topic": name, "partitions": partitions, "set": change, "deleted": reset})
        return
    print_done(f"Altered {name}.")


@app.command()
@guarded
def records(
    name: Existing,
    delete_before: Annotated[
        int | None,
        typer.Option("--delete-before", min=0, metavar="OFFSET", help="Delete the records below an offset."),
    ] = None,
    delete_all: Annotated[bool, typer.Option("--delete-all", help="Delete all records.")] = False,
    partition: Annotated[
        int | None, typer.Option("--partition", min=0, help="One partition instead of all.")
    ] = None,
    yes: Yes = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show which records there are, by partition, or delete the oldest of them."""
    from chronik.cli.output import print_json, print_table, right
    from chronik.client import offsets
    from chronik.client.client import Client

    if delete_all and delete_before is not None:
        raise Failure(
            "--delete-all and --delete-before say different things", "Give one of them.", ExitCode.USAGE
        )
    with Client(bootstrap_server, timeout_s=timeout) as client:
        ends = _chosen(name, offsets.latest(client, name), partition)
        if delete_all or delete_before is not None:
            what = "all records" if delete_all else f"the records below offset {delete_before}"
            confirm(f"Delete {what} of {name}?", yes=yes)
            # A partition that does not reach the offset loses all its records.
            before = {
                index: end if delete_before is None else min(delete_before, end)
                for index, end in ends.items()
            }
            offsets.delete_records(client, name, before)
        starts = _chosen(name, offsets.earliest(client, name), partition)
    rows = [
        {"partition": index, "start_offset": starts[index], "end_offset": end, "offsets": end - starts[index]}
        for index, end in ends.items()
    ]
    if json:
        print_json(rows)
        return
    columns = [right("Partition"), right("First offset"), right("End offset"), right("Offsets")]
    print_table(columns, [tuple(row.values()) for row in rows])


def _chosen(name: str, values: dict[int, int], partition: int | None) -> dict[int, int]:
    if partition is None:
        return values
    if partition not in values:
        raise Failure(f"{name} has no partition {partition}", f"It has {partitions_text(len(values))}.")
    return {partition: values[partition]}


def _health(topic: "Topic") -> str:
    missing = sum(partition.leader is None for partition in topic.partitions)
    return "all" if not missing else f"{missing} missing"
