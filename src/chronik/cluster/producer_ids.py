"""Producer ids for this node's clients, out of blocks that the controller allocates to it (KIP-730)."""

import asyncio

from chronik.cluster.metadata.producer_ids import PRODUCER_ID_BLOCK, AllocateProducerIds, ProducerIdBlock
from chronik.cluster.metadata_service import MetadataService
from chronik.vocab.ids import NodeId, ProducerId

# With this many ids left the next block is requested, so that no producer waits for a commit (Kafka's own
# tenth).
PREFETCH_BELOW = PRODUCER_ID_BLOCK // 10


class ProducerIds:
    """One per node, for the node's life. The rest of a block is never used after the process ends."""

    def __init__(self, metadata: MetadataService, node: NodeId) -> None:
        self._metadata = metadata
        self._node = node
        # Invariant: ids from _next up to _end belong to this node and were never handed out.
        self._next = ProducerId(0)
        self._end = ProducerId(0)
        self._following: ProducerIdBlock | None = None
        self._fetch: asyncio.Task[None] | None = None

    async def next(self) -> ProducerId:
        """An id that no producer has had. Raises KafkaError when the controller gives no more."""
        while self._next == self._end and not self._advance():
            await asyncio.shield(self._fetching())
        producer_id = self._next
        self._next = ProducerId(producer_id + 1)
        if self._end - self._next < PREFETCH_BELOW and self._following is None:
            self._fetching()
        return producer_id

    def _advance(self) -> bool:
        """Begin the block that was fetched, if there is one."""
        if self._following is None:
            return False
        self._next, self._end = self._following.first, self._following.end
        self._following = None
        return True

    def _fetching(self) -> asyncio.Task[None]:
        """The one request for the following block that is under way."""
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._fetch_following(), name="producer-ids")
            self._fetch.add_done_callback(self._on_fetched)
        return self._fetch

    async def _fetch_following(self) -> None:
        delta = await self._metadata.submit(AllocateProducerIds(node=self._node))
        (self._following,) = delta.producer_ids_allocated

    def _on_fetched(self, fetch: asyncio.Task[None]) -> None:
        self._fetch = None
        if not fetch.cancelled():
            # Retrieved, so that it is not reported as lost: waiters receive it, and after a failed prefetch
            # the next request without ids tries again.
            fetch.exception()
