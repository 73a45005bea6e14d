"""The results of a run, next to the promises."""

import json
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

CREATE_SECONDS_MAX = 60.0
IDLE_PERCENT_MAX = 10.0
FAILOVER_SECONDS_MAX = 3.0


@dataclass(slots=True)
class Report:
    """`problems` is empty when every promise was kept. Seconds, unless a name says otherwise."""

    partitions: int
    # By how they were created.
    create: dict[str, float] = field(default_factory=dict)
    first_record: dict[str, float] = field(default_factory=dict)
    record_to_each: dict[str, float] = field(default_factory=dict)
    # CPU of each node from the request until it is settled.
    create_cpu: dict[str, dict[int, float]] = field(default_factory=dict)
    idle_seconds: float = 0.0
    idle_percent: dict[int, float] = field(default_factory=dict)
    resident_mb: dict[int, float] = field(default_factory=dict)
    idle_elections: int = 0
    # One for each kill.
    failover: list[float] = field(default_factory=list)
    failover_cpu: list[dict[int, float]] = field(default_factory=list)
    restart_ready: list[float] = field(default_factory=list)
    restart_in_sync: list[float] = field(default_factory=list)
    restart_balanced: list[float] = field(default_factory=list)
    load_seconds: float = 0.0
    load_records: int = 0
    load_percent: dict[int, float] = field(default_factory=dict)
    load_elections: int = 0
    problems: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Hold what was measured against what was promised."""
        for how, seconds in self.create.items():
            if seconds > CREATE_SECONDS_MAX:
                self._over(f"creating {how}", seconds, CREATE_SECONDS_MAX, "s")
        for node, percent in self.idle_percent.items():
            if percent > IDLE_PERCENT_MAX:
                self._over(f"node {node}, idle,", percent, IDLE_PERCENT_MAX, "% of a core")
        for number, seconds in enumerate(self.failover, 1):
            if seconds > FAILOVER_SECONDS_MAX:
                self._over(f"kill {number}: leaders elsewhere", seconds, FAILOVER_SECONDS_MAX, "s")

    def _over(self, what: str, found: float, limit: float, unit: str) -> None:
        self.problems.append(f"{what} took {found:.1f} {unit}; promised are {limit:g} {unit}")

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def print_report(report: Report, console: Console) -> None:
    table = Table(title=f"{report.partitions} partitions on three nodes", title_justify="left")
    table.add_column("")
    table.add_column("found", justify="right")
    table.add_column("promised", justify="right")
    for row in _rows(report):
        table.add_row(*row)
    console.print(table)
    for problem in report.problems:
        console.print(f"PROBLEM {problem}", style="red", markup=False, highlight=False)


def _rows(report: Report) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for how, seconds in report.create.items():
        rows.append((f"create {how}", f"{seconds:.1f} s", f"{CREATE_SECONDS_MAX:g} s"))
        rows.append(("  first record after it", f"{1000 * report.first_record[how]:.0f} ms", ""))
        rows.append(("  a record to each partition", f"{report.record_to_each[how]:.1f} s", ""))
        rows.append(("  CPU of the nodes", _each(report.create_cpu[how], "s"), ""))
    if report.idle_percent:
        what = f"idle for {report.idle_seconds:.0f} s, of a core"
        rows.append((what, _each(report.idle_percent, "%"), f"{IDLE_PERCENT_MAX:g} %"))
        rows.append(("  elections meanwhile", str(report.idle_elections), "0"))
        rows.append(("  resident memory", _each(report.resident_mb, "MB"), ""))
    if report.failover:
        rows.append(("kill -9, all led by others", _all(report.failover), f"{FAILOVER_SECONDS_MAX:g} s"))
        rows.append(
            ("  CPU of the two others", "; ".join(_each(cpu, "s") for cpu in report.failover_cpu), "")
        )
        rows.append(("restart, ready", _all(report.restart_ready), ""))
        rows.append(("  all replicas in sync", _all(report.restart_in_sync), ""))
        rows.append(("  leaderships as placed", _all(report.restart_balanced), ""))
    if report.load_seconds:
        rate = report.load_records / report.load_seconds
        rows.append((f"load for {report.load_seconds:.0f} s", f"{rate:,.0f} records/s", ""))
        rows.append(("  of a core", _each(report.load_percent, "%"), ""))
        rows.append(("  elections meanwhile", str(report.load_elections), "0"))
    return rows


def _each(by_node: dict[int, float], unit: str) -> str:
    return ", ".join(f"{value:.1f}" for value in by_node.values()) + f" {unit}"


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in seconds) + " s"
