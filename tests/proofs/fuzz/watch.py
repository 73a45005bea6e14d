"""What the broker is watched for while it is under fire."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient

# A healthy client's answer, under fire, on a machine with two cores that the attackers share.
ANSWER_SECONDS_MAX = 5.0
_PAUSE_SECONDS = 0.1

# Log lines that mean a bug of the broker, whatever was sent to it.
_BUG_SIGNS = ("request failed", "Traceback", "invariant", "Task exception", "Exception in callback")


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


def bugs_in(log: Path) -> Iterator[str]:
    """Each kind of bug that the log tells of, once: the line with its traceback."""
    seen = set()
    lines = log.read_text(errors="replace").splitlines()
    for at, line in enumerate(lines):
        if any(sign in line for sign in _BUG_SIGNS) and line[:1] != " ":
            event = [line[:300], *_indented(lines, at + 1)]
            kind = "\n".join(event[-3:])
            if kind not in seen:
                seen.add(kind)
                yield "\n".join(event)


def _indented(lines: list[str], at: int) -> Iterator[str]:
    while at < len(lines) and lines[at][:1] == " ":
        yield lines[at]
        at += 1
