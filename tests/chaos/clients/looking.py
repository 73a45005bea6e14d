"""An observer that requests the end of each partition from its leader, again and again."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from chronik.history.events import Look, Note
from chronik.history.files import Recorder

# From an answer to the next question of the same partition.
_PAUSE_SECONDS = 0.2
_TICK_SECONDS = 0.01
# Beyond the longest pause of a node: its answer, which may be old, is what is looked for.
_ANSWER_SECONDS_MAX = 20.0


def look(servers: str, topics: Sequence[str], partitions: int, path: Path, is_over: threading.Event) -> None:
    client = AdminClient({"bootstrap.servers": servers, "reconnect.backoff.max.ms": 500, "log_level": 0})
    with Recorder(path) as recorder:
        questions = [
            _Question(client, TopicPartition(topic, partition), recorder)
            for topic in topics
            for partition in range(partitions)
        ]
        while not is_over.wait(_TICK_SECONDS):
            for question in questions:
                question.go_on()


class _Question:
    """About one partition, by itself: one whose leader is away keeps nobody waiting for the others."""

    def __init__(self, client: AdminClient, place: TopicPartition, recorder: Recorder) -> None:
        self._client = client
        self._place = place
        self._recorder = recorder
        self._answer: Future[Any] | None = None
        # Of the question, or of the answer before it.
        self._at = 0.0

    def go_on(self) -> None:
        if self._answer is None:
            if time.monotonic() >= self._at + _PAUSE_SECONDS:
                self._ask()
        elif self._answer.done():
            self._take(self._answer)

    def _ask(self) -> None:
        latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        self._at = time.monotonic()
        answers = self._client.list_offsets({self._place: latest}, request_timeout=_ANSWER_SECONDS_MAX)
        self._answer = answers[self._place]

    def _take(self, answer: Future[Any]) -> None:
        began, self._at = self._at, time.monotonic()
        self._answer = None
        place = f"{self._place.topic}-{self._place.partition}"
        try:
            end = int(answer.result().offset)
        except KafkaException as error:
            self._recorder.add(Note(at=self._at, text=f"look at {place}: {error}"))
            return
        # librdkafka says -1001 (OFFSET_INVALID) now and then where it says an error otherwise.
        if end >= 0:
            self._recorder.add(Look(began=began, ended=self._at, ends={place: end}))
        else:
            self._recorder.add(Note(at=self._at, text=f"look at {place}: no offset but {end}"))
