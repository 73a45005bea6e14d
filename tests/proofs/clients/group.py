"""A group of consumers in threads, of which one leaves and one joins while records keep coming."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass

from tests.proofs.clients.client import Client, ClientFailed, Writer
from tests.proofs.clients.load import Reading, records
from tests.support.waiting import wait_until

# A rebalance waits for no timeout here; this is for a machine that is busy with other things.
_SECONDS_MAX = 90.0
# A member that is told to leave does so in seconds; some clients, now and then, never do.
_LEAVING_SECONDS_MAX = 60.0


class GroupMember:
    """One member; see `client.Member`."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self.is_over = False
        self.partitions = 0
        self._reading = reading

    @property
    def has_partitions(self) -> bool:
        return self.partitions > 0

    def take(self, partition: int, offset: int, value: bytes) -> None:
        self._reading.take(self.name, partition, offset, value)

    def on_assigned(self, partitions: int) -> None:
        self.partitions = partitions


@dataclass(frozen=True, slots=True)
class Place:
    """Which topic of which broker, and under which group it is read."""

    bootstrap_servers: str
    topic: str
    group: str


class Group:
    """Made around one reading; `close` ends its members. Any failure of a member is raised by what waits."""

    def __init__(self, client: Client, place: Place, reading: Reading) -> None:
        self._client = client
        self._place = place
        self._reading = reading
        self._members: dict[GroupMember, Future[None]] = {}

    def add(self) -> GroupMember:
        member = GroupMember(f"member-{len(self._members) + 1}", self._reading)
        reader = self._members[member] = Future()
        # A daemon, so that a client that never ends fails its round, and does not hold up the rest.
        name = f"{self._client.name}-{member.name}"
        threading.Thread(target=self._read, args=(member, reader), name=name, daemon=True).start()
        return member

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            self._raise_failures()
            return condition()

        wait_until(holds, f"{self._client.name}: {what}", _SECONDS_MAX)

    def leave(self, member: GroupMember, read_before: int) -> None:
        """Have a member leave: now, or when nothing is left to read if its client would lose it."""
        is_careful = self._client.drops_records_when_it_leaves
        if is_careful:
            self.wait(lambda: self._reading.count >= read_before, f"{read_before} records read")
        member.is_over = True
        if is_careful:
            self.wait(self._members[member].done, "a member has left")

    def close(self) -> None:
        for member in self._members:
            member.is_over = True
        wait(self._members.values(), timeout=_LEAVING_SECONDS_MAX)
        late = [member.name for member, reader in self._members.items() if not reader.done()]
        if late:
            raise ClientFailed(f"{self._client.name}: {', '.join(late)} never left")

    def _read(self, member: GroupMember, reader: "Future[None]") -> None:
        place = self._place
        try:
            self._client.read(place.bootstrap_servers, place.topic, place.group, member)
        except BaseException as error:
            reader.set_exception(error)
        else:
            reader.set_result(None)

    def _raise_failures(self) -> None:
        for reader in self._members.values():
            if reader.done():
                reader.result()


def read_alone(client: Client, place: Place, expected: int) -> Reading:
    """Everything, by a group of one."""
    reading = Reading(expected)
    group = Group(client, place, reading)
    try:
        group.add()
        group.wait(lambda: reading.is_complete, f"{expected} records read")
    finally:
        group.close()
    return reading


def write_and_read(client: Client, place: Place, writer: Writer, expected: int) -> Reading:
    """Write in three parts to a group of three, of which one leaves and a fourth joins in between."""
    reading = Reading(expected)
    group = Group(client, place, reading)
    try:
        first = [group.add() for _ in range(3)]
        group.wait(lambda: all(member.has_partitions for member in first), "three members have partitions")
        writer.send_all(place.topic, records(0, expected // 3))
        group.leave(first[0], expected // 3)
        late = group.add()
        writer.send_all(place.topic, records(expected // 3, 2 * expected // 3))
        group.wait(lambda: late.has_partitions, "the late member has partitions")
        writer.send_all(place.topic, records(2 * expected // 3, expected))
        group.wait(lambda: reading.is_complete, f"{expected} records read")
        if not reading.by_member.get(late.name):
            reading.problems.append("the late member read nothing")
    finally:
        group.close()
    return reading


def write_then_read(client: Client, place: Place, writer: Writer, expected: int) -> Reading:
    """For clients without groups: one reader has every partition."""
    writer.send_all(place.topic, records(0, expected))
    return read_alone(client, place, expected)
