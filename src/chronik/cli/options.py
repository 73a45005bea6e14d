"""Options that many commands have, declared once."""

from typing import Annotated

import typer

from chronik.cli.start import BOOTSTRAP_VARIABLE

__all__ = ["BOOTSTRAP_DEFAULT", "BOOTSTRAP_VARIABLE", "BootstrapServer", "Json", "Timeout", "Yes"]

BOOTSTRAP_DEFAULT = "localhost:9092"

BootstrapServer = Annotated[
    str,
    typer.Option(
        "--bootstrap-server",
        "-b",
        envvar=BOOTSTRAP_VARIABLE,
        metavar="HOST:PORT,...",
        help="Where to reach the cluster.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long to wait for the cluster.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
