"""Why a leader's or follower's core does not do what its shell asks. Nothing was changed."""

from enum import Enum


class Refusal(Enum):
    NOT_LEADER = "this node does not lead"
    IS_TRANSFERRING = "leadership is being handed over"
    # Thesis 4.1, and the correction to it: a leader changes members only when an entry of its term is
    # committed, and one change after the other.
    CHANGE_PENDING = "an earlier membership, or the start of this term, is not committed"
    MORE_THAN_ONE_VOTER = "voters can only be added and removed one at a time"
    NO_VOTERS = "a group needs a voter"
    NOT_CAUGHT_UP = "a new voter must first have the log, as a learner"
    NOT_A_VOTER = "leadership goes to another voter"
    NOT_CONNECTED = "leadership goes to a voter that can be reached"


class Refused(Exception):
    """Raised by `RaftCore.propose`, `propose_membership` and `transfer_leadership`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason
