"""Deadlines on the running loop's clock, from the timeouts that requests carry."""

import asyncio

# Clients that send 0 mean "do not wait for the other brokers"; they do not expect an error about a topic that
# exists a moment later. A commit is a matter of milliseconds.
TIMEOUT_MS_MIN = 1_000

# Longer than any client waits by default; a request that never ends would keep its connection's answers
# behind it.
TIMEOUT_MS_MAX = 5 * 60 * 1000


def deadline_after(timeout_ms: int) -> float:
    """Seconds on `loop.time()` at which `timeout_ms`, counted from now and kept in bounds, is over."""
    bounded_ms = min(max(timeout_ms, TIMEOUT_MS_MIN), TIMEOUT_MS_MAX)
    return asyncio.get_running_loop().time() + bounded_ms / 1000
