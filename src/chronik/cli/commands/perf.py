"""`chronik perf`: how fast is this broker, here?"""

from typing import Annotated

import typer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json

# The values of `Workload`, whose package imports librdkafka's client, which may not be installed.
WORKLOAD_NAMES = ("bulk-100b", "bulk-1kib", "one-at-a-time", "small-requests")


@guarded
def perf(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKLOAD", help=f"What to measure; all of it unless named: {', '.join(WORKLOAD_NAMES)}."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=0.1, help="How long each part lasts.")
    ] = 3.0,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
) -> None:
    """Measure a running broker: produce, consume, latency, small requests.

    Each workload writes to a topic of its own, which is deleted afterwards.
    Needs `pip install confluent-kafka`.
    """
    unknown = [name for name in workloads or () if name not in WORKLOAD_NAMES]
    if unknown:
        raise Failure(
            f"there is no workload {unknown[0]}", f"There are: {', '.join(WORKLOAD_NAMES)}.", ExitCode.USAGE
        )
    try:
        import confluent_kafka  # noqa: F401  (is it there?)
    except ImportError:
        raise Failure(
            "measuring needs librdkafka's client, which is not installed",
            "Install it with `pip install confluent-kafka`.",
        ) from None
    from chronik.cli.output import print_json
    from chronik.cli.perf import Figure, MeasurementError, Workload
    from chronik.cli.perf_report import measure, print_figures

    chosen = [Workload(name) for name in workloads] if workloads else list(Workload)
    figures: list[Figure] = []
    try:
        measure(bootstrap_server, chosen, seconds, figures)
    except MeasurementError as error:
        raise Failure(str(error)) from None
    finally:
        if json:
            print_json(figures)
        elif figures:
            print_figures(figures)
