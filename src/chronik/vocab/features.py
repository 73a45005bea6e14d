"""Features of the cluster (KIP-584): what Kafka's tools show as its level, and how it may change.

`metadata.version` stands for the release whose behaviour and API versions are served; administrators' tools
show it as the cluster's version. The metadata log here has a format of its own, so there is no other level to
go to, and one level is both the lowest and the highest. Kafka's further features stand for protocols that
are not served (`group.version` for KIP-848, `transaction.version` for KIP-890, `share.version`,
`streams.version`), for what Raft has no need of (`eligible.leader.replicas.version`) and for changes of
controllers by Kafka's own means (`kraft.version`): a feature that is not named is not supported.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

# What Kafka calls 4.4-IV2.
METADATA_VERSION: Final = 33


class FeatureLevels(NamedTuple):
    """Levels that every node knows, and the one that is in force."""

    first: int
    last: int
    finalized: int


FEATURES: Final = {"metadata.version": FeatureLevels(METADATA_VERSION, METADATA_VERSION, METADATA_VERSION)}


class UpgradeType(IntEnum):
    """Which way UpdateFeatures may change a level."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class FeatureUpdate(NamedTuple):
    """One level that UpdateFeatures asks for. `upgrade_type` is a number, known here or not."""

    feature: str
    level: int
    upgrade_type: int


def update_problem(updates: Iterable[FeatureUpdate], controller: int) -> str | None:
    """Returns why the first level that cannot be in force cannot, in Kafka's words; None when all can."""
    for update in updates:
        problem = _problem(update, controller)
        if problem is not None:
            return f"Invalid update version {update.level} for feature {update.feature}. {problem}"
    return None


def _problem(update: FeatureUpdate, controller: int) -> str | None:
    if update.upgrade_type not in list(UpgradeType):
        return "The controller does not support the given upgrade type."
    if update.level < 0:
        return "A feature version cannot be less than 0."
    levels = FEATURES.get(update.feature)
    if levels is None:
        if update.level == 0:
            return f"Feature {update.feature} not found."
        return f"Local controller {controller} does not support this feature."
    if not levels.first <= update.level <= levels.last:
        return f"Local controller {controller} only supports versions {levels.first}-{levels.last}"
    return None
