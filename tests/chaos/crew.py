"""All clients of a run: of each library a producer with a topic of its own, and a group of one member that
reads all topics; and an onlooker.
"""

from collections.abc import Iterator, Mapping

from chronik.history.events import Place
from tests.chaos.processes import ClientProcess, Load
from tests.support.waiting import wait_until

CLIENTS = ("confluent-kafka", "kafka-python", "aiokafka")
TOPICS = tuple(f"chaos-{client}" for client in CLIENTS)

_START_SECONDS_MAX = 60.0


class Crew:
    """Made running; ends with `close`, whatever it was told."""

    def __init__(self, load: Load) -> None:
        self._readers = [ClientProcess("read", client, load, TOPICS) for client in CLIENTS]
        self._writers = [
            ClientProcess("write", client, load, [topic])
            for client, topic in zip(CLIENTS, TOPICS, strict=True)
        ]
        self._onlooker = ClientProcess("look", "", load, TOPICS)

    def wait_under_way(self) -> None:
        """Return when each has written down something. Raises TimeoutError."""
        everybody = (*self._readers, *self._writers, self._onlooker)
        wait_until(
            lambda: all(process.is_under_way for process in everybody), "all clients", _START_SECONDS_MAX
        )

    def stop_writing(self, seconds: float) -> Iterator[str]:
        """What went wrong; everything that was sent is answered otherwise. Each may take `seconds`."""
        for writer in self._writers:
            writer.tell()
        yield from _wait(self._writers, seconds)

    def stop_reading(self, ends: Mapping[Place, int], seconds: float) -> Iterator[str]:
        """What went wrong; everything before `ends` is read and committed otherwise."""
        for reader in self._readers:
            reader.tell(ends)
        yield from _wait(self._readers, seconds)
        self._onlooker.tell()
        yield from _wait([self._onlooker], seconds)

    def close(self) -> None:
        for process in (*self._readers, *self._writers, self._onlooker):
            process.end()


def _wait(processes: list[ClientProcess], seconds: float) -> Iterator[str]:
    for process in processes:
        if (problem := process.wait(seconds)) is not None:
            yield problem
