"""Monitors of the broker while it is under attack."""

import threading
import time
from dataclasses import dataclass, field

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient

# A healthy client's answer, under fire, on a machine with two cores that the attackers share.
ANSWER_SECONDS_MAX = 5.0
_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class Findings:
    """What was seen; `problems` is empty when the broker kept its promises."""

    sessions: int = 0
    probes: int = 0
    slowest_probe_ms: float = 0.0
    rss_mb: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Watch:
    """A healthy client and a look at the memory, ten times a second, in a thread of its own."""

    def __init__(self, broker: BrokerProcess, findings: Findings) -> None:
        self._broker = broker
        self._findings = findings
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS) and not self._findings.problems:
            started = time.monotonic()
            try:
                probe(self._broker.port)
                self._findings.rss_mb.append(self._broker.resident_mb())
            except (OSError, AssertionError) as error:
                self._findings.problems.append(f"a healthy client got no answer: {error!r}")
            elapsed_ms = (time.monotonic() - started) * 1000
            self._findings.slowest_probe_ms = max(self._findings.slowest_probe_ms, elapsed_ms)
            self._findings.probes += 1


def probe(port: int) -> None:
    """What every client does first. Raises OSError (TimeoutError), AssertionError."""
    with RawClient(port, ANSWER_SECONDS_MAX) as client:
        versions = ApiVersionsRequest(client_software_name="probe", client_software_version="1")
        answer = client.ask(ApiKey.API_VERSIONS, 3, versions, ApiVersionsResponse)
        assert answer.error_code == ErrorCode.NONE
        topics = [MetadataRequestTopic(name="no-such-topic")]
        asked = MetadataRequest(topics=topics, allow_auto_topic_creation=False)
        assert client.ask(ApiKey.METADATA, 9, asked, MetadataResponse).brokers
