"""Deadlines on the running loop's clock, from the timeouts that requests carry."""

import asyncio

# Longer than any client waits by default; a request that never ends would keep its connection's answers
# behind it.
TIMEOUT_MS_MAX = 5 * 60 * 1000


def deadline_after(timeout_ms: int) -> float:
    """Seconds on `loop.time()` at which `timeout_ms`, counted from now, is over.

    Not negative, not without end.
    """
    return asyncio.get_running_loop().time() + min(max(timeout_ms, 0), TIMEOUT_MS_MAX) / 1000
