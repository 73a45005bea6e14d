"""aiokafka: asyncio; each producer and member gets an event loop of its own here."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.proofs.clients.client import ANSWER_SECONDS_MAX, ClientFailed, Member
from tests.proofs.clients.load import Record

_POLL_SECONDS = 0.1
_STOPPING_SECONDS_MAX = 45.0


class AiokafkaWriter:
    def __init__(self, bootstrap_servers: str, codec: str) -> None:
        self._runner = asyncio.Runner()
        self._producer = self._runner.run(self._start(bootstrap_servers, codec))

    def send_all(self, topic: str, records: Iterable[Record]) -> None:
        self._runner.run(self._send_all(topic, records))

    def close(self) -> None:
        self._runner.run(self._producer.stop())
        self._runner.close()

    async def _start(self, bootstrap_servers: str, codec: str) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, compression_type=None if codec == "none" else codec
        )
        await producer.start()
        return producer

    async def _send_all(self, topic: str, records: Iterable[Record]) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                futures = [await self._producer.send(topic, record.value, record.key) for record in records]
                await asyncio.gather(*futures)
        except (KafkaError, TimeoutError) as error:
            raise ClientFailed(repr(error)) from error


class Aiokafka:
    name = "aiokafka"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = False
    has_groups = True

    def open_writer(self, bootstrap_servers: str, codec: str) -> AiokafkaWriter:
        return AiokafkaWriter(bootstrap_servers, codec)

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        asyncio.run(_read(bootstrap_servers, topic, group, member))


async def _read(bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, group_id=group, auto_offset_reset="earliest"
    )
    if not await _start(consumer, member):
        return
    try:
        while not member.is_over:
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                for message in batch:
                    member.take(message.partition, message.offset, message.value)
            member.on_assigned(len(consumer.assignment()))
    except KafkaError as error:
        raise ClientFailed(repr(error)) from error
    finally:
        await _stop(consumer)


async def _start(consumer: AIOKafkaConsumer, member: Member) -> bool:
    """False when the member is over before: it waits for a share of the partitions as long as that takes."""
    starting = asyncio.create_task(consumer.start())
    while not starting.done():
        await asyncio.wait([starting], timeout=_POLL_SECONDS)
        if member.is_over and not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            await _stop(consumer)
            return False
    starting.result()
    return True


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Raises ClientFailed, and says what it waits for, when it never stops."""
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping], timeout=_STOPPING_SECONDS_MAX)
    if not stopping.done():
        waiting = [task.get_stack() for task in asyncio.all_tasks()]
        places = [f"{stack[-1].f_code.co_qualname}:{stack[-1].f_lineno}" for stack in waiting if stack]
        raise ClientFailed(f"the consumer does not stop; its tasks are at {', '.join(places)}")
    stopping.result()
