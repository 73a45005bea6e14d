"""SaslAuthenticate (key 36), versions 0 to 2: see SaslHandshake."""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse

NEEDS = Needs(because="it is how clients authenticate")


async def handle(
    broker: Broker, context: RequestContext, request: SaslAuthenticateRequest
) -> SaslAuthenticateResponse:
    message = "SaslAuthenticate request received after successful authentication"
    raise KafkaError(ErrorCode.ILLEGAL_SASL_STATE, message)


def on_error(
    request: SaslAuthenticateRequest, code: ErrorCode, message: str | None
) -> SaslAuthenticateResponse:
    return SaslAuthenticateResponse(error_code=code, error_message=message)
