"""Real requests: what real clients send while they produce, consume and ask, taken down as they pass."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, KafkaProducer

from chronik.sim.frames import cut_frames, framed

_RECORDS = 50
# Threads of librdkafka outlive the broker for a moment, and would say so.
_QUIET = {"log_level": 0}


class Recorder:
    """A proxy in front of a broker that keeps what clients say. The broker must advertise this port."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._streams: list[bytearray] = []
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def requests(self) -> list[bytes]:
        """Each different request once, with its length, in the order in which they came."""
        frames = [framed(frame) for stream in list(self._streams) for frame in cut_frames(bytes(stream))]
        return list(dict.fromkeys(frames))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
                stream = bytearray()
                self._streams.append(stream)
                for source, target, keep in ((client, broker, stream.extend), (broker, client, None)):
                    threading.Thread(target=_pass_on, args=(source, target, keep), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, keep: Callable[[bytes], None] | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if keep is not None:
                keep(data)
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def play(bootstrap_servers: str, topic: str) -> None:
    """A little of everything that clients do."""
    _play_confluent(bootstrap_servers, topic)
    _play_kafka_python(bootstrap_servers, topic)


def _play_confluent(bootstrap_servers: str, topic: str) -> None:
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = Producer({"bootstrap.servers": bootstrap_servers, "compression.type": codec, **_QUIET})
        for number in range(_RECORDS):
            producer.produce(topic, str(number), str(number), headers={"h": b"v"})
        producer.flush(10)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "group-a",
            "auto.offset.reset": "earliest",
            **_QUIET,
        }
    )
    consumer.subscribe([topic])
    consumer.consume(_RECORDS, timeout=5)
    consumer.commit(asynchronous=False)
    consumer.close()
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **_QUIET})
    admin.list_topics(timeout=5)
    admin.list_consumer_groups().result(timeout=5)


def _play_kafka_python(bootstrap_servers: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers)
    for number in range(_RECORDS):
        producer.send(topic, b"%d" % number)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id="group-b",
        auto_offset_reset="earliest",
        consumer_timeout_ms=1000,
    )
    for read, _ in enumerate(consumer):
        if read == _RECORDS:
            break
    consumer.close()
