"""Producers: idempotent, every replica's majority, and patient."""

import threading
from pathlib import Path

from chronik.history.files import Recorder
from tests.chaos.clients.recorded import Either, RecordedWrites
from tests.proofs.cluster.restart_clients import CLIENTS, Settings

# A record may wait as long as any fault goes on, and the recovery after it: to give up would tell of the
# limit.
_PATIENCE_MS = 300_000
# confluent-kafka tries to reach a node that was away only after up to ten seconds, kafka-python after up to
# half a minute. Nodes go away much more often here than in life.
_RECONNECT_MS = 500
SETTINGS: dict[str, Settings] = {
    "confluent-kafka": {
        "enable.idempotence": True,
        "message.timeout.ms": _PATIENCE_MS,
        "reconnect.backoff.max.ms": _RECONNECT_MS,
    },
    "kafka-python": {
        "enable_idempotence": True,
        "acks": "all",
        "delivery_timeout_ms": _PATIENCE_MS,
        "reconnect_backoff_max_ms": _RECONNECT_MS,
    },
    # One setting for a request and for a record: a node that is paused, and comes back, answers in time.
    "aiokafka": {"enable_idempotence": True, "acks": "all", "request_timeout_ms": 60_000},
}


def write(
    client: str, servers: str, topic: str, partitions: int, path: Path, is_over: threading.Event
) -> None:
    """Send until it is over, and wait until everything is answered."""
    with Recorder(path) as recorder:
        writes = RecordedWrites(client, topic, partitions, recorder)
        while not is_over.is_set():
            writes.has_failed.clear()
            why = None
            try:
                CLIENTS[client].write(servers, writes, Either(is_over, writes.has_failed), SETTINGS[client])
            except Exception as error:
                # librdkafka raises what is fatal to an idempotent producer wherever it is called next.
                why = repr(error)
            writes.give_up(why)
