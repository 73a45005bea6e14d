"""Before a node of a cluster stops: its leaderships go to other nodes, while it still serves.

So no producer meets a closed port where a leader was: it is told who leads now, and its next request is
right.
"""

import logging

from chronik.broker.context import Broker
from chronik.cluster.commands import FenceBroker
from chronik.server.metadata_partition import MetadataPartition
from chronik.vocab.errors import KafkaError

_log = logging.getLogger(__name__)


async def hand_over(broker: Broker, metadata: MetadataPartition, deadline: float) -> None:
    """Returns when others lead all that this node led, or at `deadline` on the loop's clock."""
    await _step_out(broker, deadline)
    led = broker.replicas.led()
    left = await broker.transfers.hand_over_all(deadline)
    _log.info("leaderships handed over", extra={"partitions": len(led) - len(left), "left": len(left)})
    await _hand_over_metadata(broker, metadata, deadline)


async def _step_out(broker: Broker, deadline: float) -> None:
    """Have clients not sent here any more."""
    registered = broker.metadata.image.brokers.get(broker.node_id)
    if registered is None:
        return
    command = FenceBroker(node=broker.node_id, epoch=registered.epoch)
    try:
        await broker.metadata.submit(command, deadline=deadline)
    except KafkaError as error:
        _log.warning("the others will notice by themselves that this node stops", extra={"error": str(error)})


async def _hand_over_metadata(broker: Broker, metadata: MetadataPartition, deadline: float) -> None:
    try:
        partition = metadata.partition
        if not partition.is_leader:
            return
        candidates = broker.transfers.candidates(partition)
        if not candidates:
            return
        partition.group.transfer(candidates[0])
    except KafkaError as error:
        _log.warning("the controller is not handed over", extra={"error": str(error)})
        return
    await metadata.wait_not_leader(deadline)
