"""How many files and sockets the process may have open.

Shells start programs with 1024 descriptors although the kernel allows far more, for the sake of programs that
use `select`. A thousand clients would be too many then, so a node's process raises its limit, as a JVM does
for Kafka.
"""

import resource
from contextlib import suppress

# More than any node of this kind serves; some systems have no upper bound, and would refuse infinity.
_WANTED = 1_048_576
# macOS names an infinite limit and takes no more than this.
_WANTED_AT_LEAST = 10_240

# What is not for clients: log files held open (`log.handles`), cold reads, removals, the event loop, HTTP.
_RESERVED = 768


def raise_limit() -> None:
    """Allow this process as many descriptors as it can have. For processes that are the broker's own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    for wanted in (ceiling, _WANTED_AT_LEAST):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


def room_for_connections() -> int:
    """How many connections fit beside the node's own files; at least half of all descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _WANTED if soft == resource.RLIM_INFINITY else max(soft // 2, soft - _RESERVED)
