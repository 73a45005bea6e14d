"""Connections between nodes, and those of clients: cut, slow, broken, losing answers."""

import asyncio

from chronik.sim.faults.stage import Stage

# Several election timeouts, and longer than a session: time enough to be found out as one who still takes
# itself for the leader, and to be fenced.
_ISOLATED_SECONDS_MAX = 6.0
# Long enough that others have led for seconds, and its stale answers are too old.
_LONG_SECONDS = 9.0
_LONG_ISOLATIONS = 0.3
_SLOW_LINK_SECONDS = (0.01, 0.4)
_LOSS_MAX = 0.3


class NetworkFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._clients = stage.clients
        self._random = stage.random

    async def isolate(self) -> None:
        node = self._stage.node()
        self._stage.begin("isolation", node)
        self._cluster.network.isolate(node)
        is_long = self._random.random() < _LONG_ISOLATIONS
        await asyncio.sleep(_LONG_SECONDS if is_long else self._random.random() * _ISOLATED_SECONDS_MAX)
        self._stage.end("isolation", node)
        for other in self._cluster.all_nodes:
            if other != node:
                self._cluster.network.heal(node, other)

    async def cut_pair(self) -> None:
        pair = self._stage.pair()
        self._stage.begin("cut", pair)
        self._cluster.network.cut(*pair)
        await asyncio.sleep(self._random.random() * _ISOLATED_SECONDS_MAX)
        self._stage.end("cut", pair)
        self._cluster.network.heal(*pair)

    async def cut_one_way(self) -> None:
        pair = self._stage.pair()
        self._stage.begin("cut one way", pair)
        self._cluster.network.cut(*pair, is_one_way=True)
        await self._stage.last()
        self._stage.end("cut one way", pair)
        self._cluster.network.heal(*pair)

    async def slow_link(self) -> None:
        pair = self._stage.pair()
        self._stage.begin("slow link", pair)
        self._cluster.network.slow_down(*pair, self._random.uniform(*_SLOW_LINK_SECONDS))
        await self._stage.last()
        self._stage.end("slow link", pair)
        self._cluster.network.heal(*pair)

    async def reset(self) -> None:
        first, second = self._stage.pair()
        if first in self._cluster.nodes and second in self._cluster.nodes:
            self._stage.begin("broken connection", (first, second))
            self._cluster.network.reset(first, second)

    async def cut_clients(self) -> None:
        node = self._stage.node()
        self._stage.begin("cut from clients", node)
        self._clients.cuts.add(node)
        await self._stage.last()
        self._stage.end("cut from clients", node)
        self._clients.cuts.discard(node)

    async def lose_answers(self) -> None:
        self._stage.begin("lost answers")
        self._clients.loss = self._random.random() * _LOSS_MAX
        await self._stage.last()
        self._stage.end("lost answers")
        self._clients.loss = 0.0
