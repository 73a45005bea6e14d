"""InitProducerId (key 22), versions 0 to 5: a producer id for an idempotent producer (KIP-98).

A producer without a transactional id always gets a new id at epoch 0, also when it wants to keep the one it
has (KIP-360), as from Kafka. Transactions are not served yet: a transactional id is answered
UNSUPPORTED_VERSION, which Java and Python producers raise at once ("the version of API is not supported"); a
retriable code would make them retry forever, an authorization error would send the user to look for ACLs.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, Whole
from chronik.vocab.acl import CLUSTER_NAME, AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_PRODUCER
from chronik.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

_NO_PRODUCER_EPOCH = -1


NEEDS = Needs(
    whole=(
        Whole(
            operation=AclOperation.WRITE,
            resource_type=AclResourceType.TRANSACTIONAL_ID,
            name=lambda request: request.transactional_id,
        ),
        Whole(
            operation=AclOperation.IDEMPOTENT_WRITE,
            resource_type=AclResourceType.CLUSTER,
            name=lambda request: CLUSTER_NAME if request.transactional_id is None else None,
            # KIP-679: a client that may write to some topic may do so idempotently.
            or_any=(AclOperation.WRITE, AclResourceType.TOPIC),
        ),
    )
)


async def handle(
    broker: Broker, context: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse:
    _check(request)
    try:
        producer_id = await broker.producer_ids.next()
    except KafkaError as error:
        if error.code.is_retriable:
            # What clients know to retry here.
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, error.message) from error
        raise
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)


def on_error(request: InitProducerIdRequest, code: ErrorCode, message: str | None) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=NO_PRODUCER, producer_epoch=_NO_PRODUCER_EPOCH)


def _check(request: InitProducerIdRequest) -> None:
    if request.transactional_id == "":
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The transactional id is empty")
    if request.transactional_id is not None:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "Transactions are not supported yet")
    if (request.producer_id == NO_PRODUCER) != (request.producer_epoch == _NO_PRODUCER_EPOCH):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Producer id and epoch are given together or not at all")
