"""The interface of a client library, and its errors."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from tests.proofs.clients.load import Record

# Longer is a failure: brokers answer within milliseconds, and the clients' retries within seconds.
ANSWER_SECONDS_MAX = 60.0


class ClientFailed(Exception):
    """A client said that something failed, or gave up."""


class Member(Protocol):
    """What a group's member reports to. `take` and `on_assigned` come from the member's own thread."""

    @property
    def is_over(self) -> bool:
        """True if it is to leave its group and return."""
        ...

    def take(self, partition: int, offset: int, value: bytes) -> None: ...

    def on_assigned(self, partitions: int) -> None:
        """It has so many partitions now."""
        ...


class Writer(Protocol):
    """One producer of a client library with its default settings, except for the codec."""

    def send_all(self, topic: str, records: Iterable[Record]) -> None:
        """Returns when all are acknowledged. Raises ClientFailed."""
        ...

    def close(self) -> None: ...


class Client(Protocol):
    """One client library."""

    @property
    def name(self) -> str: ...

    @property
    def codecs(self) -> Sequence[str]: ...

    @property
    def drops_records_when_it_leaves(self) -> bool:
        """True if it commits records that it throws away when told to leave while it reads."""
        ...

    @property
    def has_groups(self) -> bool:
        """True if it has consumer groups; without, it reads every partition, whatever the group."""
        ...

    def open_writer(self, bootstrap_servers: str, codec: str) -> Writer: ...

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        """Read in a group, from the earliest record on, until the member is over. Raises ClientFailed."""
        ...
