"""Memory that clients make the node hold, counted in one place.

Connections count, Fetch and the listener obey. All on the event loop, so plain numbers do.
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class NodeMemory:
    """Bytes held for clients now, and the bounds on them. One per node."""

    # Incomplete requests. Above the bound the listener closes the one that has been incomplete longest.
    received_bytes: int = 0
    received_bytes_max: int

    # Responses that clients have not read. Above the bound Fetch answers without records until some are read.
    unsent_bytes: int = 0
    # What Fetch has promised responses that are read from the device just now.
    loading_bytes: int = 0
    unsent_bytes_max: int

    @property
    def is_receiving_too_much(self) -> bool:
        return self.received_bytes > self.received_bytes_max

    @property
    def response_bytes_left(self) -> int:
        """The bytes that a Fetch response may still take, never negative."""
        return max(0, self.unsent_bytes_max - self.unsent_bytes - self.loading_bytes)
