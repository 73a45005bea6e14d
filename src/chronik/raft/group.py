"""The seam between a partition and consensus.

A partition proposes batches and is told when they are committed. It neither knows nor cares how many voters
there are: `raft.solo.SoloGroup` commits after this node's own sync, a replicated group after a majority's.
"""

from collections.abc import Sequence
from typing import Protocol

from chronik.log.partition_log import AppendResult
from chronik.records.batch import Batch
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset


class GroupListener(Protocol):
    """What a group tells its partition. Called on the event loop, never from inside `propose`."""

    def on_commit(self, high_watermark: Offset) -> None:
        """Records below `high_watermark` are committed. Never decreases."""
        ...

    def on_failure(self, error: OSError) -> None:
        """The local log failed: nothing after the last `on_commit` will be committed by this group any
        more.
        """
        ...


class Group(Protocol):
    """One partition's replicas, seen from this node."""

    @property
    def leader_epoch(self) -> LeaderEpoch:
        """The term this node knows; stamped into every batch it appends as leader."""
        ...

    @property
    def is_leader(self) -> bool: ...

    def refusal(self) -> KafkaError:
        """Why this node does not lead; only while `is_leader` is false.

        NOT_LEADER_OR_FOLLOWER when another node does, KAFKA_STORAGE_ERROR when the log failed.
        """
        ...

    @property
    def high_watermark(self) -> Offset:
        """Exclusive bound of committed records."""
        ...

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        """Append to the leader's log and start replication; `on_commit` follows, also when `high_watermark`
        says already that the records are committed.

        Raises KafkaError NOT_LEADER_OR_FOLLOWER when this node does not lead, KAFKA_STORAGE_ERROR when its
        log failed.
        """
        ...

    def sync_soon(self) -> None:
        """Have what the log wrote beside records, such as a roll, made durable with the next round."""
        ...
