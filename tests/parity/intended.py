"""Differences that are meant, with the reason a user reads in docs/compatibility.md.

Every entry must match a difference on each number of nodes it names: one that matches none is an error.
"""

from tests.parity.differences import Known

INTENDED: tuple[Known, ...] = (
    Known(
        scenarios=("*",),
        paths=("*leader_epoch",),
        kafka=0,
        chronik=1,
        nodes=(3,),
        reason="On three nodes leader epochs are Raft terms, which begin at 1. Clients only compare them.",
    ),
)

# Records that are refused one by one, and what is inside of compressed batches (decision 0015).
INTENDED += (
    Known(
        scenarios=("rejected_records.a_payload_that_is/*",),
        paths=("*/partition_responses/*/error_code",),
        kafka="UNKNOWN_SERVER_ERROR",
        chronik="INVALID_RECORD",
        nodes=(1,),
        reason="A batch that does not unpack is INVALID_RECORD, as one that unpacks to garbage is. "
        "Kafka fails inside and answers UNKNOWN_SERVER_ERROR.",
    ),
    Known(
        scenarios=("rejected_records.*",),
        paths=("*/partition_responses/*/error_message",),
        kafka=None,
        nodes=(1,),
        reason="Chronik says why a batch was refused where Kafka leaves the message out.",
    ),
    Known(
        scenarios=("rejected_records.*",),
        paths=("*/partition_responses/*/log_start_offset",),
        kafka=0,
        chronik=-1,
        nodes=(1,),
        reason="The answer for a refused batch says nothing about the log. Kafka adds the log start to some "
        "errors.",
    ),
)
