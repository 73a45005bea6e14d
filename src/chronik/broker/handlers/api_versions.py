"""ApiVersions (key 18), versions 0 to 4: which requests this broker answers, in which versions.

An unknown version is answered by the dispatcher with a version 0 body (KIP-511). No features are finalized:
none of them changes what a client of this broker may send.
"""

import re

from chronik.broker.context import Broker, RequestContext
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse

# KIP-511: what a client may call itself.
_SOFTWARE_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.\-]*[a-zA-Z0-9])?")
_FIRST_VERSION_WITH_SOFTWARE = 3

# librdkafka stops compressing when these are missing (KAFKA-18659); Produce answers them with an error.
_ADVERTISED_FROM = {ApiKey.PRODUCE: 0}


async def handle(broker: Broker, context: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    if context.api_version >= _FIRST_VERSION_WITH_SOFTWARE and not _is_valid(request):
        return on_error(request, ErrorCode.INVALID_REQUEST, None)
    return on_error(request, ErrorCode.NONE, None)


def on_error(request: ApiVersionsRequest | None, code: ErrorCode, message: str | None) -> ApiVersionsResponse:
    """The ranges are told in any case, so that a client can choose again."""
    return ApiVersionsResponse(
        error_code=code,
        api_keys=[
            ApiVersion(
                api_key=key, min_version=_ADVERTISED_FROM.get(key, versions.first), max_version=versions.last
            )
            for key, versions in sorted(SUPPORTED.items())
        ],
    )


def _is_valid(request: ApiVersionsRequest) -> bool:
    return all(
        _SOFTWARE_NAME.fullmatch(text)
        for text in (request.client_software_name, request.client_software_version)
    )
