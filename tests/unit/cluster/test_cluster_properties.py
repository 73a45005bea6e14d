"""Three nodes, any commands, leaders and connections lost at any moment: one history, and nothing twice."""

import asyncio
import random
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.brokers import FenceBroker
from chronik.cluster.metadata.configs import AlterOp, ConfigChange, IncrementalAlterConfigs, topic_resource
from chronik.cluster.metadata.producer_ids import AllocateProducerIds, ProducerIdsAllocated
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic, TopicCreated
from chronik.cluster.producer_ids import ProducerIds
from chronik.cluster.record_codec import decode
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, TopicId

from .builders import register
from .cluster_stage import NODES, ClusterStage

# What a sender may be told that knows what became of its command.
_DECIDED = {
    ErrorCode.TOPIC_ALREADY_EXISTS,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.INVALID_PARTITIONS,
    ErrorCode.INVALID_REPLICATION_FACTOR,
    ErrorCode.INVALID_REQUEST,
}
_NOT_KNOWN = {ErrorCode.NOT_CONTROLLER, ErrorCode.REQUEST_TIMED_OUT}


class Outcome:
    """What goes wrong, drawn from a seed."""

    def __init__(self, stage: ClusterStage, draw: random.Random) -> None:
        self._stage = stage
        self._draw = draw

    def strike(self) -> None:
        stage, draw = self._stage, self._draw
        match draw.randrange(12):
            case 0:
                stage.depose(keeps=draw.random() < 0.5)
            case 1 | 2 if stage.leader is None:
                stage.elect(draw.choice(NODES), heard=draw.sample(NODES, draw.randrange(4)))
            case 3:
                stage.cut(*draw.sample(NODES, 2))
            case 4:
                stage.mend()
            case 5 if stage.leader is not None:
                # Somebody hears late of the leader, or believes in the wrong one.
                stage.hear(draw.choice(NODES), draw.choice([stage.leader, *NODES]))
            case 6 | 7 | 8:
                stage.commit()
            case _:
                stage.show_one_more(draw.choice(NODES))

    async def heal(self) -> None:
        """All that was begun ends."""
        stage = self._stage
        stage.mend()
        stage.commits_at_once = stage.spreads = True
        if stage.leader is None:
            stage.elect(self._draw.choice(NODES))
        stage.commit()
        for node in NODES:
            stage.hear(node, stage.leader)
        stage.show_all()
        await asyncio.sleep(30)


class Witness:
    """Every image of every node at its offset, and what every sender was told."""

    def __init__(self, stage: ClusterStage) -> None:
        self._stage = stage
        self.images: dict[int, ClusterImage] = {}
        self.created: Counter[TopicId] = Counter()
        self.refusals: set[ErrorCode] = set()
        for node in NODES:
            stage.services[node].subscribe(partial(self._on_image, node))

    def _on_image(self, node: NodeId, delta: ClusterDelta, image: ClusterImage) -> None:
        offset = self._stage.services[node].applied_offset
        assert self.images.setdefault(offset, image) == image

    async def submit(self, node: NodeId, command: Command) -> None:
        service = self._stage.services[node]
        deadline = asyncio.get_running_loop().time() + 10
        try:
            delta = await service.submit(command, deadline=deadline)
        except KafkaError as error:
            self.refusals.add(error.code)
        else:
            self._check(command, delta)

    def _check(self, command: Command, delta: ClusterDelta) -> None:
        if isinstance(command, CreateTopic):
            (topic,) = delta.topics_created
            assert topic.name == command.name
            # No two senders are told that they created the same topic.
            self.created[topic.topic_id] += 1
            assert self.created[topic.topic_id] == 1


def a_command(draw: random.Random) -> Command:
    name = draw.choice("abcd")
    node = draw.choice(NODES)
    match draw.randrange(9):
        case 0 | 1 | 2:
            return CreateTopic(name=name, partitions=draw.randrange(1, 4))
        case 3:
            return DeleteTopic(name=name)
        case 4:
            return CreatePartitions(name=name, count=draw.randrange(1, 6))
        case 5:
            change = ConfigChange("retention.ms", AlterOp.SET, str(draw.randrange(1, 9)))
            return IncrementalAlterConfigs(resource=topic_resource(name), changes=[change])
        case 6:
            return AllocateProducerIds(node=node)
        case 7:
            return FenceBroker(node=node, epoch=draw.randrange(3))
        case _:
            return register(node)


@pytest.mark.parametrize("seed", range(40))
def test_one_history_and_nothing_twice(seed: int) -> None:
    @virtual
    async def play() -> None:
        draw = random.Random(seed)
        stage = await ClusterStage(seed=seed).start()
        stage.commits_at_once = stage.spreads = False
        witness, fate = Witness(stage), Outcome(stage, draw)
        sources = [ProducerIds(stage.services[node], node) for node in NODES]
        tasks: list[asyncio.Task[None]] = []
        ids: list[int] = []

        async def take() -> None:
            try:
                ids.append(await draw.choice(sources).next())
            except KafkaError as error:
                witness.refusals.add(error.code)

        for _ in range(200):
            if draw.random() < 0.3:
                tasks.append(asyncio.create_task(witness.submit(draw.choice(NODES), a_command(draw))))
            if draw.random() < 0.1:
                tasks.append(asyncio.create_task(take()))
            fate.strike()
            if draw.random() < 0.3:
                await asyncio.sleep(draw.choice([0, 0.001, 0.04, 0.3]))
            else:
                await wait_until_idle()
        await fate.heal()
        assert all(task.done() for task in tasks)
        await asyncio.gather(*tasks)
        assert witness.refusals <= _DECIDED | _NOT_KNOWN
        assert len(ids) == len(set(ids))
        check_log(stage)
        assert stage.image(NODES[0]) == stage.image(NODES[1]) == stage.image(NODES[2])
        assert len(witness.images) > 5

    play()


def check_log(stage: ClusterStage) -> None:
    """No topic is created twice, no producer id allocated twice; the log is whole."""
    records = [decode(*record) for batch in stage.committed for record in batch]
    created = Counter(record.topic_id for record in records if isinstance(record, TopicCreated))
    assert all(count == 1 for count in created.values())
    blocks = [record for record in records if isinstance(record, ProducerIdsAllocated)]
    assert all(one.end == next_one.first for one, next_one in pairwise(blocks))
