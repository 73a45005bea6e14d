"""A node that says what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chronik.broker.traffic import TopicTraffic
from chronik.raft.latency import Latency, LatencyFigures
from chronik.raft.syncer import SyncerStatistics
from chronik.server.http.view import (
    ChannelFigures,
    ConnectionTotals,
    GroupFigures,
    MembershipFigures,
    MetadataFigures,
    NodeAbout,
    NodeStatistics,
    PartitionFigures,
    RaftFigures,
    RequestTotals,
    StorageFigures,
)


def latency(*seconds: float) -> LatencyFigures:
    """Of things that took so long, lately."""
    now = iter([0.0, *seconds, 0.0])
    taken = Latency(lambda: next(now))
    taken.now()
    for _ in seconds:
        taken.since(0.0)
    return taken.figures()


METADATA = MetadataFigures(
    state="follower",
    leader=3,
    vote=2,
    epoch=7,
    high_watermark=40,
    end_offset=41,
    applied=38,
    append_rate=0.5,
    fetch_rate=2.5,
    commits=latency(0.02, 0.04),
    channel=ChannelFigures(bytes_in=100, bytes_out=200, requests=3, responses=4),
    has_failed=False,
)


def partition(
    topic: str, index: int = 0, *, start: int = 0, end: int = 10, size: int = 100, in_sync: int = 3
) -> PartitionFigures:
    return PartitionFigures(
        topic=topic,
        partition=index,
        is_leader=True,
        start_offset=start,
        end_offset=end,
        high_watermark=end,
        bytes=size,
        replicas=3,
        in_sync=in_sync,
        in_sync_min=2,
        lag=4,
    )


def statistics(
    *,
    partitions: Sequence[PartitionFigures] = (),
    groups: Sequence[GroupFigures] = (),
    topic_traffic: dict[str, TopicTraffic] | None = None,
    metadata: MetadataFigures | None = METADATA,
    raft: RaftFigures | None = None,
    storage: StorageFigures | None = None,
) -> NodeStatistics:
    total = TopicTraffic()
    for traffic in (topic_traffic or {}).values():
        total.add(traffic)
    return NodeStatistics(
        idle_ratio=0.75,
        requests={"Produce": RequestTotals(requests=5, errors=1, seconds=0.25)},
        connections=ConnectionTotals(
            open=2, accepted=9, refused=1, closed_idle=3, by_listener={"PLAINTEXT": 2, "INTERNAL": 0}
        ),
        received_bytes=11,
        unsent_bytes=12,
        syncs=SyncerStatistics(
            rounds=3, files=4, failures=0, seconds=1.5, latency=latency(0.0004, 1.0, 0.4996)
        ),
        traffic=total,
        topic_traffic=topic_traffic or {},
        membership=MembershipFigures(
            topics=1,
            partitions=9,
            leaderless=2,
            brokers=3,
            fenced=1,
            is_controller=True,
            topic_partitions={"orders": 9},
            broker_addresses={7: "localhost:9092", 8: "[::1]:9092"},
        ),
        coordinator_states={"loading": 1, "active": 7, "failed": 2},
        partitions=partitions,
        offline_partitions=0,
        groups=groups,
        metadata=metadata,
        raft=raft,
        storage=storage or StorageFigures(),
    )


@dataclass
class FakeNode:
    is_ready: bool = True
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()
    figures: NodeStatistics = field(default_factory=statistics)

    def about(self) -> NodeAbout:
        return NodeAbout(
            node_id=7, cluster_id="cluster", listeners={"PLAINTEXT": "localhost:9092"}, started_ms=0
        )

    async def statistics(self) -> NodeStatistics:
        return self.figures
