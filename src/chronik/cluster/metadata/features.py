"""Features: the level of the metadata that is in force (KIP-584), in numbers of our own.

Level 1 is the state before there were levels. A kind of record, or of command, of level n may be used when
the cluster's level is n: then every registered node knows it. A new cluster begins at the last level known to
both the deciding node and the first one to register; otherwise UpdateFeatures raises it.

A level is never lowered. Each has kinds of records that the one before does not know, and the log of every
node may hold some, so that a release of the earlier level could not read it: Kafka's rule, which refuses a
downgrade that might delete metadata, refuses every one here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from chronik.cluster.metadata.brokers import RegisterBroker, level_range
from chronik.cluster.metadata.subject import (
    FIRST_LEVEL,
    Command,
    CommandForm,
    Edits,
    MetadataRecord,
    RecordForm,
    Subject,
)
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import (
    KAFKA_FEATURES,
    METADATA_LEVEL,
    FeatureRange,
    FeatureUpdate,
    UpgradeType,
    not_supported,
    update_problem,
)

if TYPE_CHECKING:
    from chronik.cluster.image import ClusterImage
    from chronik.cluster.metadata.premises import Premises


class FeatureLevel(NamedTuple):
    """A feature of the cluster is at this level from here on."""

    name: str
    level: int


class FeatureChanges(NamedTuple):
    """Changes of features."""

    features_changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features that were ever raised."""

    levels: Mapping[str, int] = field(default_factory=dict)

    @property
    def metadata_level(self) -> int:
        return self.levels.get(METADATA_LEVEL, FIRST_LEVEL)

    def edit(self) -> "FeaturesEdit":
        return FeaturesEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        for name, level in self.levels.items():
            yield FeatureLevel(name=name, level=level)

    def changes_since(self, old: "Features") -> FeatureChanges:
        names = (name for name, level in self.levels.items() if old.levels.get(name) != level)
        return FeatureChanges(features_changed=tuple(names))


class FeaturesEdit:
    """See `subject.Edit`."""

    def __init__(self, base: Features) -> None:
        self._base = base
        self._levels = dict(base.levels)

    def apply(self, record: FeatureLevel, edits: Edits) -> None:
        self._levels[record.name] = record.level

    def finish(self) -> tuple[Features, FeatureChanges]:
        image = Features(levels=self._levels)
        return image, image.changes_since(self._base)


class UpdateFeatures(NamedTuple):
    """Change levels of features, all of them or none."""

    updates: Sequence[FeatureUpdate]


def update_features(
    image: "ClusterImage", command: UpdateFeatures, premises: "Premises"
) -> list[MetadataRecord]:
    """Returns records for the new levels; none for those in force. Raises KafkaError
    INVALID_UPDATE_VERSION.
    """
    for update in command.updates:
        problem = _problem(image, update, premises)
        if problem is not None:
            message = f"Invalid update version {update.level} for feature {update.feature}. {problem}"
            raise KafkaError(ErrorCode.INVALID_UPDATE_VERSION, message)
    level = image.metadata_level
    return [
        FeatureLevel(name=update.feature, level=update.level)
        for update in command.updates
        if update.feature == METADATA_LEVEL and update.level != level
    ]


def _problem(image: "ClusterImage", update: FeatureUpdate, premises: "Premises") -> str | None:
    """Returns the reason for a refusal, in Kafka's words."""
    own = FeatureRange(METADATA_LEVEL, FIRST_LEVEL, premises.last_level)
    known = {**KAFKA_FEATURES, METADATA_LEVEL: own}
    problem = update_problem(update, f"Local controller {premises.node}", known)
    if problem is not None or update.feature != METADATA_LEVEL:
        return problem
    for node, broker in image.brokers.items():
        problem = not_supported(update.level, f"Broker {node}", level_range(broker.features))
        if problem is not None:
            return problem
    return _direction_problem(update, image.metadata_level)


def _direction_problem(update: FeatureUpdate, level: int) -> str | None:
    if update.level > level and update.upgrade_type != UpgradeType.UPGRADE:
        return "Can't downgrade to a newer version."
    if update.level < level:
        match update.upgrade_type:
            case UpgradeType.UPGRADE:
                return (
                    "Can't downgrade the version of this feature without setting the upgrade type to either "
                    "safe or unsafe downgrade."
                )
            case UpgradeType.SAFE_DOWNGRADE:
                return (
                    "Refusing to perform the requested downgrade because it might delete "
                    "metadata information."
                )
            case _:
                return "Unsafe metadata downgrade is not supported in this version."
    return None


def first_records(image: "ClusterImage", command: Command, premises: "Premises") -> list[MetadataRecord]:
    """The level that a new cluster begins at, with its first registration. None at any other time."""
    if image.brokers or not isinstance(command, RegisterBroker):
        return []
    level = min(level_range(command.features).last, premises.last_level)
    return [FeatureLevel(name=METADATA_LEVEL, level=level)] if level > image.metadata_level else []


def check_level(image: "ClusterImage", needed: int, what: str) -> None:
    """Raises UNSUPPORTED_VERSION for what needs a later level than is in force."""
    level = image.metadata_level
    if needed > level:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"{what} needs level {needed} of {METADATA_LEVEL}, and the cluster is at {level}: when all nodes "
            f"run a release that knows it, raise it with UpdateFeatures (kafka-features upgrade --feature "
            f"{METADATA_LEVEL}={needed})",
        )


def level_problem(image: "ClusterImage", last_level: int) -> str | None:
    """Returns the reason why a node that knows levels up to `last_level` cannot use `image`; None when it
    can.
    """
    level = image.metadata_level
    if level <= last_level:
        return None
    return (
        f"the cluster's {METADATA_LEVEL} is {level}, and this release knows levels {FIRST_LEVEL} to "
        f"{last_level}: start a release that knows level {level}; a level is never lowered"
    )


SUBJECT = Subject(
    name="features",
    image=Features,
    changes=FeatureChanges,
    records=(RecordForm(kind=FeatureLevel),),
    # A level in force counts as raised.
    commands=(CommandForm(kind=UpdateFeatures, decide=update_features, is_repeatable=True),),
)
