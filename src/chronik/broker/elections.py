"""Partitions without a leader that will have one in a moment: answers that name leaders wait for those.

A partition can be led when a majority of its replicas is there. One that nobody has led yet is being created;
one whose leader is lost elects another, in a fraction of a second; one whose leader stops is being handed
over. Anything else takes a person, and is not waited for.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.image import TopicImage
from chronik.cluster.leadership import Leader, PartitionKey
from chronik.vocab.ids import NO_NODE

if TYPE_CHECKING:
    from chronik.broker.context import Broker

# Two election timeouts and some: with one more lost vote than that the client may as well ask again.
ELECTION_WAIT_SECONDS = 0.5


class Unled(NamedTuple):
    """Partitions that will soon be led."""

    # Nobody has led them yet.
    created: list[PartitionKey]
    # Their leader resigned, is lost or is leaving.
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
    leader, fenced = broker.leadership.leader, broker.metadata.image.fenced
    for index in range(len(topic.partitions)):
        found = leader(topic.topic_id, index)
        if found is None or found.node in fenced:
            yield index


async def wait_until_led(broker: "Broker", unled: Unled, now: float, deadline: float) -> None:
    """`now` and `deadline` are on the loop's clock, in seconds; elections are not waited for so long."""
    await wait_until_elected(broker, unled.electing, min(now + ELECTION_WAIT_SECONDS, deadline))
    await broker.leadership.wait_for(unled.created, deadline)


async def wait_until_elected(broker: "Broker", keys: Iterable[PartitionKey], deadline: float) -> None:
    """Wait until each of `keys` has a leader that stays, or `deadline` on the loop's clock, in seconds."""
    missing = {key for key in keys if not _stays(broker, broker.leadership.leader(*key))}
    done = asyncio.Event()

    def on_leader(key: PartitionKey, leader: Leader) -> None:
        if key in missing and _stays(broker, leader):
            missing.discard(key)
            if not missing:
                done.set()

    if missing and deadline > asyncio.get_running_loop().time():
        unsubscribe = broker.leadership.subscribe(on_leader)
        try:
            async with asyncio.timeout_at(deadline):
                await done.wait()
        except TimeoutError:
            pass
        finally:
            unsubscribe()


def _stays(broker: "Broker", leader: Leader | None) -> bool:
    return leader is not None and leader.node not in (NO_NODE, *broker.metadata.image.fenced)
