"""InitProducerId (key 22), and what sequences do in Produce."""

from chronik.wire.apis import ApiKey
from tests.parity.records import batch
from tests.parity.registry import scenario
from tests.parity.scenarios.producing import fetch, fields
from tests.parity.session import Session


def producer(s: Session) -> int:
    """A new producer id."""
    answer = s.prepare(
        ApiKey.INIT_PRODUCER_ID, 4, {"transactional_id": None, "transaction_timeout_ms": 60_000}
    )
    found: int = answer["producer_id"]
    return found


def send(s: Session, topic: str, producer_id: int, sequence: int, *values: bytes, epoch: int = 0) -> None:
    data = batch(
        *(values or (b"one",)),
        timestamp=s.at(),
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
    )
    s.ask(ApiKey.PRODUCE, 9, fields(topic, data))


@scenario((0, 1, 2, 3, 4, 5))
def init_without_a_transactional_id(s: Session, version: int) -> None:
    s.ask(ApiKey.INIT_PRODUCER_ID, version, {"transactional_id": None, "transaction_timeout_ms": 60_000})


@scenario({"0": 0, "-1": -1, "largest": 2**31 - 1}, (0, 5))
def init_with_a_timeout_of(s: Session, timeout_ms: int, version: int) -> None:
    s.ask(
        ApiKey.INIT_PRODUCER_ID,
        version,
        {"transactional_id": None, "transaction_timeout_ms": timeout_ms},
    )


@scenario((3, 5))
def init_with_an_id_of_its_own(s: Session, version: int) -> None:
    fields = {"transactional_id": None, "transaction_timeout_ms": 60_000}
    s.ask(ApiKey.INIT_PRODUCER_ID, version, {**fields, "producer_id": producer(s), "producer_epoch": 0})


@scenario({"id without epoch": (5, -1), "epoch without id": (-1, 0)})
def init_with_half_of_it(s: Session, given: tuple[int, int]) -> None:
    fields = {"transactional_id": None, "transaction_timeout_ms": 60_000}
    s.ask(ApiKey.INIT_PRODUCER_ID, 4, {**fields, "producer_id": given[0], "producer_epoch": given[1]})


@scenario((0, 5))
def init_with_an_empty_transactional_id(s: Session, version: int) -> None:
    s.ask(ApiKey.INIT_PRODUCER_ID, version, {"transactional_id": "", "transaction_timeout_ms": 60_000})


@scenario((0, 5))
def init_with_a_transactional_id(s: Session, version: int) -> None:
    fields = {"transactional_id": s.name("tx"), "transaction_timeout_ms": 60_000}
    if s.target.nodes == 1:
        s.ask(ApiKey.INIT_PRODUCER_ID, version, fields)


@scenario()
def sequences_in_order(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0, b"one", b"two")
    send(s, topic, producer_id, 2, b"three")
    fetch(s, topic)


@scenario()
def a_batch_sent_again(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0, b"one", b"two")
    send(s, topic, producer_id, 2, b"three")
    send(s, topic, producer_id, 0, b"one", b"two")
    fetch(s, topic)


@scenario()
def the_sixth_last_batch_sent_again(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    for sequence in range(6):
        send(s, topic, producer_id, sequence)
    send(s, topic, producer_id, 0)
    send(s, topic, producer_id, 1)


@scenario()
def a_gap_in_the_sequences(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0)
    send(s, topic, producer_id, 5)


@scenario({"0": 0, "7": 7, "largest": 2**31 - 1})
def the_first_sequence_of_a_producer(s: Session, sequence: int) -> None:
    send(s, s.topic(), producer(s), sequence)


@scenario()
def part_of_a_batch_sent_again(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0, b"one", b"two")
    send(s, topic, producer_id, 1, b"two")


@scenario()
def an_epoch_that_is_too_old(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0, epoch=1)
    send(s, topic, producer_id, 1, epoch=0)


@scenario({"from 0": 0, "from where it was": 1})
def a_new_epoch_that_begins(s: Session, sequence: int) -> None:
    topic, producer_id = s.topic(), producer(s)
    send(s, topic, producer_id, 0, epoch=0)
    send(s, topic, producer_id, sequence, epoch=1)


@scenario(
    {"a negative epoch": (5, -1, 0), "a negative sequence": (5, 0, -1), "an epoch without id": (-1, 0, -1)}
)
def a_batch_with(s: Session, given: tuple[int, int, int]) -> None:
    send(s, s.topic(), given[0], given[2], epoch=given[1])


@scenario()
def two_batches_of_one_producer_in_one_request(s: Session) -> None:
    topic, producer_id = s.topic(), producer(s)
    one, two = (
        batch(value, timestamp=s.at(), producer_id=producer_id, producer_epoch=0, base_sequence=sequence)
        for sequence, value in enumerate((b"one", b"two"))
    )
    s.ask(ApiKey.PRODUCE, 9, fields(topic, one + two))


@scenario()
def an_id_that_nobody_gave(s: Session) -> None:
    send(s, s.topic(), 123_456_789, 0)


@scenario()
def producers_of_a_partition(s: Session) -> None:
    topic, producer_id = s.topic(partitions=2), producer(s)
    send(s, topic, producer_id, 0, b"one", b"two")
    topics = [{"name": topic, "partition_indexes": [0, 1]}]
    s.ask(ApiKey.DESCRIBE_PRODUCERS, 0, {"topics": topics})


@scenario({"unknown": "missing", "bad": None})
def producers_of_a_topic_that_is(s: Session, base: str | None) -> None:
    name = s.name(base) if base else "a b"
    s.ask(ApiKey.DESCRIBE_PRODUCERS, 0, {"topics": [{"name": name, "partition_indexes": [0]}]})


@scenario({"1": 1, "-1": -1})
def producers_of_a_partition_that_is_not_there(s: Session, partition: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.DESCRIBE_PRODUCERS, 0, {"topics": [{"name": topic, "partition_indexes": [partition]}]})


@scenario()
def producers_of_no_topic(s: Session) -> None:
    s.ask(ApiKey.DESCRIBE_PRODUCERS, 0, {"topics": []})
