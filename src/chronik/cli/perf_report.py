"""Progress and figures of `chronik perf`."""

from collections.abc import Sequence

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chronik.cli.output import console, left, print_table, right
from chronik.cli.perf import Figure, Workload, run_each
from chronik.client.client import Client


def measure(
    bootstrap_servers: str, workloads: Sequence[Workload], seconds: float, figures: list[Figure]
) -> None:
    """Runs the workloads behind a progress bar, and adds to `figures` as they come.

    Raises MeasurementError, ClientError; earlier figures stay.
    """
    with Client(bootstrap_servers) as client:
        client.any_node()  # librdkafka would wait long for a broker that is not there
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console(is_error=True),
        transient=True,
    )
    with bars:
        tasks: dict[str, TaskID] = {}

        def on_progress(title: str, done: float) -> None:
            if title not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, completed=1.0)
                tasks[title] = bars.add_task(title, total=1.0)
            bars.update(tasks[title], completed=done)

        figures.extend(run_each(bootstrap_servers, workloads, seconds=seconds, on_progress=on_progress))


def print_figures(figures: Sequence[Figure]) -> None:
    print_table(
        [left("Measured"), right("Value"), left("Unit"), left("Better"), left("Note", is_folded=True)],
        [
            (figure.name, _number(figure.value), figure.unit, figure.better.name.lower(), figure.note)
            for figure in figures
        ],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"
