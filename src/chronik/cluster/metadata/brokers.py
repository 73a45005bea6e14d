"""Brokers: where nodes are reached, and which are fenced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.metadata.subject import (
    FIRST_LEVEL,
    CommandForm,
    Edits,
    MetadataRecord,
    RecordForm,
    Subject,
)
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import METADATA_LEVEL, FeatureRange
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant

if TYPE_CHECKING:
    from chronik.cluster.image import ClusterImage
    from chronik.cluster.metadata.premises import Premises


# Records.


class BrokerEndpoint(NamedTuple):
    """Address of a broker for clients, by listener."""

    listener: str
    host: str
    port: int
    # PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
    security_protocol: str = "PLAINTEXT"


class BrokerRegistered(NamedTuple):
    """A node came up with these addresses. The latest registration of a node counts; it ends its fencing."""

    node: NodeId
    # Names the data directory, not the process: a node that lost its disk registers with another one.
    directory_id: str
    endpoints: tuple[BrokerEndpoint, ...]
    rack: str | None = None
    # Counts the registrations of this node: decisions about an earlier one do not apply to this one.
    epoch: int = 0
    # The levels it supports. None: those of a release that had no levels.
    features: tuple[FeatureRange, ...] = ()


class BrokerFenced(NamedTuple):
    """A node is not to be shown to clients, nor given replicas, until it registers again."""

    node: NodeId


# The sub-image.


class BrokerChanges(NamedTuple):
    """Changes of brokers."""

    brokers_registered: tuple[BrokerRegistered, ...] = ()
    # Newly fenced. Brokers that are no longer fenced have registered.
    brokers_fenced: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """All brokers that ever registered."""

    registered: SharedMap[NodeId, BrokerRegistered] = field(default_factory=SharedMap)
    # Invariant: all of them in `registered`.
    fenced: frozenset[NodeId] = frozenset()

    def edit(self) -> "BrokersEdit":
        return BrokersEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        yield from self.registered.values()
        for node in sorted(self.fenced):
            yield BrokerFenced(node=node)

    def changes_since(self, old: "Brokers") -> BrokerChanges:
        registered = (
            broker for node, broker in self.registered.items() if old.registered.get(node) != broker
        )
        return BrokerChanges(
            brokers_registered=tuple(registered), brokers_fenced=tuple(sorted(self.fenced - old.fenced))
        )


class BrokersEdit:
    """See `subject.Edit`."""

    def __init__(self, base: Brokers) -> None:
        self._base = base
        self._brokers = base.registered.edit()
        self._fenced = base.fenced
        # A dictionary for its order.
        self._registered: dict[NodeId, BrokerRegistered] = {}

    def apply(self, record: BrokerRegistered | BrokerFenced, edits: Edits) -> None:
        if isinstance(record, BrokerRegistered):
            self._brokers[record.node] = record
            self._fenced -= {record.node}
            self._registered[record.node] = record
        else:
            invariant(record.node in self._brokers, "unknown broker {} is fenced", record.node)
            self._fenced |= {record.node}

    def finish(self) -> tuple[Brokers, BrokerChanges]:
        changes = BrokerChanges(
            brokers_registered=tuple(self._registered.values()),
            brokers_fenced=tuple(sorted(self._fenced - self._base.fenced)),
        )
        return Brokers(registered=self._brokers.finish(), fenced=self._fenced), changes


# Commands.


class RegisterBroker(NamedTuple):
    """A node reports its addresses, and that it serves.

    Leaves no record when the registration is unchanged. Ends the node's fencing. A new directory means a
    replaced disk.
    """

    node: NodeId
    directory_id: str
    endpoints: Sequence[BrokerEndpoint]
    rack: str | None = None
    features: Sequence[FeatureRange] = ()


class FenceBroker(NamedTuple):
    """Take a node out of what clients see and out of placement: it is lost, or about to stop.

    Leaves no record when the node has registered again since registration `epoch`, or is unknown or fenced.
    """

    node: NodeId
    epoch: int


# Decisions.


def register_broker(
    image: "ClusterImage", command: RegisterBroker, premises: "Premises"
) -> list[MetadataRecord]:
    """The registration, one more than the last. None when it is known. Raises UNSUPPORTED_VERSION."""
    record = BrokerRegistered(
        node=command.node,
        directory_id=command.directory_id,
        endpoints=tuple(command.endpoints),
        rack=command.rack,
        features=tuple(command.features),
    )
    _check_level(image, command)
    before = image.brokers.get(command.node)
    if before is None:
        return [record]
    if record._replace(epoch=before.epoch) == before and command.node not in image.fenced:
        return []
    return [record._replace(epoch=before.epoch + 1)]


def level_range(features: Sequence[FeatureRange]) -> FeatureRange:
    """The levels of the metadata that a node knows which registered these features."""
    found = (known for known in features if known.name == METADATA_LEVEL)
    return next(found, FeatureRange(METADATA_LEVEL, FIRST_LEVEL, FIRST_LEVEL))


def _check_level(image: "ClusterImage", command: RegisterBroker) -> None:
    level, known = image.metadata_level, level_range(command.features)
    if not known.first <= level <= known.last:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"Unable to register because the broker does not support finalized version {level} of "
            f"{METADATA_LEVEL}. The broker wants a version between {known.first} and {known.last}, "
            f"inclusive: start a release on node {command.node} that knows level {level}",
        )


def fence_broker(image: "ClusterImage", command: FenceBroker, premises: "Premises") -> list[MetadataRecord]:
    """The fencing, unless another registration came in between."""
    registered = image.brokers.get(command.node)
    if registered is None or registered.epoch != command.epoch or command.node in image.fenced:
        return []
    return [BrokerFenced(node=command.node)]


SUBJECT = Subject(
    name="brokers",
    image=Brokers,
    changes=BrokerChanges,
    records=(RecordForm(kind=BrokerRegistered), RecordForm(kind=BrokerFenced)),
    commands=(
        CommandForm(kind=RegisterBroker, decide=register_broker, is_repeatable=True),
        CommandForm(kind=FenceBroker, decide=fence_broker, is_repeatable=True),
    ),
)
