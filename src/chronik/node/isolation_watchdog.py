"""Stops a node from leading while the controller cannot reach it, and others can.

The controller takes such a node for lost and fences it, and the others name it to no client any more, though
it leads its partitions with those nodes that it reaches. It does not see the fencing. But from those nodes it
learns that the metadata goes on without it: then it transfers its leaderships to them. It follows until the
network is whole.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

_log = logging.getLogger(__name__)

# How often in a session it looks.
LOOKS_PER_SESSION = 10

# A transfer takes two round trips. The rest is tried again at the next check.
_HAND_OVER_SECONDS_MAX = 2.0


class Outlook(Protocol):
    """The node's view of itself and the others."""

    def is_cut_off(self) -> bool:
        """True if no leader of the metadata is known."""
        ...

    def are_others_ahead(self) -> bool:
        """True if a node that is connected has applied more of the metadata than this one."""
        ...


class IsolationWatchdog:
    """One per node of a cluster. Created, started and stopped with its background tasks."""

    def __init__(
        self,
        outlook: Outlook,
        session_timeout_ms: Callable[[], int],
        drain: Callable[[float], Awaitable[object]],
    ) -> None:
        """`session_timeout_ms`: broker.session.timeout.ms. `drain` gives away all leaderships, before a
        deadline on the loop's clock in seconds.
        """
        self._outlook = outlook
        self._session_timeout_ms = session_timeout_ms
        self._drain = drain
        # On the loop's clock, in seconds; None while it is not watchdog.
        self._since: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="watchdog")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            session = self._session_timeout_ms() / 1000
            await asyncio.sleep(session / LOOKS_PER_SESSION)
            if self._has_been_isolated_for(session):
                _log.warning("controller unreachable from this node only; its leaderships are transferred")
                await self._drain(asyncio.get_running_loop().time() + _HAND_OVER_SECONDS_MAX)

    def _has_been_isolated_for(self, seconds: float) -> bool:
        """Others that are ahead for a moment are the normal case."""
        if not self._outlook.is_cut_off():
            self._since = None
            return False
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        return now - self._since >= seconds and self._outlook.are_others_ahead()
