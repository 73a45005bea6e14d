"""SaslHandshake (key 17), versions 0 and 1: all listeners are PLAINTEXT, where a connection counts as
authenticated, and a handshake comes too late. The connection stays open, as Kafka's does.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

NEEDS = Needs(because="it is how clients authenticate")


async def handle(
    broker: Broker, context: RequestContext, request: SaslHandshakeRequest
) -> SaslHandshakeResponse:
    raise KafkaError(ErrorCode.ILLEGAL_SASL_STATE)


def on_error(request: SaslHandshakeRequest, code: ErrorCode, message: str | None) -> SaslHandshakeResponse:
    """No mechanism is enabled."""
    return SaslHandshakeResponse(error_code=code)
