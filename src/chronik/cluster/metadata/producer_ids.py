"""Producer ids: which are given out, in blocks that nodes hand out on their own (KIP-730)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.metadata.subject import CommandForm, Edits, MetadataRecord, RecordForm, Subject
from chronik.vocab.ids import NO_NODE, NodeId, ProducerId
from chronik.vocab.invariant import invariant

if TYPE_CHECKING:
    from chronik.cluster.image import ClusterImage
    from chronik.cluster.metadata.premises import Premises

FIRST_PRODUCER_ID = ProducerId(0)

# Kafka's ProducerIdsBlock: large enough that a node asks rarely, small enough that restarts do not eat up the
# ids.
PRODUCER_ID_BLOCK = 1000


class ProducerIdsAllocated(NamedTuple):
    """A node may hand out the producer ids from `first` up to `end` (exclusive)."""

    node: NodeId
    first: ProducerId
    end: ProducerId


class ProducerIdBlock(NamedTuple):
    """Producer ids from `first` up to `end` (exclusive) that one node may hand out."""

    node: NodeId
    first: ProducerId
    end: ProducerId


class ProducerIdChanges(NamedTuple):
    """Changes of producer ids. Empty, because unknown, where a snapshot came in between: only the
    requester needs it.
    """

    producer_ids_allocated: tuple[ProducerIdBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIds:
    """How far producer ids are allocated."""

    # Never decreases, so that no two producers ever share an id.
    next: ProducerId = FIRST_PRODUCER_ID

    def edit(self) -> "ProducerIdsEdit":
        return ProducerIdsEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        if self.next != FIRST_PRODUCER_ID:
            yield ProducerIdsAllocated(node=NO_NODE, first=FIRST_PRODUCER_ID, end=self.next)

    def changes_since(self, old: "ProducerIds") -> ProducerIdChanges:
        return ProducerIdChanges()


class ProducerIdsEdit:
    """See `subject.Edit`."""

    def __init__(self, base: ProducerIds) -> None:
        self._next = base.next
        self._blocks: list[ProducerIdBlock] = []

    def apply(self, record: ProducerIdsAllocated, edits: Edits) -> None:
        invariant(
            self._next <= record.first < record.end,
            "producer ids {} to {} are allocated although {} is next",
            record.first,
            record.end,
            self._next,
        )
        self._next = record.end
        self._blocks.append(ProducerIdBlock(record.node, record.first, record.end))

    def finish(self) -> tuple[ProducerIds, ProducerIdChanges]:
        return ProducerIds(next=self._next), ProducerIdChanges(producer_ids_allocated=tuple(self._blocks))


class AllocateProducerIds(NamedTuple):
    """A node requests the next block of producer ids."""

    node: NodeId


def allocate_producer_ids(
    image: "ClusterImage", command: AllocateProducerIds, premises: "Premises"
) -> list[MetadataRecord]:
    """The block behind all that are given out."""
    first = image.next_producer_id
    return [ProducerIdsAllocated(node=command.node, first=first, end=ProducerId(first + PRODUCER_ID_BLOCK))]


SUBJECT = Subject(
    name="producer_ids",
    image=ProducerIds,
    changes=ProducerIdChanges,
    records=(RecordForm(kind=ProducerIdsAllocated),),
    # A block that is lost with its answer costs nothing but its ids.
    commands=(CommandForm(kind=AllocateProducerIds, decide=allocate_producer_ids, is_repeatable=True),),
)
