"""UpdateFeatures (key 57), versions 0 to 2: changes levels of features (KIP-584).

The controller decides, on all of them together, as Kafka's does (`cluster/metadata/features.py`). Kafka's own
features have one level each here; a request for that level succeeds.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.deadlines import deadline_after
from chronik.broker.needs import Needs, on_cluster
from chronik.cluster.metadata.features import UpdateFeatures
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import FeatureUpdate, UpgradeType
from chronik.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

_FIRST_VERSION_WITH_UPGRADE_TYPE = 1


NEEDS = Needs(whole=(on_cluster(AclOperation.ALTER),))


async def handle(
    broker: Broker, context: RequestContext, request: UpdateFeaturesRequest
) -> UpdateFeaturesResponse:
    updates = [
        FeatureUpdate(asked.feature, asked.max_version_level, _upgrade_type(context.api_version, asked))
        for asked in request.feature_updates
    ]
    deadline = deadline_after(request.timeout_ms)
    try:
        await broker.metadata.submit(
            UpdateFeatures(updates=updates), validate_only=request.validate_only, deadline=deadline
        )
    except KafkaError as error:
        if error.code is not ErrorCode.INVALID_UPDATE_VERSION:
            raise
        message = f"The update failed for all features since the following feature had an error: {error}"
        return on_error(request, error.code, message)
    return UpdateFeaturesResponse(
        error_message=None,
        # Kafka's text for each one that went well, in the versions that have it.
        results=[
            UpdatableFeatureResult(feature=update.feature, error_message=ErrorCode.NONE.name)
            for update in updates
        ],
    )


def on_error(request: UpdateFeaturesRequest, code: ErrorCode, message: str | None) -> UpdateFeaturesResponse:
    return UpdateFeaturesResponse(error_code=code, error_message=message)


def _upgrade_type(api_version: int, asked: FeatureUpdateKey) -> int:
    if api_version >= _FIRST_VERSION_WITH_UPGRADE_TYPE:
        return asked.upgrade_type
    return UpgradeType.SAFE_DOWNGRADE if asked.allow_downgrade else UpgradeType.UPGRADE
