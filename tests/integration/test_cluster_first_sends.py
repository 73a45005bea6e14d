"""A new topic of a cluster can be written to at once (tests/proofs/cluster/historic.py and others)."""

from collections.abc import Iterator

import pytest
from rich.progress import Progress

from tests.proofs.cluster import first_send_latency, historic
from tests.proofs.cluster.senders import SENDERS
from tests.proofs.cluster.tapped import TappedCluster, tapped_cluster

pytestmark = pytest.mark.integration

NO_PROGRESS = Progress(disable=True)


@pytest.fixture(scope="module")
def tapped() -> Iterator[TappedCluster]:
    with tapped_cluster(num_partitions=historic.PARTITIONS) as cluster:
        yield cluster


def test_1000_sends_without_retries_after_the_first_metadata(tapped: TappedCluster) -> None:
    report = historic.Report()
    historic.run_historic(tapped.bootstrap_servers, historic.SENDS, report)
    report.listen(tapped.tap, historic.TOPIC)
    assert report.problems == []
    assert (report.acknowledged, report.read) == (historic.SENDS, historic.SENDS)


@pytest.mark.parametrize("client", SENDERS)
def test_no_client_gets_an_error_from_a_new_topic(tapped: TappedCluster, client: str) -> None:
    report = historic.Report()
    historic.run_client(tapped, client, 3, report, NO_PROGRESS)
    assert report.problems == []
    # By metadata, by a send, by the admin from three producers.
    assert report.sends == 3 * (3 + 1 + 3 * 3)
    assert report.answers["CREATE_TOPICS"] == 3
    assert report.answers["PRODUCE"] == report.sends


@pytest.mark.parametrize("client", SENDERS)
def test_the_first_act_of_a_client_is_a_send(tapped: TappedCluster, client: str) -> None:
    timings = first_send_latency.Timings()
    problems = first_send_latency.measure(tapped, client, f"first-act-{client}", timings)
    assert problems == []
    assert 0 < timings.metadata[0] < timings.nodes[0] <= timings.wire[0] < timings.producer_and_send[0]
