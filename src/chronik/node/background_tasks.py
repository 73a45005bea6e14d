"""Background tasks of a clustered node: what it does for the cluster while it serves, and before it stops."""

import asyncio
import logging
from collections.abc import Callable

from chronik.broker.balancer import Balancer
from chronik.broker.context import Broker
from chronik.cluster.liveness import Liveness
from chronik.cluster.metadata.replicas import ReportMembers
from chronik.cluster.registration import Registration
from chronik.node.cluster_runtime import ClusterRuntime
from chronik.node.isolation_watchdog import IsolationWatchdog
from chronik.node.loss_reports import LossReports
from chronik.node.metadata_partition import MetadataPartition
from chronik.node.reconciler import ReplicaReconciler
from chronik.node.stalled_changes import StalledChanges
from chronik.vocab.errors import KafkaError

_log = logging.getLogger(__name__)

# A transfer takes two round trips; what takes longer is lost with the connection, and elected then.
_HAND_OVER_SECONDS_MAX = 2.0
# A report of members that is not answered is made again.
_REPORT_SECONDS_MAX = 5.0
# A controller that does not answer within this time is gone, or is stopping as well.
_LEAVE_SECONDS_MAX = 1.0


class BackgroundTasks:
    """One per node of a cluster; starts when the node is open, ends before it closes."""

    def __init__(
        self,
        runtime: ClusterRuntime,
        broker: Broker,
        metadata_partition: MetadataPartition,
        registration: Registration,
        look_after_replicas: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._metadata_partition = metadata_partition
        self._registration = registration
        self._liveness = Liveness(
            broker.metadata, broker.peers, lambda: broker.settings.int("broker.session.timeout.ms")
        )
        self._balancer = Balancer(
            replicas=broker.replicas,
            transfers=broker.transfers,
            peers=broker.peers,
            image=lambda: broker.metadata.image,
            settings=broker.settings,
        )
        reports = LossReports(broker.node_id, runtime.host, runtime.calls)
        self._reconciler = ReplicaReconciler(
            runtime.host, lambda: broker.metadata.image, reports, self._submit, look_after_replicas
        )
        self._watchdog = IsolationWatchdog(
            self,
            lambda: broker.settings.int("broker.session.timeout.ms"),
            lambda deadline: broker.transfers.drain_all(deadline),
        )
        self._gossip = runtime.gossip
        runtime.liveness = self._liveness
        self._is_started = False

    def start(self) -> None:
        self._is_started = True
        self._liveness.start()
        self._balancer.start()
        self._reconciler.start()
        self._watchdog.start()

    @property
    def stalled(self) -> StalledChanges:
        """Changes of members that make no progress."""
        return self._reconciler.stalled

    async def _submit(self, command: ReportMembers) -> None:
        deadline = asyncio.get_running_loop().time() + _REPORT_SECONDS_MAX
        await self._broker.metadata.submit(command, deadline=deadline)

    # For `IsolationWatchdog`.

    def is_cut_off(self) -> bool:
        controller = self._broker.metadata.controller
        return controller is None or controller not in self._broker.peers.live()

    def are_others_ahead(self) -> bool:
        applied = self._broker.metadata.applied_offset
        return any(offset > applied for offset in self._gossip.applied.values())

    async def drain(self) -> None:
        """Before a stop, while the node still serves: redirects clients, and transfers leaderships to
        other nodes.
        """
        await self.stop()
        now = asyncio.get_running_loop().time()
        deadline = now + _HAND_OVER_SECONDS_MAX
        try:
            await self._registration.leave(now + _LEAVE_SECONDS_MAX)
        except KafkaError as error:
            _log.warning(
                "could not deregister before shutdown; "
                "the controller fences this broker after its session timeout",
                extra={"error": str(error)},
            )
        left = await self._broker.transfers.drain_all(deadline)
        if left:
            _log.warning(
                "could not transfer all leaderships before shutdown; the rest is elected",
                extra={"partitions": len(left)},
            )
        await self._transfer_metadata(deadline)

    async def _transfer_metadata(self, deadline: float) -> None:
        try:
            partition = self._metadata_partition.partition
            candidates = self._broker.transfers.candidates(partition) if partition.is_leader else []
            if candidates:
                partition.group.transfer(candidates[0])
                await self._metadata_partition.wait_not_leader(deadline)
        except KafkaError as error:
            _log.warning(
                "could not transfer the controller before shutdown; it is elected",
                extra={"error": str(error)},
            )

    async def stop(self) -> None:
        if self._is_started:
            self._is_started = False
            self._liveness.stop()
            self._reconciler.stop()
            await self._watchdog.stop()
            await self._balancer.stop()
