"""`chronik health`: can clients use the broker? For people, scripts and container health checks."""

from typing import Annotated

import typer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BOOTSTRAP_VARIABLE, Json

_HTTP_DEFAULT = "localhost:9101"


@guarded
def health(
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="HOST:PORT",
            help=f"Ask the broker's HTTP port, and nothing else. Unless told otherwise: {_HTTP_DEFAULT}.",
        ),
    ] = None,
    bootstrap_server: Annotated[
        str | None,
        typer.Option(
            "--bootstrap-server",
            "-b",
            envvar=BOOTSTRAP_VARIABLE,
            metavar="HOST:PORT,...",
            help=f"Ask as a Kafka client would, instead of by HTTP. Where HTTP is off: {BOOTSTRAP_DEFAULT}.",
        ),
    ] = None,
    json: Json = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS")] = 5.0,
) -> None:
    """Tell whether a broker is ready: exit code 0 when it is, 1 when it is not, 3 when nothing answers.

    Asks /health/ready; where nothing listens there, or with --bootstrap-server, asks for Metadata.
    """
    from chronik.cli.health_check import ask_http, ask_kafka
    from chronik.cli.output import print_done, print_error, print_json
    from chronik.client.errors import Unreachable

    answer = None if bootstrap_server and not http else ask_http(http or _HTTP_DEFAULT, timeout)
    if answer is None and http:
        raise Unreachable(f"nothing speaks HTTP at {http}", hint="`chronik start --http` says where it does.")
    if answer is None:
        answer = ask_kafka(bootstrap_server or BOOTSTRAP_DEFAULT, timeout)
    if json:
        print_json(answer)
    elif answer.is_ready:
        print_done(f"Ready: {answer.asked}")
        for warning in answer.warnings:
            print_error(f"warning: {warning}")
    else:
        print_error(f"not ready: {', '.join(answer.reasons)} ({answer.asked})")
    raise SystemExit(ExitCode.OK if answer.is_ready else ExitCode.FAILED)
