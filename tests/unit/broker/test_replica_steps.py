"""What a node does about its own replica: the rows of `local_step`."""

import pytest

from chronik.broker.replica_steps import LocalStep, local_step
from chronik.cluster.metadata.replicas import PartitionImage, ReplicaRef
from chronik.vocab.ids import NodeId

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
FOUNDED = PartitionImage(founders=(ONE, TWO), first_leader=ONE)
CHANGED = FOUNDED.changed((ReplicaRef(ONE), ReplicaRef(THREE, 4)), (), 5)


@pytest.mark.parametrize(
    ("image", "node", "here", "expected"),
    [
        pytest.param(FOUNDED, THREE, None, LocalStep.NONE, id="elsewhere"),
        pytest.param(FOUNDED, TWO, None, LocalStep.MAKE, id="a founder that is not made yet"),
        pytest.param(FOUNDED, TWO, 0, LocalStep.CHANGE, id="a founder"),
        pytest.param(FOUNDED, TWO, 3, LocalStep.WAIT, id="one of a later revision than the image"),
        pytest.param(FOUNDED, THREE, 3, LocalStep.WAIT, id="one that the image does not know yet"),
        pytest.param(CHANGED, TWO, 0, LocalStep.DELETE, id="removed"),
        pytest.param(CHANGED, TWO, 5, LocalStep.DELETE, id="removed by the revision that is known"),
        pytest.param(CHANGED, TWO, None, LocalStep.NONE, id="removed and deleted"),
        pytest.param(CHANGED, THREE, None, LocalStep.MAKE, id="added"),
        pytest.param(CHANGED, THREE, 0, LocalStep.REMAKE, id="removed and added again"),
        pytest.param(CHANGED, THREE, 3, LocalStep.REMAKE, id="removed and added again more than once"),
        pytest.param(CHANGED, THREE, 4, LocalStep.CHANGE, id="added before"),
        pytest.param(CHANGED, ONE, 0, LocalStep.CHANGE, id="a founder that stays"),
    ],
)
def test_what_a_node_does_about_its_replica(
    image: PartitionImage, node: NodeId, here: int | None, expected: LocalStep
) -> None:
    assert local_step(image, node, here) is expected
