"""The outcomes of a command."""

from dataclasses import dataclass, field
from enum import Enum

from chronik.cluster.image import ClusterDelta
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset

_START = Offset(0)


class Outcome(Enum):
    """The outcome of one command at one node."""

    DONE = "it is so"
    REFUSED = "it cannot be"
    # It may be sent again, to the present leader.
    NOT_DECIDED = "nothing happened"
    UNKNOWN = "it may be so, or become so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of a command, visible once everything below `offset` is applied.

    DONE has a delta, REFUSED an error; UNKNOWN has the log's error, if there was one.
    """

    fate: Outcome
    offset: Offset = _START
    delta: ClusterDelta = field(default_factory=ClusterDelta)
    error: ErrorCode = ErrorCode.NONE
    message: str | None = None

    def changed(self) -> ClusterDelta:
        """Returns the changes of a command that was decided. Raises the KafkaError of one that was
        refused.
        """
        if self.fate is Outcome.REFUSED:
            raise KafkaError(self.error, self.message)
        return self.delta


def refused(error: KafkaError, offset: Offset = _START) -> Answer:
    """Returns the answer to a command that cannot be carried out, given the metadata below `offset`."""
    return Answer(fate=Outcome.REFUSED, offset=offset, error=error.code, message=error.message)


def unknown(error: KafkaError) -> Answer:
    """Returns the answer to a command whose records were lost, or may be committed by the next leader."""
    return Answer(fate=Outcome.UNKNOWN, error=error.code, message=error.message)


NOT_DECIDED = Answer(fate=Outcome.NOT_DECIDED)
UNKNOWN = Answer(fate=Outcome.UNKNOWN)
