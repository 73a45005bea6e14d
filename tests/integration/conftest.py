"""One broker process for all integration tests that need no broker of their own."""

import gc
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # It reads its schemas in a way that Python 3.11 has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401  (so that later imports find it done)

from tests.support.broker_log import bugs_in
from tests.support.broker_process import BrokerProcess

# Foreign clients' habits, which are errors in our own tests.
_FOREIGN_WARNINGS = (
    "ignore:read_text is deprecated:DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for text in _FOREIGN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(text))


@pytest.fixture(scope="session", autouse=True)
def _collect_foreign_sockets() -> Iterator[None]:
    """Some clients leave sockets to the garbage collector, which would complain of them later."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


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
    module = request.module.__name__.rpartition(".")[2]
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{module}.{request.node.name}")[:200]
