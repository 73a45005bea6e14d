"""The workloads by name, and their parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

# Called often while a workload runs: its title, and how much of it is done (0 to 1).
Progress = Callable[[str, float], None]


class Workload(Enum):
    """The measurements. The value is the name on the command line."""

    BULK_100B = "bulk-100b"
    BULK_1KIB = "bulk-1kib"
    ONE_AT_A_TIME = "one-at-a-time"
    SMALL_REQUESTS = "small-requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of a workload's records: partition 0 of a topic of its own, on a broker that is up."""

    bootstrap_servers: str
    topic: str
    seconds: float
    progress: Progress
