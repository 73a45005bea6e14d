"""The group of one voter: append, sync, commit.

It goes through the same seam as a replicated group (`raft.group`), and keeps the same promise: records are
committed once a majority, here this node, has them on its device. With `write_caching` the promise is weaker
and says so: records are committed from memory, and the sync follows by size and time.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from chronik.log.disk import Syncable
from chronik.log.partition_log import AppendResult, PartitionLog
from chronik.raft.group import GroupListener, Replica
from chronik.raft.syncer import Syncer
from chronik.records.batch import Batch
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPolicy:
    """When a write-cached log is synced: after so many bytes or so long after the first unsynced one."""

    bytes_max: int
    interval_ms: int


class SoloGroup:
    """Leader of its partition from the moment it is made until its log fails or it is closed."""

    def __init__(
        self,
        log: PartitionLog,
        syncer: Syncer,
        leader_epoch: LeaderEpoch,
        *,
        node: NodeId,
        write_caching: FlushPolicy | None,
    ) -> None:
        """`node` is this node."""
        self._log = log
        self._syncer = syncer
        self._leader_epoch = leader_epoch
        self._node = node
        self._write_caching = write_caching
        self._listener: GroupListener | None = None
        self._failed: OSError | None = None
        self._is_closed = False
        # What recovery found is on the device, so it is committed.
        # Invariant: high_watermark <= log end offset; without write caching, <= what is synced.
        self._high_watermark = log.end_offset
        # These are only used with write caching.
        self._is_commit_untold = False
        self._unsynced_bytes = 0
        self._flush_timer: asyncio.TimerHandle | None = None

    @property
    def leader_epoch(self) -> LeaderEpoch:
        return self._leader_epoch

    @property
    def is_leader(self) -> bool:
        return self._failed is None

    @property
    def is_own_term_committed(self) -> bool:
        """What earlier epochs appended was committed or dropped before the group was made."""
        return self.is_leader

    @property
    def known_leader(self) -> NodeId | None:
        return self._node if self.is_leader else None

    @property
    def high_watermark(self) -> Offset:
        return self._high_watermark

    def refusal(self) -> KafkaError:
        """See `raft.group.Group.refusal`."""
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log failed: {self._failed}")

    def listen(self, listener: GroupListener) -> None:
        """Say whom to tell of commits; once, before the first proposal."""
        self._listener = listener

    def set_write_caching(self, policy: FlushPolicy | None) -> None:
        """Change the promise for records proposed from now on; earlier ones are synced at once."""
        self._write_caching = policy
        self._syncer.request(self)

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        """See `raft.group.Group.propose`."""
        if self._failed is not None:
            raise self.refusal()
        try:
            result = self._log.append(batches, self._leader_epoch)
        except OSError as error:
            # Nothing was appended. A full disk may have room again later, so the group stays.
            if self._log.is_failed:
                self._fail(error)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"append failed: {error}") from error
        if self._write_caching is None:
            self._syncer.request(self)
        else:
            self._commit_from_memory(self._write_caching, result.size)
        return result

    def sync_soon(self) -> None:
        """See `raft.group.Group.sync_soon`."""
        if self._failed is None and not self._is_closed:
            self._syncer.request(self)

    def on_tidied(self) -> None:
        """Nothing describes entries here but the log itself."""

    def lagging(self) -> frozenset[NodeId]:
        return frozenset()

    def replicas(self) -> Sequence[Replica]:
        """This node alone. Its times are -1: it waits for nobody's word."""
        if not self.is_leader:
            return ()
        end_offset = self._log.end_offset
        return (
            Replica(self._node, is_voter=True, end_offset=end_offset, caught_up_ms=-1, last_contact_ms=-1),
        )

    def transfer(self, to: NodeId) -> None:
        """There is nobody to hand over to. Raises KafkaError as `raft.group.Group.transfer`."""
        if not self.is_leader:
            raise self.refusal()
        raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "this node has the only replica")

    def close(self) -> None:
        """Stop asking for syncs, and hear no more of one under way; the log's owner syncs it when it closes
        the log.
        """
        self._is_closed = True
        self._syncer.forget(self)
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    # The syncer's side.

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        self._unsynced_bytes = 0
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        return self._log.files_to_sync()

    def on_synced(self, end_offset: Offset) -> None:
        if self._is_closed:
            return
        # The records are durable whatever comes of the log's own checkpoint: a stale one only makes the next
        # recovery read more.
        with suppress(OSError):
            self._log.on_synced(end_offset)
        self._commit(end_offset)

    def on_sync_failed(self, error: OSError) -> None:
        if not self._is_closed:
            self._fail(error)

    def _commit_from_memory(self, policy: FlushPolicy, size: int) -> None:
        """Committed at once: the proposer sees it in `high_watermark`, the others are told in a later turn of
        the loop.
        """
        self._high_watermark = self._log.end_offset
        self._unsynced_bytes += size
        if not self._is_commit_untold:
            self._is_commit_untold = True
            asyncio.get_running_loop().call_soon(self._tell_commit)
        if self._unsynced_bytes >= policy.bytes_max:
            self._syncer.request(self)
        elif self._flush_timer is None:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(policy.interval_ms / 1000, self._syncer.request, self)

    def _tell_commit(self) -> None:
        self._is_commit_untold = False
        if self._listener is not None and self._failed is None and not self._is_closed:
            self._listener.on_commit(self._high_watermark)

    def _commit(self, end_offset: Offset) -> None:
        if end_offset <= self._high_watermark or self._failed is not None:
            return
        self._high_watermark = end_offset
        if self._listener is not None:
            self._listener.on_commit(end_offset)

    def _fail(self, error: OSError) -> None:
        """Lead no more. The listener is told in a later turn, because this may be inside `propose`."""
        if self._failed is None:
            self._failed = error
            self._log.fail(error)
            asyncio.get_running_loop().call_soon(self._tell_failure, error)

    def _tell_failure(self, error: OSError) -> None:
        if self._listener is not None and not self._is_closed:
            self._listener.on_failure(error)
