"""With permissions of the same names Chronik answers as Apache Kafka did with its authorizer."""

from collections.abc import Iterable, Iterator

import pytest

from chronik.broker import access
from chronik.testing import Broker
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.wire.apis import SUPPORTED
from tests.parity import golden as parity_golden
from tests.parity import runner
from tests.parity.authorization import golden
from tests.parity.authorization.conversations import ENDS
from tests.parity.authorization.intended import INTENDED
from tests.parity.authorization.permissions import ANY, EVERYTHING, Permission
from tests.parity.authorization.play import names, play
from tests.parity.differences import Difference, differences
from tests.parity.session import Target
from tests.support.acl_table import AclTable, Allowed

# They share a broker.
pytestmark = pytest.mark.xdist_group("parity authorization")


class Comparison:
    """Plays each conversation once."""

    def __init__(self, target: Target, table: AclTable) -> None:
        self._target = target
        self._table = table
        self._found: dict[str, list[Difference]] = {}

    def of(self, name: str) -> list[Difference]:
        if name not in self._found:
            recorded = golden.load()[name]
            played = play(name, self._target, self._allow)
            asked = [(each["ask"], each["request"]) for each in played]
            assert asked == [(each["ask"], each["request"]) for each in recorded], "record it again"
            self._found[name] = differences(name, recorded, played)
        return self._found[name]

    def _allow(self, permissions: Iterable[Permission]) -> None:
        self._table.allowed = tuple(_allowed(each) for each in permissions)


def _allowed(permission: Permission) -> Allowed:
    return Allowed(
        None if permission.operation == "All" else AclOperation[permission.operation.upper()],
        AclResourceType[permission.resource_type.upper().replace("-", "_")],
        None if permission.name == ANY else permission.name,
    )


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    directory = tmp_path_factory.mktemp("authorization")
    table = AclTable(*map(_allowed, EVERYTHING))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "AllowAll", lambda: table)
        with Broker(data_dir=directory) as broker:
            where = runner.target({1: broker.bootstrap_servers}, str(directory))
            runner.warm_up(where)
            yield Comparison(where, table)


@pytest.mark.parametrize("name", names())
def test_conversation(comparison: Comparison, name: str) -> None:
    unknown = [
        str(found) for found in comparison.of(name) if not any(entry.covers(found, 1) for entry in INTENDED)
    ]
    assert unknown == []


@pytest.mark.parametrize("entry", [pytest.param(each, id=str(each)) for each in INTENDED])
def test_an_intended_difference_is_there(comparison: Comparison, entry: object) -> None:
    found = [each for name in names() for each in comparison.of(name)]
    assert any(known.covers(each, 1) for known in INTENDED if known is entry for each in found)


@pytest.mark.parametrize("end", ENDS)
def test_every_served_api_is_refused_at_both_ends(end: str) -> None:
    asked = {each["ask"] for each in golden.load()[f"nobody/{end}"]}
    assert {f"{api_key.name} v{ENDS[end](api_key)}" for api_key in SUPPORTED} - asked == set()


def test_what_is_recorded_is_of_the_same_kafka() -> None:
    assert {golden.kafka_version()} == parity_golden.versions()
