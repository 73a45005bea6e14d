"""This node's registration: made when it serves, again when it was taken for lost, ended when it stops."""

import asyncio
import logging
from collections.abc import Callable

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.brokers import FenceBroker, RegisterBroker
from chronik.cluster.metadata_service import SUBMIT_SECONDS, MetadataService
from chronik.vocab.errors import KafkaError

_log = logging.getLogger(__name__)

# Between attempts of a node that is fenced: it is connected, or it could not know.
RETRY_SECONDS = 1.0


class Registration:
    """One per node, for the node's life. `on_metadata` is to be subscribed to the metadata."""

    def __init__(self, metadata: MetadataService, describe: Callable[[], RegisterBroker]) -> None:
        """`describe` returns this node's present addresses."""
        self._metadata = metadata
        self._describe = describe
        self._renewal: asyncio.Task[None] | None = None
        # False before the first registration and from the beginning of the end.
        self._is_wanted = False

    async def register(self, deadline: float) -> None:
        """Have this node shown to clients. Due when it has caught up. Raises KafkaError."""
        self._is_wanted = True
        await self._metadata.submit(self._describe(), deadline=deadline)

    async def leave(self, deadline: float) -> None:
        """Unregisters this node before it stops. Raises KafkaError when no node was notified."""
        self._is_wanted = False
        if self._renewal is not None:
            self._renewal.cancel()
        registered = self._metadata.image.brokers.get(self._describe().node)
        if registered is not None:
            fence = FenceBroker(node=registered.node, epoch=registered.epoch)
            await self._metadata.submit(fence, deadline=deadline)

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """A node that reads of its own fencing is live, and registers again."""
        if self._is_wanted and self._renewal is None and self._describe().node in image.fenced:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), name="registration")
            self._renewal.add_done_callback(self._on_renewed)

    async def _renew(self) -> None:
        _log.warning("broker was fenced; it registers again")
        node = self._describe().node
        loop = asyncio.get_running_loop()
        while node in self._metadata.image.fenced:
            try:
                # Only a node with current metadata is of use to clients.
                if await self._metadata.catch_up(loop.time() + SUBMIT_SECONDS):
                    await self._metadata.submit(self._describe())
                    return
            except KafkaError as error:
                _log.warning("could not register with the controller", extra={"error": str(error)})
            await asyncio.sleep(RETRY_SECONDS)

    def _on_renewed(self, renewal: "asyncio.Task[None]") -> None:
        self._renewal = None
        if not renewal.cancelled() and (error := renewal.exception()) is not None:
            _log.error("could not register with the controller", exc_info=error)
