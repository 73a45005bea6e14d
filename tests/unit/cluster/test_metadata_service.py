"""The metadata service as plays.

Commands in, committed records and images out, and who is told what and when.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine

import pytest

from chronik.cluster import controller_writer as decider
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.topics import CreateTopic, DeleteTopic
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.record_codec import UnreadableRecord
from chronik.vocab.errors import ErrorCode, KafkaError

from .builders import DEFAULTS, register
from .fakes import FakeMetadataLog, wait_until_idle

Play = Callable[[MetadataService, FakeMetadataLog], Coroutine[None, None, None]]


def service_on(log: FakeMetadataLog) -> MetadataService:
    return MetadataService(log, lambda: DEFAULTS, random.Random(0))


def run(play: Play) -> None:
    """Play on a service with one registered node."""

    async def scene() -> None:
        log = FakeMetadataLog()
        service = service_on(log)
        await service.submit(register(1))
        log.appends = 0
        await play(service, log)

    asyncio.run(scene())


def create(service: MetadataService, name: str) -> "asyncio.Task[ClusterDelta]":
    return asyncio.create_task(service.submit(CreateTopic(name=name)))


def validate(service: MetadataService, name: str) -> "asyncio.Task[ClusterDelta]":
    return asyncio.create_task(service.submit(CreateTopic(name=name), validate_only=True))


async def code_of(task: "asyncio.Task[ClusterDelta]") -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        await task
    return caught.value.code


def test_the_answer_comes_after_the_commit_and_after_the_subscribers() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        heard: list[tuple[ClusterDelta, ClusterImage]] = []
        service.subscribe(lambda delta, image: heard.append((delta, image)))
        log.is_held = True
        before = service.image
        task = create(service, "a")
        await wait_until_idle()
        assert not task.done()
        assert not heard
        assert service.image is before
        log.commit()
        delta = await task
        assert heard == [(delta, service.image)]
        assert delta.topics_created == (service.image.topics["a"],)

    run(play)


def test_who_unsubscribed_hears_nothing() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        heard: list[ClusterDelta] = []
        unsubscribe = service.subscribe(lambda delta, image: heard.append(delta))
        unsubscribe()
        await service.submit(CreateTopic(name="a"))
        assert not heard

    run(play)


def test_commands_that_come_during_an_append_share_the_next() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        heard: list[ClusterDelta] = []
        service.subscribe(lambda delta, image: heard.append(delta))
        log.is_held = True
        first = create(service, "first")
        await wait_until_idle()
        others = [create(service, f"t{n}") for n in range(100)]
        await wait_until_idle()
        assert log.appends == 1
        log.commit()
        await wait_until_idle()
        assert first.done()
        assert log.appends == 2
        log.commit()
        await asyncio.gather(*others)
        assert len(service.image.topics) == 101
        assert [len(delta.topics_created) for delta in heard] == [1, 100]

    run(play)


def test_each_is_decided_after_those_before_it() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        first, second = create(service, "a"), create(service, "a")
        deletion = asyncio.create_task(service.submit(DeleteTopic(name="a")))
        third, fourth = create(service, "a"), create(service, "a")
        assert len((await first).topics_created) == 1
        assert await code_of(second) is ErrorCode.TOPIC_ALREADY_EXISTS
        assert (await deletion).topics_deleted == (await first).topics_created
        assert (await third).topics_created == (service.image.topics["a"],)
        assert await code_of(fourth) is ErrorCode.TOPIC_ALREADY_EXISTS
        assert log.appends == 1

    run(play)


def test_a_refusal_waits_for_what_it_is_built_on() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        log.is_held = True
        first, second = create(service, "a"), create(service, "a")
        await wait_until_idle()
        assert not second.done()
        log.commit()
        await first
        assert await code_of(second) is ErrorCode.TOPIC_ALREADY_EXISTS

    run(play)


def test_a_failed_append_changes_nothing_and_all_who_wait_are_told() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        heard: list[ClusterDelta] = []
        service.subscribe(lambda delta, image: heard.append(delta))
        before = service.image
        log.is_held = True
        waiting = [create(service, "a"), create(service, "b"), create(service, "a")]
        await wait_until_idle()
        later = create(service, "a")
        log.fail(KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the disk is full"))
        assert {await code_of(task) for task in waiting} == {ErrorCode.KAFKA_STORAGE_ERROR}
        assert service.image is before
        assert not heard
        await wait_until_idle()
        log.commit()
        # Decided again, on the image without its predecessor.
        assert (await later).topics_created == (service.image.topics["a"],)

    run(play)


def test_refusals_and_commands_without_effect_append_nothing() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        assert await service.submit(register(1)) == ClusterDelta()
        assert await code_of(create(service, "")) is ErrorCode.INVALID_TOPIC_EXCEPTION
        assert log.appends == 0

    run(play)


def test_validation_says_what_would_be_and_changes_nothing() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        validation = service.submit(CreateTopic(name="a", partitions=3), validate_only=True)
        before = service.image
        (topic,) = (await validation).topics_created
        assert len(topic.partitions) == 3
        assert service.image is before
        assert log.appends == 0
        # Two that validate do not see each other; one that creates is seen.
        checks = [validate(service, "a"), validate(service, "a"), create(service, "a")]
        too_late = validate(service, "a")
        await asyncio.gather(*checks)
        assert await code_of(too_late) is ErrorCode.TOPIC_ALREADY_EXISTS

    run(play)


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decider, "BATCH_MAX", 4)

    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        # Each is two records and one command.
        await asyncio.gather(*(create(service, f"t{n}") for n in range(10)))
        assert log.appends == 5
        # A command that is larger than a batch goes whole.
        await service.submit(CreateTopic(name="large", partitions=20))
        assert len(log.batches[-1]) == 21

    run(play)


def test_many_refusals_do_not_hold_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decider, "BATCH_MAX", 1)

    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        refused = [create(service, "") for _ in range(3)]
        done_after = []
        for _ in range(20):
            await asyncio.sleep(0)
            done_after.append(sum(task.done() for task in refused))
        assert sorted(set(done_after)) == [0, 1, 2, 3]
        await asyncio.wait(refused)
        assert all(task.exception() for task in refused)

    run(play)


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decider, "QUEUE_MAX", 2)

    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        tasks = [create(service, f"t{n}") for n in range(3)]
        assert await code_of(tasks[2]) is ErrorCode.THROTTLING_QUOTA_EXCEEDED
        await asyncio.gather(*tasks[:2])

    run(play)


def test_who_goes_away_does_not_take_the_command_along() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        log.is_held = True
        gone, refused = create(service, "a"), create(service, "")
        await wait_until_idle()
        gone.cancel()
        refused.cancel()
        await wait_until_idle()
        log.commit()
        await wait_until_idle()
        assert "a" in service.image.topics

    run(play)


def test_replay_makes_the_image_that_was() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        await service.submit(CreateTopic(name="a", partitions=2, configs={"retention.ms": "5"}))
        await service.submit(CreateTopic(name="b"))
        await service.submit(DeleteTopic(name="b"))
        again = service_on(FakeMetadataLog(log.replay()))
        again.replay()
        assert again.image == service.image

    run(play)


def test_a_log_that_cannot_be_read_stops_the_start() -> None:
    service = service_on(FakeMetadataLog([(b"Surprise", b"{}")]))
    with pytest.raises(UnreadableRecord):
        service.replay()
    assert service.image == ClusterImage()


def test_close_answers_what_was_taken_and_takes_no_more() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        log.is_held = True
        taken = create(service, "a")
        await wait_until_idle()
        closing = asyncio.create_task(service.close())
        await wait_until_idle()
        assert not closing.done()
        assert await code_of(create(service, "b")) is ErrorCode.NOT_CONTROLLER
        log.commit()
        await closing
        assert taken.done()
        await service.close()

    run(play)


def test_a_bug_fails_all_who_wait_and_stops_the_service(caplog: pytest.LogCaptureFixture) -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        log.failure = ZeroDivisionError()
        writing = create(service, "a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        queued = create(service, "b")
        assert await code_of(writing) is ErrorCode.UNKNOWN_SERVER_ERROR
        assert await code_of(queued) is ErrorCode.UNKNOWN_SERVER_ERROR
        log.failure = None
        assert await code_of(create(service, "c")) is ErrorCode.UNKNOWN_SERVER_ERROR
        assert set(service.image.topics) == set()

    with caplog.at_level(logging.CRITICAL):
        run(play)
    assert "metadata service failed" in caplog.text


def test_cancelling_the_writer_leaves_nobody_waiting() -> None:
    async def play(service: MetadataService, log: FakeMetadataLog) -> None:
        log.is_held = True
        waiting = create(service, "a")
        await wait_until_idle()
        (writer,) = (task for task in asyncio.all_tasks() if task.get_name() == "metadata-writer")
        writer.cancel()
        assert await code_of(waiting) is ErrorCode.UNKNOWN_SERVER_ERROR

    run(play)
