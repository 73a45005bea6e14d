"""The steps of a node for its own replica of a partition, by the metadata's placement.

A step is a function of the image and of the local state, so a step that a crash interrupts is taken again at
the next start, or with the next image (decision 0019, "Replicas").
"""

from enum import Enum

from chronik.cluster.metadata.replicas import PartitionImage
from chronik.vocab.ids import NodeId


class LocalStep(Enum):
    """See `local_step`."""

    # Neither is there a replica here nor shall there be one.
    NONE = "none"
    # The image is older than this node's state: a crash lost its end.
    WAIT = "wait"
    DELETE = "delete"
    MAKE = "make"
    # Delete, then create: the replica here was removed, and its promises are not those of the new one.
    REMAKE = "remake"
    # Give the present replica the others' names.
    CHANGE = "change"


def local_step(image: PartitionImage, node: NodeId, here: int | None) -> LocalStep:
    """`here`: the revision of the replica of `node` that is on its disk, if any. The first row that applies:

    | the image                            | here              | step   |
    | ------------------------------------ | ----------------- | ------ |
    | has a lower revision                 | a replica         | WAIT   |
    | gives the node no replica            | none              | NONE   |
    | gives the node no replica            | a replica         | DELETE |
    | gives it one                         | none              | MAKE   |
    | gives it one                         | an earlier one    | REMAKE |
    | gives it one                         | this one          | CHANGE |
    """
    wanted = image.revision_of(node)
    if here is None:
        return LocalStep.NONE if wanted is None else LocalStep.MAKE
    if image.revision < here:
        return LocalStep.WAIT
    if wanted is None:
        return LocalStep.DELETE
    return LocalStep.REMAKE if here < wanted else LocalStep.CHANGE
