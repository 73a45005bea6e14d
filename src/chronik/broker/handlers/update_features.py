"""UpdateFeatures (key 57), versions 0 to 2: change levels of features (KIP-584).

Every feature has one level here (see `vocab/features.py`), so an update either asks for what is so, which is
answered as done, or is refused with the reason; all of them together, as by Kafka. `validate_only` makes no
difference.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.vocab.features import FeatureUpdate, UpgradeType, update_problem
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
    controller = broker.quorum.leader
    problem = update_problem(updates, broker.node_id if controller is None else controller)
    if problem is not None:
        message = "The update failed for all features since the following feature had an error: " + problem
        return on_error(request, ErrorCode.INVALID_UPDATE_VERSION, message)
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
