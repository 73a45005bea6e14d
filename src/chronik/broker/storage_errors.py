"""What clients are answered when the disk fails."""

from collections.abc import Callable
from typing import TypeVar

from chronik.vocab.errors import ErrorCode, KafkaError

_Result = TypeVar("_Result")


def storage_error(error: OSError) -> KafkaError:
    """What a client is told when the disk fails."""
    return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))


def on_disk(work: Callable[[], _Result]) -> _Result:
    """What the work returns. Raises KafkaError KAFKA_STORAGE_ERROR."""
    try:
        return work()
    except OSError as error:
        raise storage_error(error) from error
