"""ApiVersions (key 18), versions 0 to 5: the requests this broker answers, their versions, and its features
(KIP-584).

An unknown version is answered by the dispatcher with a version 0 body that names the range of this API alone,
as Kafka does (KIP-511). From version 5 a client names the cluster and node it means to reach (KIP-1242): if
that is another, it has to start over from its bootstrap servers. Answers with an error name no ranges.
"""

import re

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs
from chronik.vocab.errors import ErrorCode
from chronik.vocab.features import KAFKA_FEATURES, METADATA_LEVEL
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

# KIP-511: the allowed form of a client's software name.
_SOFTWARE_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.\-]*[a-zA-Z0-9])?")
_FIRST_VERSION_WITH_SOFTWARE = 3
_FIRST_VERSION_WITH_NODE = 5
_NO_NODE = -1

# librdkafka stops compressing when these are missing (KAFKA-18659); Produce answers them with an error.
_ADVERTISED_FROM = {ApiKey.PRODUCE: 0}


NEEDS = Needs(because="clients ask before they authenticate")


async def handle(broker: Broker, context: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    error = _problem(broker, context.api_version, request)
    if error is not ErrorCode.NONE:
        return on_error(request, error, None)
    context.session.client_software_name = request.client_software_name
    context.session.client_software_version = request.client_software_version
    return ApiVersionsResponse(
        api_keys=[_range(key) for key in sorted(SUPPORTED)],
        supported_features=[
            SupportedFeatureKey(name=known.name, min_version=known.first, max_version=known.last)
            for known in (*KAFKA_FEATURES.values(), broker.metadata.levels)
        ],
        finalized_features_epoch=broker.metadata.applied_offset,
        finalized_features=[
            *(_finalized(known.name, known.last) for known in KAFKA_FEATURES.values()),
            _finalized(METADATA_LEVEL, broker.metadata.image.metadata_level),
        ],
    )


def on_error(request: ApiVersionsRequest, code: ErrorCode, message: str | None) -> ApiVersionsResponse:
    """An unknown version is answered with what helps to choose again, anything else without ranges."""
    ranges = [_range(ApiKey.API_VERSIONS)] if code is ErrorCode.UNSUPPORTED_VERSION else []
    return ApiVersionsResponse(error_code=code, api_keys=ranges)


def _finalized(name: str, level: int) -> FinalizedFeatureKey:
    return FinalizedFeatureKey(name=name, min_version_level=level, max_version_level=level)


def _range(key: ApiKey) -> ApiVersion:
    versions = SUPPORTED[key]
    return ApiVersion(
        api_key=key, min_version=_ADVERTISED_FROM.get(key, versions.first), max_version=versions.last
    )


def _problem(broker: Broker, api_version: int, request: ApiVersionsRequest) -> ErrorCode:
    if api_version >= _FIRST_VERSION_WITH_SOFTWARE and not _has_software(request):
        return ErrorCode.INVALID_REQUEST
    if api_version < _FIRST_VERSION_WITH_NODE:
        return ErrorCode.NONE
    if (request.cluster_id is None) != (request.node_id == _NO_NODE):
        return ErrorCode.INVALID_REQUEST
    if request.cluster_id is None:
        return ErrorCode.NONE
    is_this_node = (request.cluster_id, request.node_id) == (broker.cluster_id, broker.node_id)
    return ErrorCode.NONE if is_this_node else ErrorCode.REBOOTSTRAP_REQUIRED


def _has_software(request: ApiVersionsRequest) -> bool:
    return all(
        _SOFTWARE_NAME.fullmatch(text)
        for text in (request.client_software_name, request.client_software_version)
    )
