"""The shares of the time between the first metadata request for a topic and its first acknowledged record."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from chronik.wire.apis import ApiKey
from tests.proofs.cluster.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """In seconds."""

    # From the first Metadata request that names the topic to the acknowledgement.
    wire: float
    # What the nodes took of it: `metadata`, and the time from the Produce request to its answer.
    nodes: float
    # Answering Metadata requests, before the record went out: this is where the topic is created.
    metadata: float

    @classmethod
    def of(cls, exchanges: Iterable[Exchange], topic: str) -> Self:
        """Raises ValueError when no record of the topic was acknowledged."""
        of_topic = [exchange for exchange in exchanges if topic in exchange.topics()]
        produced = [exchange for exchange in of_topic if exchange.api is ApiKey.PRODUCE]
        if not produced:
            raise ValueError(f"no answer to a Produce request for {topic} was heard")
        # Clients may ask several times, also at once, and again when the record is on its way.
        asked = [
            exchange
            for exchange in of_topic
            if exchange.api is ApiKey.METADATA and exchange.answered_at <= produced[0].asked_at
        ]
        metadata = covered((exchange.asked_at, exchange.answered_at) for exchange in asked)
        return cls(
            wire=produced[0].answered_at - min(exchange.asked_at for exchange in asked),
            nodes=metadata + produced[0].seconds,
            metadata=metadata,
        )


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans of time."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
