"""A metadata log in memory whose appends commit when the play says so."""

import asyncio
from collections.abc import Iterable, Sequence

from chronik.cluster.metadata_log import KeyValue
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId, Offset


class FakeMetadataLog:
    """Holds what was committed. With `is_held`, appends wait for `commit` or `fail`.

    It is led here while `can_decide` says so.
    """

    def __init__(self, records: Iterable[KeyValue] = ()) -> None:
        self.batches: list[list[KeyValue]] = [list(records)] if records else []
        self.appends = 0
        self.is_held = False
        self._pending: asyncio.Future[None] | None = None
        self.failure: Exception | None = None
        self.can_decide = True
        self.leader: NodeId | None = NodeId(1)

    async def append(self, records: Sequence[KeyValue]) -> None:
        assert self._pending is None, "appends never overlap"
        assert records
        self.appends += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.is_held:
            self._pending = asyncio.get_running_loop().create_future()
            try:
                await self._pending
            finally:
                self._pending = None
        self.batches.append(list(records))

    def commit(self) -> None:
        assert self._pending is not None
        self._pending.set_result(None)

    def fail(self, error: KafkaError) -> None:
        assert self._pending is not None
        self._pending.set_exception(error)

    @property
    def high_watermark(self) -> Offset:
        return Offset(sum(map(len, self.batches)))

    def read(self, offset: Offset) -> Iterable[tuple[Offset, Sequence[KeyValue]]]:
        end = 0
        for batch in self.batches:
            end += len(batch)
            if end > offset:
                yield Offset(end), batch

    def replay(self) -> Iterable[KeyValue]:
        return (record for batch in self.batches for record in batch)


async def wait_until_idle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)
