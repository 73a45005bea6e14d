"""UpdateFeatures: what is so is done, everything else is refused in Kafka 4.4's words."""

import pytest

from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from tests.support.broker_room import BrokerRoom

LAST = SUBJECTS.last_level
PREFIX = "The update failed for all features since the following feature had an error: "
VERSIONS = range(3)


def update(feature: str, level: int, upgrade_type: int = 1, *, downgrade: bool = False) -> FeatureUpdateKey:
    return FeatureUpdateKey(
        feature=feature, max_version_level=level, upgrade_type=upgrade_type, allow_downgrade=downgrade
    )


async def ask(version: int, *updates: FeatureUpdateKey) -> UpdateFeaturesResponse:
    room = await BrokerRoom().open()
    request = UpdateFeaturesRequest(feature_updates=list(updates), timeout_ms=1000)
    response = await room.ask(request, version, UpdateFeaturesResponse)
    await room.close()
    return response


@pytest.mark.parametrize("version", VERSIONS)
@virtual
async def test_what_is_so_is_answered_as_done(version: int) -> None:
    response = await ask(
        version,
        update("metadata.version", 33),
        update("metadata.version", 33, 2, downgrade=True),
        update("chronik.metadata.version", LAST),
    )
    assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
    # Version 2 has no results; before it Kafka writes its name of "no error" into them.
    told = [(r.feature, r.error_code, r.error_message) for r in response.results]
    done = [("metadata.version", 0, "NONE")] * 2 + [("chronik.metadata.version", 0, "NONE")]
    assert told == (done if version < 2 else [])
    assert (await ask(version)).error_code == ErrorCode.NONE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("feature", "level", "problem"),
    [
        ("nope", 1, "Local controller 1 does not support this feature."),
        ("nope", 0, "Feature nope not found."),
        ("group.version", 1, "Local controller 1 does not support this feature."),
        ("metadata.version", 34, "Local controller 1 only supports versions 33-33"),
        ("metadata.version", 0, "Local controller 1 only supports versions 33-33"),
        ("chronik.metadata.version", LAST + 1, f"Local controller 1 only supports versions 1-{LAST}"),
        ("chronik.metadata.version", 0, f"Local controller 1 only supports versions 1-{LAST}"),
        ("metadata.version", -1, "A feature version cannot be less than 0."),
    ],
)
@virtual
async def test_the_first_that_cannot_be_fails_all(
    version: int, feature: str, level: int, problem: str
) -> None:
    response = await ask(version, update("metadata.version", 33), update(feature, level), update("x", 7))
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert (
        response.error_message == f"{PREFIX}Invalid update version {level} for feature {feature}. {problem}"
    )
    assert response.results == []


@virtual
async def test_an_unknown_way_to_update() -> None:
    response = await ask(1, update("metadata.version", 33, upgrade_type=9))
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert (response.error_message or "").endswith("The controller does not support the given upgrade type.")
