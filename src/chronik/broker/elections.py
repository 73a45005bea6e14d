"""Partitions without a leader that will have one in a moment: answers that name leaders wait for those.

A partition can be led when a majority of its replicas is there. One that nobody has led yet is being created;
one whose leader is lost elects another, in a fraction of a second. Anything else takes a person, and is not
waited for.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.image import TopicImage
from chronik.cluster.leadership import PartitionKey

if TYPE_CHECKING:
    from chronik.broker.context import Broker

# Two election timeouts and some: with one more lost vote than that the client may as well ask again.
ELECTION_WAIT_SECONDS = 0.5


class Unled(NamedTuple):
    """Partitions that will soon be led."""

    # Nobody has led them yet.
    created: list[PartitionKey]
    # Their leader resigned or is lost.
    electing: list[PartitionKey]

    def __bool__(self) -> bool:
        return bool(self.created or self.electing)


def soon_led(broker: "Broker", topics: Iterable[TopicImage]) -> Unled:
    """Those partitions of `topics` that are worth waiting for."""
    unled = Unled([], [])
    live = broker.peers.live()
    for topic in topics:
        leaders = broker.leadership.leaders(topic.topic_id)
        for index in _unled(broker, topic):
            replicas = topic.partitions[index].replicas
            has_majority = 2 * sum(node in live for node in replicas) > len(replicas)
            if not has_majority:
                continue
            key = PartitionKey(topic.topic_id, index)
            if index not in leaders:
                unled.created.append(key)
            elif len(replicas) > 1:
                # A group of one whose log failed leads no more.
                unled.electing.append(key)
    return unled


def _unled(broker: "Broker", topic: TopicImage) -> Iterator[int]:
    leader = broker.leadership.leader
    for index in range(len(topic.partitions)):
        if leader(topic.topic_id, index) is None:
            yield index


async def wait_until_led(broker: "Broker", unled: Unled, now: float, deadline: float) -> None:
    """`now` and `deadline` are on the loop's clock, in seconds; elections are not waited for so long."""
    leadership = broker.leadership
    await leadership.wait_for(unled.electing, min(now + ELECTION_WAIT_SECONDS, deadline))
    await leadership.wait_for(unled.created, deadline)
