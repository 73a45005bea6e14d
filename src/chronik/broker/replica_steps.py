"""What a node does about its own replica of a partition when the metadata says where the partition lives.

A step is a function of the image and of what is here, so whatever a crash interrupts is taken up again at the
next start, or with the next image (decision 0019, "Replicas").
"""

from enum import Enum

from chronik.cluster.metadata.replicas import PartitionImage
from chronik.vocab.ids import NodeId


class LocalStep(Enum):
    """See `local_step`."""

    # Neither is there a replica here nor shall there be one.
    NONE = "none"
    # The image is behind what this node has seen: a crash took its end.
    WAIT = "wait"
    DELETE = "delete"
    MAKE = "make"
    # Delete, then make: the replica here was removed, and what it promised is no promise of the new one.
    REMAKE = "remake"
    # Tell the replica that is here who the others are.
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
