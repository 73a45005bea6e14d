import asyncio
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chronik.broker.traffic import TopicTraffic
from chronik.server.http.view import GroupFigures, NodeStatistics
from chronik.server.metrics import ROWS_MAX, render
from tests.unit.server.http.fake_node import partition, statistics

Labels = frozenset[tuple[str, str]]


def samples(figures: NodeStatistics, *, is_ready: bool = True) -> dict[tuple[str, Labels], float]:
    """What Prometheus would take in."""
    text = asyncio.run(render(figures, is_ready=is_ready)).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**values: str) -> Labels:
    return frozenset(values.items())


def test_traffic_is_shown_per_topic_and_for_all() -> None:
    traffic = TopicTraffic()
    traffic.messages_in, traffic.bytes_in, traffic.bytes_out = 3, 300, 600
    traffic.produces, traffic.failed_produces, traffic.fetches, traffic.failed_fetches = 5, 2, 7, 1
    found = samples(statistics(topic_traffic={"orders": traffic}))
    expected = {
        "messagesin": 3,
        "bytesin": 300,
        "bytesout": 600,
        "totalproducerequests": 5,
        "failedproducerequests": 2,
        "totalfetchrequests": 7,
        "failedfetchrequests": 1,
    }
    for name, value in expected.items():
        assert found[f"kafka_server_brokertopicmetrics_{name}_total", labels()] == value
        assert found[f"kafka_server_brokertopicmetrics_{name}_total", labels(topic="orders")] == value


def test_requests_by_api() -> None:
    found = samples(statistics())
    produce = labels(request="Produce")
    assert found["kafka_network_requestmetrics_requests_total", produce] == 5
    assert found["kafka_network_requestmetrics_errors_total", produce] == 1
    assert found["chronik_request_seconds_total", produce] == 0.25


def test_logs_and_replicas() -> None:
    found = samples(statistics(partitions=[partition("orders", 1, start=4, end=10, size=512)]))
    where = labels(topic="orders", partition="1")
    assert found["kafka_log_log_size", where] == 512
    assert found["kafka_log_log_logstartoffset", where] == 4
    assert found["kafka_log_log_logendoffset", where] == 10
    assert found["kafka_topic_partition_current_offset", where] == 10
    assert found["kafka_server_replicamanager_partitioncount", labels()] == 1
    assert found["kafka_server_replicamanager_leadercount", labels()] == 1


def test_led_partitions_that_lack_replicas() -> None:
    rows = [
        partition("whole", in_sync=3),
        partition("at-minimum", in_sync=2),
        partition("below", in_sync=1),
        partition("moving")._replace(is_reassigning=True),
        partition("followed", in_sync=1)._replace(is_leader=False, is_reassigning=True),
    ]
    found = samples(statistics(partitions=rows))
    assert found["kafka_server_replicamanager_underreplicatedpartitions", labels()] == 2
    assert found["kafka_server_replicamanager_atminisrpartitioncount", labels()] == 1
    assert found["kafka_server_replicamanager_underminisrpartitioncount", labels()] == 1
    assert found["kafka_server_replicamanager_reassigningpartitions", labels()] == 1


def test_what_is_a_partitions_is_shown_by_its_leader_alone() -> None:
    rows = [
        partition("led", in_sync=2)._replace(is_preferred=False),
        partition("followed")._replace(is_leader=False),
    ]
    found = samples(statistics(partitions=rows))
    expected = {
        "kafka_cluster_partition_atminisr": 1,
        "kafka_cluster_partition_underminisr": 0,
        "kafka_topic_partition_replicas": 3,
        "kafka_topic_partition_in_sync_replica": 2,
        "kafka_topic_partition_under_replicated_partition": 1,
        "kafka_topic_partition_leader_is_preferred": 0,
        "kafka_topic_partition_current_offset": 10,
        "kafka_topic_partition_oldest_offset": 0,
    }
    assert {name: found[name, labels(topic="led", partition="0")] for name in expected} == expected
    followed = labels(topic="followed", partition="0")
    assert not [name for name, where in found if where == followed and name in expected]
    assert found["kafka_log_log_size", followed] == 100


def test_coordinators_by_state() -> None:
    found = samples(statistics())
    name = "kafka_server_group_coordinator_metrics_num_partitions"
    shown = {state: found[name, labels(state=state)] for state in ("loading", "active", "failed")}
    assert shown == {"loading": 1, "active": 7, "failed": 2}


def test_sockets_and_the_loop_have_kafkas_names() -> None:
    found = samples(statistics())
    connections = "kafka_server_socket_server_metrics_connection_count"
    assert found[connections, labels(listener="PLAINTEXT", networkProcessor="0")] == 2
    assert found[connections, labels(listener="INTERNAL", networkProcessor="0")] == 0
    assert found["kafka_network_socketserver_networkprocessoravgidle_percent", labels()] == 0.75
    assert found["kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", labels()] == 0.75


@pytest.mark.skipif(sys.platform != "linux", reason="Kafka shows them on Linux alone")
def test_bytes_of_devices_are_the_kernels() -> None:
    found = samples(statistics())
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    shown = found["kafka_server_kafkaserver_linux_disk_write_bytes", labels()]
    assert 0 <= shown <= int(counts["write_bytes"])


def test_the_cluster_as_the_node_sees_it() -> None:
    found = samples(statistics())
    controller = "kafka_controller_kafkacontroller"
    assert found[f"{controller}_activecontrollercount", labels()] == 1
    assert found[f"{controller}_offlinepartitionscount", labels()] == 2
    assert found[f"{controller}_globaltopiccount", labels()] == 1
    assert found[f"{controller}_globalpartitioncount", labels()] == 9
    assert found[f"{controller}_activebrokercount", labels()] == 2
    assert found[f"{controller}_fencedbrokercount", labels()] == 1
    assert found["kafka_controller_controllerstats_uncleanleaderelections_total", labels()] == 0
    assert found["kafka_topic_partitions", labels(topic="orders")] == 9
    assert found["kafka_broker_info", labels(id="8", address="[::1]:9092")] == 1


def test_lag_is_what_is_committed_and_not_read() -> None:
    group = GroupFigures(id="billing", members=2, offsets={("orders", 0): 6, ("gone", 0): 1})
    found = samples(statistics(partitions=[partition("orders", end=10)], groups=[group]))
    where = labels(consumergroup="billing", topic="orders", partition="0")
    assert found["kafka_consumergroup_current_offset", where] == 6
    assert found["kafka_consumergroup_lag", where] == 4
    assert found["kafka_consumergroup_members", labels(consumergroup="billing")] == 2
    gone = labels(consumergroup="billing", topic="gone", partition="0")
    assert found["kafka_consumergroup_current_offset", gone] == 1
    assert ("kafka_consumergroup_lag", gone) not in found


def test_what_retention_removed_is_no_lag() -> None:
    """Nobody can read it: 1,190 records were shown where 200 remained."""
    group = GroupFigures(id="billing", members=0, offsets={("orders", 0): 10, ("orders", 1): 1_100})
    partitions = [partition("orders", end=1_200)._replace(start_offset=1_000, partition=n) for n in (0, 1)]
    found = samples(statistics(partitions=partitions, groups=[group]))
    lags = [
        found["kafka_consumergroup_lag", labels(consumergroup="billing", topic="orders", partition=n)]
        for n in ("0", "1")
    ]
    assert lags == [200, 100]


def test_an_offset_beyond_the_end_is_no_negative_lag() -> None:
    group = GroupFigures(id="billing", members=0, offsets={("orders", 0): 99})
    found = samples(statistics(partitions=[partition("orders", end=10)], groups=[group]))
    assert (
        found["kafka_consumergroup_lag", labels(consumergroup="billing", topic="orders", partition="0")] == 0
    )


def test_our_own_figures() -> None:
    found = samples(statistics())
    assert found["chronik_log_sync_rounds_total", labels()] == 3
    assert found["chronik_log_sync_files_total", labels()] == 4
    assert found["chronik_log_sync_seconds_total", labels()] == 1.5
    sync = "chronik_log_sync_latency_seconds"
    assert found[f"{sync}_bucket", labels(le="0.00025")] == 0
    assert found[f"{sync}_bucket", labels(le="0.0005")] == 1
    assert found[f"{sync}_bucket", labels(le="1.0")] == 3
    assert found[f"{sync}_count", labels()] == found[f"{sync}_bucket", labels(le="+Inf")] == 3
    assert found[f"{sync}_sum", labels()] == pytest.approx(1.5)
    assert found["chronik_connections", labels()] == 2
    assert found["chronik_received_bytes", labels()] == 11
    assert found["chronik_unsent_bytes", labels()] == 12


@pytest.mark.parametrize(("is_ready", "shown"), [(True, 1), (False, 0)])
def test_readiness(is_ready: bool, shown: int) -> None:
    assert samples(statistics(), is_ready=is_ready)["chronik_ready", labels()] == shown


@pytest.mark.long
def test_rows_are_bounded_and_what_is_left_out_is_counted() -> None:
    too_many = ROWS_MAX + 5
    group = GroupFigures(id="g", members=0, offsets={("orders", index): 0 for index in range(too_many)})
    rows = [partition("orders", index) for index in range(too_many)]
    found = samples(statistics(partitions=rows, groups=[group]))
    for name in ("kafka_log_log_size", "kafka_consumergroup_current_offset"):
        assert sum(key[0] == name for key in found) == ROWS_MAX
    assert found["chronik_metrics_rows_omitted", labels(kind="partition")] == 5
    assert found["chronik_metrics_rows_omitted", labels(kind="consumergroup")] == 5
    assert found["kafka_server_replicamanager_partitioncount", labels()] == too_many


def test_strange_names_are_escaped() -> None:
    group = GroupFigures(id='g"\\\n', members=1, offsets={})
    assert (
        samples(statistics(groups=[group]))["kafka_consumergroup_members", labels(consumergroup='g"\\\n')]
        == 1
    )
