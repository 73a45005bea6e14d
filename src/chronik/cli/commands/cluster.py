"""`chronik cluster`: a local one to try, who is there, how it is, and leaders back in their places."""

from pathlib import Path
from typing import Annotated

import typer

from chronik.cli.completion import topic_names
from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout
from chronik.cli.parsing import assignments

app = typer.Typer(name="cluster", help="Start a local cluster, or look at any.", no_args_is_help=True)

_PORT_MAX = 65535


@app.command()
@guarded
def start(
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", "-n", min=1, max=99, help="How many. Default 3, or as many as are there."),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIR", help="Gets a directory and a log file for each node.")
    ] = Path("./chronik-cluster"),
    kafka_port: Annotated[
        int, typer.Option("--kafka-port", min=1, max=_PORT_MAX, help="Of the first node; the others follow.")
    ] = 9092,
    raft_port: Annotated[
        int, typer.Option("--raft-port", min=1, max=_PORT_MAX, help="Where nodes reach each other; as above.")
    ] = 5001,
    http_port: Annotated[
        int, typer.Option("--http-port", min=1, max=_PORT_MAX, help="Health and metrics; as above.")
    ] = 9101,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting of all nodes under Kafka's name; repeatable."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when it is ready.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long the start may take.")
    ] = 60.0,
) -> None:
    """Run a cluster on this machine until Ctrl-C: one process a node, data kept."""
    from chronik.cli.local_cluster.plan import plan_nodes
    from chronik.cli.local_cluster.start import count_nodes, start

    given = assignments(settings)
    count = count_nodes(data_dir, nodes)
    try:
        planned = plan_nodes(count, data_dir, kafka_port=kafka_port, raft_port=raft_port, http_port=http_port)
    except ValueError as error:
        raise Failure(str(error), exit_code=ExitCode.USAGE) from None
    start(planned, given, as_json=json, seconds=timeout)


@app.command()
@guarded
def status(
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show the brokers, what they hold, and partitions that lack something.

    Ends with code 1 when something has no leader.
    """
    from chronik.cli.cluster_report import print_report, read_report
    from chronik.cli.output import print_json
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        report = read_report(client)
    if json:
        print_json(report)
    else:
        print_report(report)
    if not report.is_led:
        raise SystemExit(ExitCode.FAILED)


@app.command("elect-leaders")
@guarded
def elect_leaders(
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            metavar="TOPIC",
            help="One topic instead of all; repeatable.",
            autocompletion=topic_names,
        ),
    ] = None,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 30.0,
) -> None:
    """Give partitions back to their preferred leaders now. Without it that happens by itself, later."""
    from chronik.cli.output import left, print_done, print_json, print_table, right
    from chronik.client import quorum, topics
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        chosen = None
        if topic:
            chosen = [
                (name, place.partition) for name in topic for place in topics.find(client, name).partitions
            ]
        elections = quorum.elect_preferred(client, chosen)
    if json:
        print_json(elections)
    elif not elections:
        print_done("Every partition has its preferred leader.")
    else:
        print_table(
            [left("Topic", is_cut=True), right("Partition"), left("Result")],
            [(each.topic, each.partition, each.error or "elected") for each in elections],
        )
    if any(each.error for each in elections):
        raise SystemExit(ExitCode.FAILED)
