"""The figures of consensus on a node of a cluster."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronik.server.http.view import PeerFigures, RaftFigures, StorageFigures
from chronik.server.metrics import ROWS_MAX
from tests.unit.server.http.fake_node import METADATA, latency, partition, statistics
from tests.unit.server.http.test_metrics import labels, samples

OPERATIONS = Path(__file__).resolve().parents[4] / "docs" / "operations.md"
PEER = PeerFigures(
    node=2,
    is_up=True,
    connects=3,
    frames_received=4,
    bytes_received=5,
    frames_sent=6,
    bytes_sent=7,
    frames_refused=8,
    unsent_bytes=9,
)
RAFT = RaftFigures(
    groups=10,
    active=2,
    led=4,
    voteless=3,
    elections=5,
    leader_changes=6,
    handed_over=7,
    shrinks=8,
    expands=9,
    commits=latency(0.0004, 0.002),
    metadata_commits=latency(0.02, 0.04),
    metadata_lag=2,
    peers=[PEER, PEER._replace(node=3, is_up=False)],
    strangers=11,
)
QUORUM = "kafka_server_raftmetrics"


def test_a_node_alone_shows_nothing_of_it() -> None:
    found = samples(statistics(partitions=[partition("orders")]))
    assert not [key for key in found if "chronik_raft" in key[0] or "chronik_metadata_lag" in key[0]]


def test_groups_and_what_became_of_their_leaderships() -> None:
    found = samples(statistics(raft=RAFT))
    shown = {
        name: found[f"chronik_raft_{name}", labels()]
        for name in ("groups", "active_groups", "led_groups", "voteless_groups")
    }
    assert shown == {"groups": 10, "active_groups": 2, "led_groups": 4, "voteless_groups": 3}
    assert found["chronik_raft_elections_won_total", labels()] == 5
    assert found["chronik_raft_leader_changes_total", labels()] == 6
    assert found["chronik_raft_leaderships_handed_over_total", labels()] == 7
    assert found["kafka_server_replicamanager_isrshrinks_total", labels()] == 8
    assert found["kafka_server_replicamanager_isrexpands_total", labels()] == 9
    assert found["chronik_raft_strangers_total", labels()] == 11


def test_commits_of_partitions_and_of_the_metadata_are_told_apart() -> None:
    found = samples(statistics(raft=RAFT))
    name = "chronik_raft_commit_latency_seconds"
    assert found[f"{name}_bucket", labels(of="partitions", le="0.0005")] == 1
    assert found[f"{name}_bucket", labels(of="partitions", le="0.0025")] == 2
    assert found[f"{name}_bucket", labels(of="metadata", le="0.01")] == 0
    assert found[f"{name}_count", labels(of="metadata")] == 2
    assert found[f"{name}_sum", labels(of="metadata")] == pytest.approx(0.06)


def test_the_quorum_of_the_metadata_in_kafkas_names_and_units() -> None:
    found = samples(statistics(raft=RAFT))
    assert found[f"{QUORUM}_current_state", labels(current_state="follower")] == 1
    assert found[f"{QUORUM}_current_leader", labels()] == 3
    assert found[f"{QUORUM}_current_epoch", labels()] == 7
    assert found[f"{QUORUM}_high_watermark", labels()] == 40
    assert found[f"{QUORUM}_log_end_offset", labels()] == 41
    assert found[f"{QUORUM}_commit_latency_avg", labels()] == pytest.approx(30)
    assert found[f"{QUORUM}_commit_latency_max", labels()] == pytest.approx(40)
    assert found[f"{QUORUM}_current_vote", labels()] == 2
    assert found[f"{QUORUM}_append_records_rate", labels()] == 0.5
    assert found[f"{QUORUM}_fetch_records_rate", labels()] == 2.5
    assert found["kafka_server_brokermetadatametrics_last_applied_record_offset", labels()] == 37
    assert found["chronik_metadata_lag", labels()] == 2


def test_the_quorums_messages_have_the_names_of_its_channel() -> None:
    found = samples(statistics(raft=RAFT))
    names = ("incoming_byte", "outgoing_byte", "request", "response")
    shown = [found[f"kafka_server_raftchannelmetrics_{name}_total", labels()] for name in names]
    assert shown == [100, 200, 3, 4]


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_directory_that_failed_is_offline(has_failed: bool) -> None:
    found = samples(statistics(metadata=METADATA._replace(has_failed=has_failed)))
    assert found["kafka_log_logmanager_offlinelogdirectorycount", labels()] == has_failed


def test_a_lag_that_nobody_knows_is_not_shown() -> None:
    found = samples(statistics(raft=RAFT._replace(metadata_lag=None)))
    assert ("chronik_metadata_lag", labels()) not in found


def test_before_the_metadata_is_open_there_is_nothing_of_it() -> None:
    found = samples(statistics(raft=RAFT, metadata=None))
    assert not [key for key in found if key[0].startswith(QUORUM)]
    assert found["chronik_raft_peer_connected", labels(peer="2")] == 1


def test_each_other_node() -> None:
    found = samples(statistics(raft=RAFT))
    assert found["chronik_raft_peer_connected", labels(peer="2")] == 1
    assert found["chronik_raft_peer_connected", labels(peer="3")] == 0
    expected = {
        "connects_total": 3,
        "received_frames_total": 4,
        "received_bytes_total": 5,
        "sent_frames_total": 6,
        "sent_bytes_total": 7,
        "refused_frames_total": 8,
        "unsent_bytes": 9,
    }
    assert {name: found[f"chronik_raft_peer_{name}", labels(peer="2")] for name in expected} == expected


def test_led_partitions_show_replicas_and_lag_and_followed_ones_do_not() -> None:
    rows = [partition("orders", 1, in_sync=1), partition("followed")._replace(is_leader=False)]
    found = samples(statistics(partitions=rows, raft=RAFT))
    where = labels(topic="orders", partition="1")
    assert found["kafka_cluster_partition_replicascount", where] == 3
    assert found["kafka_cluster_partition_insyncreplicascount", where] == 1
    assert found["kafka_cluster_partition_underreplicated", where] == 1
    assert found["kafka_cluster_partition_underminisr", where] == 1
    assert found["chronik_raft_replication_lag", where] == 4
    assert ("chronik_raft_replication_lag", labels(topic="followed", partition="0")) not in found


@pytest.mark.long
def test_rows_of_led_partitions_are_bounded() -> None:
    rows = [partition("orders", index) for index in range(ROWS_MAX + 5)]
    found = samples(statistics(partitions=rows, raft=RAFT))
    assert sum(key[0] == "chronik_raft_replication_lag" for key in found) == ROWS_MAX


def test_the_page_for_operators_names_what_there_is() -> None:
    storage = StorageFigures(damage={"batch": 1}, short={"disk": True}, refused={"disk": 1})
    figures = statistics(partitions=[partition("orders")], raft=RAFT, storage=storage)
    shown = {key[0] for key in samples(figures)}
    named = set(_names_in(OPERATIONS.read_text(encoding="utf-8")))
    assert len(named) > 30
    assert {name for name in named if name not in shown and f"{name}_count" not in shown} == set()


def _names_in(page: str) -> Iterator[str]:
    """Of metrics in the page's code spans: `a_{b,c}` is two of them, `{x}` after a name its labels."""
    for span in re.findall(r"`([^`]*)`", page):
        for name in re.findall(r"(?:kafka|chronik)_[a-z_]+(?:\{[a-z_,…]+\}[a-z_]*)?", span):
            head, _, rest = name.partition("{")
            if not head.endswith("_"):
                yield head
                continue
            middle, _, tail = rest.partition("}")
            yield from (f"{head}{one}{tail}" for one in middle.split(",") if one != "…")
