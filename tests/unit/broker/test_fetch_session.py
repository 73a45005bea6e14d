"""Fetch sessions: who gets one, how it is continued, and what all of them may hold (KIP-227)."""

from random import Random

import pytest

from chronik.broker.fetch_session import (
    EVICTION_MS,
    FetchedPartition,
    FetchSession,
    FetchSessionCache,
    PartitionKey,
)
from chronik.vocab.errors import ErrorCode, KafkaError
from tests.support.manual_clock import ManualClock


def wanted(*keys: PartitionKey, offset: int = 0) -> dict[PartitionKey, FetchedPartition]:
    return {
        key: FetchedPartition(
            fetch_offset=offset, partition_max_bytes=1, current_leader_epoch=-1, last_fetched_epoch=-1
        )
        for key in keys
    }


def numbered(count: int, start: int = 0) -> dict[PartitionKey, FetchedPartition]:
    return wanted(*(("t", number) for number in range(start, start + count)))


class Scene:
    def __init__(self, slots: int = 2, partitions_max: int = 10) -> None:
        self.clock = ManualClock()
        self.slots = slots
        self.cache = FetchSessionCache(lambda: self.slots, self.clock, Random(1), partitions_max)

    def open(self, count: int = 1) -> FetchSession:
        session = self.cache.open(numbered(count), uses_topic_ids=False)
        assert session is not None
        return session

    def refusal(self, session_id: int, epoch: int, *, uses_topic_ids: bool = False) -> ErrorCode:
        with pytest.raises(KafkaError) as refused:
            self.cache.use(session_id, epoch, uses_topic_ids=uses_topic_ids)
        return refused.value.code


def test_a_session_is_continued_under_its_id_and_epoch() -> None:
    it = Scene()
    session = it.open()
    for epoch in (1, 2, 3):
        assert it.cache.use(session.session_id, epoch, uses_topic_ids=False) is session
        it.cache.update(session, {}, ())
    assert it.refusal(session.session_id, 3) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert it.refusal(session.session_id, 5) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert it.refusal(session.session_id + 1, 4) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert it.refusal(session.session_id, 4, uses_topic_ids=True) is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_epochs_wrap_past_the_one_that_means_a_new_session() -> None:
    it = Scene()
    session = it.open()
    session.epoch = 2**31 - 1
    it.cache.update(session, {}, ())
    assert session.epoch == 1


def test_a_change_keeps_what_the_client_was_told() -> None:
    it = Scene()
    session = it.open(2)
    session.partitions["t", 0].told_high_watermark = 7
    it.cache.update(session, wanted(("t", 0), ("u", 0), offset=3), [("t", 1), ("absent", 0)])
    assert list(session.partitions) == [("t", 0), ("u", 0)]
    assert session.partitions["t", 0].fetch_offset == 3
    assert session.partitions["t", 0].told_high_watermark == 7
    assert session.partitions["u", 0].told_high_watermark == -1


def test_a_session_in_use_is_not_evicted_and_an_idle_one_is() -> None:
    it = Scene(slots=2)
    first, second = it.open(), it.open()
    it.clock.advance(EVICTION_MS - 1)
    assert it.cache.open(numbered(1), uses_topic_ids=False) is None
    it.cache.use(first.session_id, 1, uses_topic_ids=False)
    it.clock.advance(1)
    assert it.cache.open(numbered(1), uses_topic_ids=False) is not None
    assert it.refusal(second.session_id, 1) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert it.cache.use(first.session_id, 1, uses_topic_ids=False) is first


def test_without_slots_nobody_gets_a_session() -> None:
    it = Scene(slots=0)
    assert it.cache.open(numbered(1), uses_topic_ids=False) is None
    assert len(it.cache) == 0


def test_fewer_slots_evict_the_idle_ones() -> None:
    it = Scene(slots=3)
    for _ in range(3):
        it.open()
    it.slots = 1
    it.clock.advance(EVICTION_MS)
    it.open()
    assert len(it.cache) == 1


def test_sessions_are_bounded_by_their_partitions_too() -> None:
    it = Scene(slots=100, partitions_max=10)
    session = it.open(6)
    assert it.cache.open(numbered(5), uses_topic_ids=False) is None
    it.open(4)
    it.cache.close(session.session_id)
    it.open(6)


def test_a_session_that_grows_too_large_is_closed() -> None:
    it = Scene(slots=100, partitions_max=10)
    session = it.open(6)
    with pytest.raises(KafkaError) as refused:
        it.cache.update(session, numbered(5, start=6), ())
    assert refused.value.code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert len(it.cache) == 0
    it.open(10)


def test_forgotten_partitions_make_room() -> None:
    it = Scene(slots=100, partitions_max=10)
    session = it.open(10)
    it.cache.update(session, {}, [("t", number) for number in range(9)])
    it.open(9)


def test_a_long_name_counts_for_more() -> None:
    it = Scene(slots=100, partitions_max=10)
    assert it.cache.open(wanted(("n" * 30_000, 0)), uses_topic_ids=False) is None
    assert it.cache.open(wanted((bytes(16), 0)), uses_topic_ids=True) is not None


def test_a_session_without_partitions_ends() -> None:
    it = Scene()
    session = it.open(2)
    it.cache.update(session, {}, [("t", 0), ("t", 1)])
    assert len(it.cache) == 0
    assert it.refusal(session.session_id, 1) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_closing_twice_counts_once() -> None:
    it = Scene(slots=100, partitions_max=10)
    session = it.open(10)
    it.cache.close(session.session_id)
    it.cache.close(session.session_id)
    it.open(10)
    assert it.cache.open(numbered(1), uses_topic_ids=False) is None
