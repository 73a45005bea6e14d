"""One broker process for all integration tests that need no broker of their own."""

import re
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # It reads its schemas in a way that Python 3.11 has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401  (so that later imports find it done)

from tests.support.broker_log import bugs_in
from tests.support.broker_process import BrokerProcess


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Default settings. Tests share it, so each takes topics and groups of its own (`name`)."""
    process = BrokerProcess(tmp_path_factory.mktemp("shared-broker"))
    process.start()
    yield process
    code = process.stop()
    assert code == 0
    assert list(bugs_in(process.log_path)) == []


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Not started yet; for tests that stop or kill it. Its log must tell of no bug."""
    process = BrokerProcess(tmp_path_factory.mktemp("own-broker"))
    yield process
    process.kill()
    assert not process.log_path.exists() or list(bugs_in(process.log_path)) == []


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for a topic or group that no other test uses."""
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", request.node.name)[:200]
