"""What a leader sends along with `RestartLog`, whose payload the core only passes on."""

from typing import NamedTuple

from chronik.vocab.ids import Offset


class RestartPayload(NamedTuple):
    """Where the follower's log goes on, in offsets, which the core does not know."""

    # The first offset after `RestartLog.index`: base offset of the next batch.
    offset: Offset
    # The state machine's state before that offset, for groups that keep one (`__meta`).
    snapshot: bytes | None
