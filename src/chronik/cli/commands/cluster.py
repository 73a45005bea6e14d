"""`chronik cluster`: who is there and how it is."""

import typer

from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout

app = typer.Typer(name="cluster", help="Look at a cluster.", no_args_is_help=True)


@app.command()
@guarded
def status(
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show the brokers, what they hold, and partitions that lack something."""
    from chronik.cli.client import Client
    from chronik.cli.cluster_report import print_report, read_report
    from chronik.cli.output import print_json

    with Client(bootstrap_server, timeout_s=timeout) as client:
        report = read_report(client)
    if json:
        print_json(report)
    else:
        print_report(report)
