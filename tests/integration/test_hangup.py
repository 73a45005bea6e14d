"""The terminal closes (SIGHUP): a clean stop, as of Kafka; and nothing at all under nohup."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from chronik.wire.apis import ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("prefix", "stops"), [((), True), (("nohup",), False)])
def test_a_hangup(tmp_path: Path, prefix: Sequence[str], stops: bool) -> None:
    broker = BrokerProcess(tmp_path, prefix=prefix)
    broker.start()
    try:
        os.kill(broker.pid, signal.SIGHUP)
        if stops:
            wait_until(lambda: not broker.is_running, "its end")
            assert broker.stop() == 0
            assert (broker.directory / "data" / ".kafka_cleanshutdown").exists()
            broker.start()
        with RawClient(broker.port) as client:
            answer = client.ask(ApiKey.API_VERSIONS, 0, ApiVersionsRequest(), ApiVersionsResponse)
        assert answer.error_code == 0
    finally:
        assert broker.stop() == 0
