"""What can become of a command."""

from dataclasses import dataclass, field
from enum import Enum

from chronik.cluster.image import ClusterDelta
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset

_START = Offset(0)


class Outcome(Enum):
    """Of one command at one node."""

    DONE = "it is so"
    REFUSED = "it cannot be"
    # It may be asked again, of whoever leads now.
    NOT_DECIDED = "nothing happened"
    UNKNOWN = "it may be so, or become so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a command, to be seen once everything below `offset` is applied.

    DONE has a delta, REFUSED an error; UNKNOWN has the error that the log gave, when it gave one.
    """

    fate: Outcome
    offset: Offset = _START
    delta: ClusterDelta = field(default_factory=ClusterDelta)
    error: ErrorCode = ErrorCode.NONE
    message: str | None = None

    def changed(self) -> ClusterDelta:
        """What a command that was decided changed. Raises the KafkaError of one that was refused."""
        if self.fate is Outcome.REFUSED:
            raise KafkaError(self.error, self.message)
        return self.delta


def refused(error: KafkaError, offset: Offset = _START) -> Answer:
    """A command that cannot be carried out, for what is below `offset`."""
    return Answer(fate=Outcome.REFUSED, offset=offset, error=error.code, message=error.message)


def unknown(error: KafkaError) -> Answer:
    """A command whose records the log did not keep, or those who lead next will commit."""
    return Answer(fate=Outcome.UNKNOWN, error=error.code, message=error.message)


NOT_DECIDED = Answer(fate=Outcome.NOT_DECIDED)
UNKNOWN = Answer(fate=Outcome.UNKNOWN)
