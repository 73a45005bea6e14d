"""Nodes that have applied the same records of `__meta` know the same cluster."""

import zlib

from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.vocab.ids import Offset


class ImageCheck:
    """`watch` each life of each node."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        # Checksums of images by the offset up to which they count.
        self._known: dict[Offset, int] = {}
        self.images_compared = 0

    def watch(self, node: SimNode) -> None:
        """Compares the image after each change. The replay at its start is compared by the next change."""
        node.broker.metadata.subscribe(lambda delta, image: self._compare(node))

    def _compare(self, node: SimNode) -> None:
        offset, data = node.broker.metadata.snapshot()
        checksum = zlib.crc32(data)
        known = self._known.setdefault(offset, checksum)
        self.images_compared += 1
        if known != checksum:
            self._problems.add(f"node {node.node}: its image at {offset} is not what another had there")
