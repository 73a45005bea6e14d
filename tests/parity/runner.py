"""Plays scenarios against brokers."""

import secrets
import time
import zlib
from collections.abc import Mapping

from chronik.wire.apis import ApiKey
from tests.parity.golden import Transcript
from tests.parity.registry import Scenario
from tests.parity.session import RETRIABLE, Session, Target

# Scenarios' own times are this far back, so that a broker's clock is not mistaken for them.
_BASE_TIME_AGO_MS = 3_600_000


def target(addresses: Mapping[int, str], directory: str) -> Target:
    """A run's target, from `host:port` by node id."""
    split = {node: address.rpartition(":") for node, address in addresses.items()}
    return Target(
        addresses={node: (host, int(port)) for node, (host, _, port) in split.items()},
        directory=directory,
        run=f"x{secrets.token_hex(3)}",
        base_time=int(time.time() * 1000) - _BASE_TIME_AGO_MS,
    )


def warm_up(where: Target) -> None:
    """Waits until the coordinators of groups and transactions serve: what the first users of a broker see is
    not what scenarios are about, unless they say so.
    """
    session = Session(where, f"{where.run}warm")
    try:
        session.coordinator(session.name("group"))
        _warm_up_transactions(session)
        for node in where.addresses:
            session.connect(node).wait_until(
                lambda answer: answer["error_code"] == 0,
                ApiKey.INIT_PRODUCER_ID,
                4,
                {"transactional_id": None, "transaction_timeout_ms": 60_000},
            )
    finally:
        session.close_all()


def _warm_up_transactions(session: Session) -> None:
    """Until what one transactional id is answered is no matter of time."""
    name = session.name("tx")
    found = session.wait_until(
        lambda answer: answer["coordinators"][0]["error_code"] not in RETRIABLE,
        ApiKey.FIND_COORDINATOR,
        4,
        {"key_type": 1, "coordinator_keys": [name]},
    )["coordinators"][0]
    if found["error_code"] == 0:
        session.connect(found["node_id"]).wait_until(
            lambda answer: answer["error_code"] not in RETRIABLE,
            ApiKey.INIT_PRODUCER_ID,
            4,
            {"transactional_id": name, "transaction_timeout_ms": 60_000},
        )


def play(scenario: Scenario, where: Target) -> Transcript:
    """One scenario; its transcript. Raises SetupFailed, TimeoutError, and what the scenario raises."""
    session = Session(where, f"{where.run}{zlib.crc32(scenario.name.encode()):08x}")
    try:
        scenario.play(session)
        return session.transcript
    finally:
        session.close_all()
