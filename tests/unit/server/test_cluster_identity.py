import base64

from chronik.server.cluster_identity import derive_cluster_id
from chronik.server.settings.listeners import Address
from chronik.vocab.ids import NodeId

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(10)
VOTERS = {ONE: Address("one", 5001), TWO: Address("two", 5002), THREE: Address("::1", 5003)}


def test_all_nodes_come_to_the_same_id() -> None:
    backwards = dict(reversed(VOTERS.items()))
    loud = {node: Address(address.host.upper(), address.port) for node, address in VOTERS.items()}
    assert derive_cluster_id(VOTERS) == derive_cluster_id(backwards) == derive_cluster_id(loud)


def test_the_id_never_changes() -> None:
    # A node that is wiped and upgraded must come to the id the others have.
    assert derive_cluster_id(VOTERS) == "1YxMyg8hTZhEumQ9VxXCUA"


def test_other_voters_are_another_cluster() -> None:
    others = [
        {ONE: VOTERS[ONE], TWO: VOTERS[TWO]},
        {**VOTERS, THREE: Address("::1", 5004)},
        {**VOTERS, ONE: VOTERS[TWO], TWO: VOTERS[ONE]},
    ]
    ids = {derive_cluster_id(voters) for voters in (VOTERS, *others)}
    assert len(ids) == 4


def test_it_looks_like_kafkas_ids() -> None:
    for port in range(1, 300):
        text = derive_cluster_id({ONE: Address("host", port)})
        assert len(base64.urlsafe_b64decode(text + "==")) == 16
        assert not text.startswith("-")
