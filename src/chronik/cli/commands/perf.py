"""`chronik perf`: how fast is this broker, here?"""

from typing import Annotated

import typer

from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json


@guarded
def perf(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORKLOAD]...", help="What to measure; all of it unless named."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=0.1, help="How long each part lasts.")
    ] = 3.0,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
) -> None:
    """Measure a running broker: produce, consume, latency, small requests.

    Each workload writes to a topic of its own, which is deleted afterwards.
    Needs `pip install 'chronik[perf]'`.
    """
    try:
        import confluent_kafka  # noqa: F401  (is it there?)
    except ImportError:
        raise Failure(
            "measuring needs librdkafka's client, which is not installed",
            "Install it with `pip install 'chronik[perf]'`.",
        ) from None
    from chronik.cli.output import print_json
    from chronik.cli.perf import Figure, MeasurementError, Workload
    from chronik.cli.perf_report import measure, print_figures

    known = {workload.value: workload for workload in Workload}
    unknown = [name for name in workloads or () if name not in known]
    if unknown:
        raise Failure(f"there is no workload {unknown[0]}", f"There are: {', '.join(known)}.")
    chosen = [known[name] for name in workloads] if workloads else list(Workload)
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
