"""An onlooker, who asks for the ends of all partitions again and again, each of whoever leads it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from tests.chaos.histories import Look, Note, Recorder

_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS_MAX = 10.0


def look(servers: str, topics: Sequence[str], partitions: int, path: Path, is_over: threading.Event) -> None:
    """Each partition by itself: one whose leader is away keeps nobody waiting for the others."""
    places = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
    client = AdminClient({"bootstrap.servers": servers, "reconnect.backoff.max.ms": 500, "log_level": 0})
    with Recorder(path) as recorder:
        while not is_over.wait(_PAUSE_SECONDS):
            _look_once(client, places, recorder)


def _look_once(client: AdminClient, places: Sequence[TopicPartition], recorder: Recorder) -> None:
    began = time.monotonic()
    latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = dict.fromkeys(places, latest)
    ends, failures = {}, []
    for place, answer in client.list_offsets(wanted, request_timeout=_ANSWER_SECONDS_MAX).items():
        try:
            ends[f"{place.topic}-{place.partition}"] = int(answer.result().offset)
        except KafkaException as error:
            failures.append(str(error))
    ended = time.monotonic()
    if ends:
        recorder.add(Look(began=began, ended=ended, ends=ends))
    for failure in sorted(set(failures)):
        recorder.add(Note(at=ended, text=f"look: {failure}"))
