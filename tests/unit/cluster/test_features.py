"""Levels of the metadata: who may raise them, what they allow, in Kafka's words where it has some."""

import random

import pytest

from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.features import FeatureLevel, UpdateFeatures, level_problem
from chronik.cluster.metadata.premises import Premises
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import METADATA_LEVEL, FeatureRange, FeatureUpdate, UpgradeType
from chronik.vocab.ids import NodeId

from .builders import DEFAULTS, register
from .flags_subject import FlagSet, SetFlag, flags_subject

PREMISES = Premises(defaults=DEFAULTS, randomness=random.Random(0), node=NodeId(1), last_level=3)
KNOWS_THREE = (FeatureRange(METADATA_LEVEL, 1, 3),)


def cluster(*last_levels: int, level: int = 1) -> ClusterImage:
    """Nodes that know levels up to these, in a cluster that is at `level`."""
    image = ClusterImage()
    old = PREMISES._replace(last_level=1)
    for node, last in enumerate(last_levels, 1):
        command = register(node)._replace(features=(FeatureRange(METADATA_LEVEL, 1, last),))
        image, _ = apply_records(image, decide(image, command, old))
    image, _ = apply_records(image, [FeatureLevel(name=METADATA_LEVEL, level=level)])
    return image


def update(
    image: ClusterImage, level: int, upgrade_type: UpgradeType = UpgradeType.UPGRADE
) -> list[FeatureLevel]:
    command = UpdateFeatures(updates=(FeatureUpdate(METADATA_LEVEL, level, upgrade_type),))
    return list(decide(image, command, PREMISES))


def test_a_level_that_all_know_is_raised() -> None:
    image = cluster(3, 2)
    assert update(image, 2) == [FeatureLevel(name=METADATA_LEVEL, level=2)]
    assert update(image, 1) == []
    raised, _ = apply_records(image, update(image, 2))
    assert (image.metadata_level, raised.metadata_level) == (1, 2)
    assert update(raised, 2) == []


@pytest.mark.parametrize(
    ("nodes", "current", "level", "upgrade_type", "problem"),
    [
        ((3, 2), 1, 3, UpgradeType.UPGRADE, "Broker 2 only supports versions 1-2"),
        ((3, 1), 1, 2, UpgradeType.UPGRADE, "Broker 2 only supports versions 1-1"),
        ((3, 3), 1, 4, UpgradeType.UPGRADE, "Local controller 1 only supports versions 1-3"),
        ((3, 3), 1, 2, UpgradeType.SAFE_DOWNGRADE, "Can't downgrade to a newer version."),
        ((3, 3), 2, 1, UpgradeType.UPGRADE, "Can't downgrade the version of this feature without setting"),
        ((3, 3), 2, 1, UpgradeType.SAFE_DOWNGRADE, "it might delete metadata information."),
        ((3, 3), 2, 1, UpgradeType.UNSAFE_DOWNGRADE, "Unsafe metadata downgrade is not supported"),
    ],
)
def test_what_cannot_be_is_refused(
    nodes: tuple[int, ...], current: int, level: int, upgrade_type: UpgradeType, problem: str
) -> None:
    with pytest.raises(KafkaError) as caught:
        update(cluster(*nodes, level=current), level, upgrade_type)
    assert caught.value.code is ErrorCode.INVALID_UPDATE_VERSION
    assert str(caught.value).startswith(f"Invalid update version {level} for feature {METADATA_LEVEL}. ")
    assert problem in str(caught.value)


def test_a_node_of_a_release_without_levels_knows_the_first() -> None:
    image, _ = apply_records(cluster(3), decide(cluster(3), register(2), PREMISES))
    with pytest.raises(KafkaError, match="Broker 2 only supports versions 1-1"):
        update(image, 2)


def test_a_node_that_lacks_the_level_is_not_registered() -> None:
    image = cluster(3, level=2)
    with pytest.raises(KafkaError, match=r"version 2 of .* between 1 and 1, .* on node 2 that") as said:
        decide(image, register(2), PREMISES)
    assert said.value.code is ErrorCode.UNSUPPORTED_VERSION
    assert decide(image, register(2)._replace(features=KNOWS_THREE), PREMISES)


def test_a_new_cluster_begins_at_the_last_level_that_both_know() -> None:
    first = register(1)._replace(features=KNOWS_THREE)
    begun, registered = decide(ClusterImage(), first, PREMISES)
    assert begun == FeatureLevel(name=METADATA_LEVEL, level=3)
    image, _ = apply_records(ClusterImage(), [begun, registered])
    assert len(decide(image, first._replace(node=NodeId(2)), PREMISES)) == 1
    assert len(decide(ClusterImage(), register(1), PREMISES)) == 1
    assert len(decide(ClusterImage(), first, PREMISES._replace(last_level=1))) == 1


def test_what_needs_a_later_level_is_refused_by_its_record_and_by_its_command() -> None:
    subject = flags_subject(level=2)
    (form,) = subject.commands
    by_command = subject._replace(records=flags_subject().records, commands=(form._replace(level=2),))
    for table in (SUBJECTS.with_subject(subject), SUBJECTS.with_subject(by_command)):
        assert table.last_level == 2
        command = SetFlag(name="a", value=1)
        with pytest.raises(KafkaError, match="SetFlag needs level 2 of ") as said:
            decide(cluster(3), command, PREMISES, table)
        assert said.value.code is ErrorCode.UNSUPPORTED_VERSION
        assert decide(cluster(3, level=2), command, PREMISES, table) == [FlagSet(name="a", value=1)]


def test_a_release_goes_on_up_to_its_last_level() -> None:
    assert level_problem(cluster(3, level=2), 2) is None
    assert "a release that knows level 2" in (level_problem(cluster(3, level=2), 1) or "")
