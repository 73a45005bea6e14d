"""The errors that clients receive when the disk fails."""

from collections.abc import Callable
from typing import TypeVar

from chronik.vocab.errors import ErrorCode, KafkaError

_Result = TypeVar("_Result")


def storage_error(error: OSError) -> KafkaError:
    """Returns the error for a client when the disk fails."""
    return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))


def on_disk(work: Callable[[], _Result]) -> _Result:
    """Returns the result of the work. Raises KafkaError KAFKA_STORAGE_ERROR."""
    try:
        return work()
    except OSError as error:
        raise storage_error(error) from error
