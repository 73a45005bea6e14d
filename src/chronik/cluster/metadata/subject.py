"""The parts of a metadata subject: the seam between its module and everything that is generic.

A subject owns kinds of records. Their sum is its sub-image; a step from one sub-image to the next gives its
changes. It answers commands with records, and decides purely. Codec, log, snapshot, delta and the way to the
controller know subjects only through these values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from chronik.cluster.image import ClusterImage
    from chronik.cluster.metadata.premises import Premises
    from chronik.vocab.seams import Randomness

# A frozen value of a kind that a subject owns. `RecordForm` defines its stored form.
MetadataRecord = Any

# A frozen value of a kind that a subject decides on.
Command = Any

# What existed before there were levels.
FIRST_LEVEL = 1

E = TypeVar("E")


class Edits(Protocol):
    """The edits of all subjects in one step."""

    def edit(self, kind: type["SubImage[E]"]) -> E:
        """Returns the edit of the subject whose sub-image is of `kind`."""
        ...


class Edit(Protocol):
    """One step of a sub-image. Unusable after `finish`.

    A step takes many records, because a value per record would cost the square of a topic's partitions.
    """

    def apply(self, record: MetadataRecord, edits: Edits) -> None:
        """Take in one of the subject's records, or of those it follows. Raises InvariantViolation for one
        that does not fit: the controller makes no such records.
        """
        ...

    def finish(self) -> tuple[Any, Any]:
        """Returns the next sub-image, and its changes as a value of the subject's `changes`."""
        ...


E_co = TypeVar("E_co", covariant=True)


class SubImage(Protocol[E_co]):
    """The sum of a subject's committed records: a value. Created without arguments it is empty."""

    def edit(self) -> E_co: ...

    def records(self) -> Iterator[MetadataRecord]:
        """Records that make it out of nothing, for a snapshot."""
        ...

    def changes_since(self, old: Any) -> Any:
        """Returns the changes from `old` to this later one, where records are not at hand because of a
        snapshot.
        """
        ...


class RecordForm(NamedTuple):
    """A kind of record, and how it is stored: under its class's name, as one line of JSON of its fields."""

    kind: type
    # Raised when a reader of the version before would be wrong to go on. Fields may be added without.
    version: int = 1
    # The cluster's level from which it may be written.
    level: int = FIRST_LEVEL
    # Whether a node that does not know it, or not its version, may pass over it: it keeps the record for its
    # snapshots and goes on. Such a record must fit any image, for it may be applied late.
    is_ignorable: bool = False
    # Replaces the generic codec, for stored forms older than it.
    write: Callable[[Any], Mapping[str, Any]] | None = None
    read: Callable[[Mapping[str, Any]], MetadataRecord] | None = None

    @property
    def name(self) -> str:
        return self.kind.__name__


class CommandForm(NamedTuple):
    """A kind of command, and who decides on it."""

    kind: type
    # The records that carry it out, to be committed together; none when it is so already. Raises KafkaError.
    decide: Callable[["ClusterImage", Any, "Premises"], Sequence[MetadataRecord]]
    level: int = FIRST_LEVEL
    # Carried out twice it has the effect of once, or costs nothing: it may be sent again when its answer was
    # lost.
    is_repeatable: bool = False
    # Completes a command before it is first sent, so that it is repeatable.
    prepare: Callable[[Any, "Randomness"], Command] | None = None
    # Returns the changes of a repeated command that leaves no records, as `Subject.changes`.
    repeated: Callable[["ClusterImage", Any], Any] | None = None

    @property
    def name(self) -> str:
        return self.kind.__name__


class Subject(NamedTuple):
    """One line of the table."""

    name: str
    # Classes: of the sub-image, and of its changes, each field of it with a default.
    image: type
    changes: type
    records: Sequence[RecordForm]
    commands: Sequence[CommandForm] = ()
    # Other subjects' records that its edit is shown before their owner's.
    follows: Sequence[type] = ()
