import secrets
from collections.abc import Iterator

import pytest

from chronik.testing import Broker
from tests.integration.cli.command import Command


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def chronik(broker: Broker, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(broker, capsys)


@pytest.fixture
def topic(broker: Broker) -> str:
    """A fresh topic of three partitions."""
    name = f"topic-{secrets.token_hex(4)}"
    broker.create_topic(name, partitions=3)
    return name
