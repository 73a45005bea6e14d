"""`python -m chronik.cli.perf`: workloads in a process of their own, figures as JSON lines on standard out.

For harnesses, which need a fresh client for each measurement; people use `chronik perf`.
"""

import argparse
import dataclasses
import json
import sys

from chronik.cli.perf import DEFAULT_SECONDS, Figure, MeasurementError, Workload, run_each


def main() -> int:
    """Exit code 1, with the reason on standard error, when a figure is missing; the earlier ones are out."""
    parser = argparse.ArgumentParser(prog="python -m chronik.cli.perf")
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS)
    parser.add_argument("workloads", nargs="*", type=Workload, default=list(Workload))
    options = parser.parse_args()
    try:
        for figure in run_each(options.bootstrap_server, options.workloads, seconds=options.seconds):
            print(to_json(figure))
    except MeasurementError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 0


def to_json(figure: Figure) -> str:
    """Returns one line that `benchmarks/` reads back with `Figure(**...)`, `better` by its name."""
    return json.dumps(dataclasses.asdict(figure) | {"better": figure.better.name})


if __name__ == "__main__":
    sys.exit(main())
