"""Partitions whose leader will be known in a moment: answers that name leaders wait for it.

A partition can be led when a majority of its replicas is connected. One that has never had a leader is being
created; one whose leader is lost elects another, in a fraction of a second; one whose leader stops is being
transferred. A leader whose node has missed heartbeats recovers, or another leads soon: a client that requests
metadata then mostly does so because it got no answer either; told the same leader again, it would send there
again, and get no answer again. Anything else needs an operator, and is not waited for.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.leadership import Leader, PartitionKey
from chronik.cluster.metadata.topics import TopicImage
from chronik.vocab.ids import NO_NODE, NodeId

if TYPE_CHECKING:
    from chronik.broker.context import Broker

# A few rounds of votes: if another node is lost after this time, the client may as well ask again.
_ELECTION_SECONDS = 0.5


class Unled(NamedTuple):
    """Partitions that will soon be led."""

    # Never had a leader.
    created: list[PartitionKey]
    # The leader resigned, is lost, is leaving or has missed heartbeats.
    electing: list[PartitionKey]

    def __bool__(self) -> bool:
        return bool(self.created or self.electing)


def soon_led(broker: "Broker", topics: Iterable[TopicImage]) -> Unled:
    """Returns those partitions of `topics` that are worth waiting for."""
    unled = Unled([], [])
    live = broker.peers.live()
    heard = live - broker.leadership.unheard
    for topic in topics:
        leaders = broker.leadership.leaders(topic.topic_id)
        for index in _unled(broker, topic):
            replicas = topic.partitions[index].nodes
            key = PartitionKey(topic.topic_id, index)
            if index not in leaders:
                if _is_majority(live, replicas):
                    unled.created.append(key)
            elif len(replicas) > 1 and _is_majority(heard, replicas):
                # A group of one whose log failed has no leader any more.
                unled.electing.append(key)
    return unled


def _is_majority(nodes: frozenset[NodeId], replicas: Iterable[NodeId]) -> bool:
    there = [node in nodes for node in replicas]
    return 2 * sum(there) > len(there)


def _unled(broker: "Broker", topic: TopicImage) -> Iterator[int]:
    leader, unstable = broker.leadership.leader, _unstable(broker)
    for index in range(len(topic.partitions)):
        found = leader(topic.topic_id, index)
        if found is None or found.node in unstable:
            yield index


async def wait_until_led(broker: "Broker", unled: Unled, now: float, deadline: float) -> None:
    """Waits for leaders. `now` and `deadline` are on the loop's clock, in seconds; the wait for elections
    is shorter.
    """
    await wait_until_elected(broker, unled.electing, min(now + election_seconds(broker), deadline))
    # Partitions of a topic that was deleted in the meantime will have no leader.
    known = broker.metadata.image.topics_by_id
    await broker.leadership.wait_for([key for key in unled.created if key.topic_id in known], deadline)


def election_seconds(broker: "Broker") -> float:
    """How long to wait for a leader: longer while a silent node has not yet been declared lost."""
    if not broker.leadership.unheard:
        return _ELECTION_SECONDS
    return _ELECTION_SECONDS + broker.settings.int("controller.quorum.election.timeout.ms") / 1000


async def wait_until_elected(broker: "Broker", keys: Iterable[PartitionKey], deadline: float) -> None:
    """Wait until each of `keys` has a leader that stays, or `deadline` on the loop's clock, in seconds."""
    leader = broker.leadership.leader
    missing = {key for key in keys if not _stays(broker, leader(*key))}
    done = asyncio.Event()

    def on_leader(key: PartitionKey, leader: Leader) -> None:
        if key in missing and _stays(broker, leader):
            missing.discard(key)
            if not missing:
                done.set()

    def on_heard() -> None:
        for key in list(missing):
            found = leader(*key)
            if found is not None:
                on_leader(key, found)

    if missing and deadline > asyncio.get_running_loop().time():
        subscriptions = [broker.leadership.subscribe(on_leader), broker.leadership.subscribe_heard(on_heard)]
        try:
            async with asyncio.timeout_at(deadline):
                await done.wait()
        except TimeoutError:
            pass
        finally:
            for unsubscribe in subscriptions:
                unsubscribe()


def _stays(broker: "Broker", leader: Leader | None) -> bool:
    return leader is not None and leader.node != NO_NODE and leader.node not in _unstable(broker)


def _unstable(broker: "Broker") -> frozenset[NodeId]:
    return broker.metadata.image.fenced | broker.leadership.unheard
