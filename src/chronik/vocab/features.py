"""Features of the cluster (KIP-584): the level that Kafka's tools show, and how it may change.

`metadata.version` stands for the release whose behaviour and API versions are served; administrators' tools
show it as the cluster's version. The metadata log here has a format of its own, whose level has a name and
numbers of its own: `chronik.metadata.version` (`cluster.metadata.features`). Of Kafka's there is no other
level to go to, so one is both the lowest and the highest. Kafka's further features stand for protocols that
are not served (`group.version` for KIP-848, `transaction.version` for KIP-890, `share.version`,
`streams.version`), for things that Raft does not need (`eligible.leader.replicas.version`) and for changes of
controllers by Kafka's own means (`kraft.version`): a feature that is not named is not supported.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

# What Kafka calls 4.4-IV2.
METADATA_VERSION: Final = 33


# The level of the metadata log.
METADATA_LEVEL: Final = "chronik.metadata.version"


class FeatureRange(NamedTuple):
    """The levels of a feature that a node supports."""

    name: str
    first: int
    last: int


# With one level each, which is in force.
KAFKA_FEATURES: Final = {
    "metadata.version": FeatureRange("metadata.version", METADATA_VERSION, METADATA_VERSION)
}


class UpgradeType(IntEnum):
    """The direction in which UpdateFeatures may change a level."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class FeatureUpdate(NamedTuple):
    """One level in an UpdateFeatures request. `upgrade_type` is a number, known here or not."""

    feature: str
    level: int
    upgrade_type: int


def update_problem(update: FeatureUpdate, controller: str, known: Mapping[str, FeatureRange]) -> str | None:
    """Returns the reason why a level can never be in force, in Kafka's words; None when it can.

    `controller` names the deciding node, and `known` has the levels it supports.
    """
    if update.upgrade_type not in list(UpgradeType):
        return "The controller does not support the given upgrade type."
    if update.level < 0:
        return "A feature version cannot be less than 0."
    levels = known.get(update.feature)
    if levels is None:
        if update.level == 0:
            return f"Feature {update.feature} not found."
        return f"{controller} does not support this feature."
    return not_supported(update.level, controller, levels)


def not_supported(level: int, who: str, known: FeatureRange) -> str | None:
    """Returns why `who` cannot go to a level; None when it can."""
    if known.first <= level <= known.last:
        return None
    return f"{who} only supports versions {known.first}-{known.last}"
