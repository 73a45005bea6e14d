"""InitProducerId: a new id for every idempotent producer, a clear refusal for transactional ones."""

import pytest

from chronik.broker.handlers import init_producer_id
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

from .metadata_stage import MetadataStage, context, over_the_wire, play

VERSIONS = range(6)
LATEST = 5


async def ask(
    stage: MetadataStage,
    transactional_id: str | None = None,
    *,
    producer_id: int = -1,
    producer_epoch: int = -1,
    version: int = LATEST,
) -> InitProducerIdResponse:
    request = InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=60_000,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
    )
    received = over_the_wire(request, version)
    return over_the_wire(await init_producer_id.handle(stage.broker, context(version), received), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_producer_gets_its_own_id(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        answers = [await ask(stage, version=version) for _ in range(3)]
        assert [(a.error_code, a.producer_id, a.producer_epoch) for a in answers] == [
            (0, 0, 0),
            (0, 1, 0),
            (0, 2, 0),
        ]

    play(scene)


def test_a_producer_that_goes_on_gets_a_new_id_too() -> None:
    async def scene(stage: MetadataStage) -> None:
        await ask(stage)
        answer = await ask(stage, producer_id=0, producer_epoch=4)
        assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (0, 1, 0)

    play(scene)


@pytest.mark.parametrize(
    ("transactional_id", "producer_id", "producer_epoch", "code"),
    [
        ("", -1, -1, ErrorCode.INVALID_REQUEST),
        (None, 5, -1, ErrorCode.INVALID_REQUEST),
        (None, -1, 5, ErrorCode.INVALID_REQUEST),
        ("payments", -1, -1, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_refusals(
    transactional_id: str | None, producer_id: int, producer_epoch: int, code: ErrorCode
) -> None:
    async def scene(stage: MetadataStage) -> None:
        with pytest.raises(KafkaError) as caught:
            await ask(stage, transactional_id, producer_id=producer_id, producer_epoch=producer_epoch)
        assert caught.value.code is code
        assert stage.log.appends == 0

    play(scene)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_what_may_pass_is_told_so_that_clients_try_again(failure: ErrorCode, told: ErrorCode) -> None:
    async def scene(stage: MetadataStage) -> None:
        stage.log.failure = KafkaError(failure)
        with pytest.raises(KafkaError) as caught:
            await ask(stage)
        assert caught.value.code is told

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_errors(version: int) -> None:
    response = init_producer_id.on_error(InitProducerIdRequest(), ErrorCode.INVALID_REQUEST, None)
    response = over_the_wire(response, version)
    assert (response.error_code, response.producer_id, response.producer_epoch) == (42, -1, -1)
