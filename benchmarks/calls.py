"""How many Python calls and sync rounds one produce takes on each of three nodes, with three replicas and
with one.

    python -m benchmarks.calls [--produces 20] [--at-once 20] [--json]

The cluster is simulated, on virtual time, so the numbers are the same on every machine: what a change adds to
the way of a record shows here before any clock could show it. Calls of the simulator are left out; what the
nodes do by themselves in the same time (ticks, heartbeats) is measured first, and taken off.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from types import FrameType

from chronik.cluster.metadata.topics import CreateTopic
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim import process
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.vocab.ids import NodeId
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

# Virtual seconds: ticks are 20 ms, heartbeats 160 ms, and a lone produce takes some milliseconds.
_WINDOW_SECONDS = 0.16
_SETTLE_SECONDS = 2.0
_VERSION = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one produce request, with all copies; `follower` is one of the two others, also without a copy."""

    replicas: int
    produces: int
    at_once: int
    leader_calls: float
    follower_calls: float
    leader_rounds: float
    follower_rounds: float


class _Counting:
    """Counts the calls of each simulated process while it is on."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._current: ContextVar[process.SimProcess | None] = process._CURRENT

    def __enter__(self) -> "_Counting":
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call":
            return
        path = frame.f_code.co_filename
        if "/chronik/" in path and "/chronik/sim/" not in path:
            running = self._current.get()
            if running is not None:
                self.calls[running.name] += 1


def _request() -> ProduceRequest:
    batch = build_batch([Record(key=None, value=b"v" * 100, timestamp=0)])
    data = [
        TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=bytes(batch.data))])
    ]
    return ProduceRequest(transactional_id=None, acks=-1, timeout_ms=30_000, topic_data=data)


def _topic(replicas: int) -> CreateTopic:
    return CreateTopic(name="t", partitions=1, replication_factor=replicas)


def _leader(cluster: SimCluster) -> SimNode:
    found = {node: node.broker.replicas.find("t", 0) for node in cluster.nodes.values()}
    (leader,) = [node for node, partition in found.items() if partition is not None and partition.is_leader]
    return leader


def _rounds(cluster: SimCluster) -> dict[NodeId, int]:
    return {node.node: node.local.syncer.statistics().rounds for node in cluster.nodes.values()}


async def _produce(leader: SimNode, count: int) -> None:
    responses = await asyncio.gather(
        *(leader.ask(_request(), _VERSION, ProduceResponse) for _ in range(count))
    )
    for response in responses:
        assert response.responses[0].partition_responses[0].error_code == 0


async def _idle_calls(windows: int) -> Counter[str]:
    with _Counting() as counting:
        await asyncio.sleep(_WINDOW_SECONDS * windows)
    return counting.calls


@on_processes
async def measure(produces: int, at_once: int, replicas: int = 3) -> Cost:
    cluster = await SimCluster(1).open()
    first = cluster.nodes[NodeId(1)]
    await first.do(first.broker.metadata.submit(_topic(replicas)))
    await asyncio.sleep(_SETTLE_SECONDS)
    leader = _leader(cluster)
    await _produce(leader, at_once)
    await asyncio.sleep(_SETTLE_SECONDS)
    idle = await _idle_calls(produces)
    rounds = _rounds(cluster)
    with _Counting() as counting:
        for _ in range(produces):
            await _produce(leader, at_once)
            await asyncio.sleep(_WINDOW_SECONDS)
    done = _rounds(cluster)
    calls = {
        node.node: (counting.calls[node.process.name] - idle[node.process.name]) / produces / at_once
        for node in cluster.nodes.values()
    }
    own = leader.node
    others = [node for node in cluster.all_nodes if node != own]
    cost = Cost(
        replicas=replicas,
        produces=produces,
        at_once=at_once,
        leader_calls=calls[own],
        follower_calls=sum(calls[node] for node in others) / len(others),
        leader_rounds=(done[own] - rounds[own]) / produces,
        follower_rounds=sum(done[node] - rounds[node] for node in others) / len(others) / produces,
    )
    await cluster.close()
    return cost


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--produces", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    costs = [
        measure(arguments.produces, at_once, replicas)
        for replicas in (3, 1)
        for at_once in (1, arguments.at_once)
    ]
    if arguments.json:
        print(json.dumps([asdict(cost) for cost in costs]))
        return 0
    print("replicas | at once | calls, leader | calls, another | sync rounds, leader | sync rounds, another")
    for cost in costs:
        print(
            f"{cost.replicas:>8} | {cost.at_once:>7} | {cost.leader_calls:>13.0f} "
            f"| {cost.follower_calls:>14.0f} | {cost.leader_rounds:>19.1f} | {cost.follower_rounds:>20.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
