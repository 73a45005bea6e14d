"""A client's view of the cluster: the leader of each partition, by the last Metadata answer."""

from typing import NamedTuple

from chronik.sim.client import NoReply, SimClient
from chronik.sim.workload.history import History
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import LeaderEpoch, NodeId, TopicPartition
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

_VERSION = 9
_SECONDS = 2.0


class Leading(NamedTuple):
    """A leader, and its epoch."""

    node: NodeId
    epoch: LeaderEpoch


class ClusterView:
    """One per client."""

    def __init__(self, client: SimClient, history: History) -> None:
        self._client = client
        self._history = history
        self._leaders: dict[TopicPartition, Leading] = {}

    def leader(self, partition: TopicPartition) -> Leading | None:
        return self._leaders.get(partition)

    async def refresh(self, topic: str) -> ErrorCode | None:
        """Requests Metadata from any node. Returns the topic's error; None when no node answered.

        Older answers are ignored, so that a node that does not yet know the leader sends no client back
        (KIP-320).
        """
        node = self._client.random.choice(self._client.nodes)
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
        try:
            answer = await self._client.ask(node, request, _VERSION, MetadataResponse, _SECONDS)
        except NoReply:
            return None
        (found,) = answer.topics
        named = {broker.node_id for broker in answer.brokers}
        for each in found.partitions:
            if each.error_code == ErrorCode.NONE:
                self._learn(TopicPartition(topic, each.partition_index), each.leader_id, each.leader_epoch)
                if each.leader_id not in named:
                    self._history.problems.append(
                        f"node {node} names {each.leader_id} as a leader of {topic}, without its address"
                    )
        return ErrorCode(found.error_code)

    def _learn(self, partition: TopicPartition, node: int, epoch: int) -> None:
        known = self._leaders.get(partition)
        if known is None or known.epoch <= epoch:
            self._leaders[partition] = Leading(NodeId(node), LeaderEpoch(epoch))
