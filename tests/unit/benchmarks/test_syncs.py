"""Syncs a second, from a page of metrics to a rate."""

from benchmarks.syncs import active_rate, parse_sync_count

_PAGE = """\
# HELP chronik_log_sync_files_total Files synced.
# TYPE chronik_log_sync_files_total counter
chronik_log_sync_files_total 1234.0
# TYPE chronik_log_sync_files_created gauge
chronik_log_sync_files_created 1.7e+09
"""


def test_count_is_read_from_its_own_line() -> None:
    assert parse_sync_count(_PAGE) == 1234


def test_page_without_the_counter_has_no_count() -> None:
    assert parse_sync_count("process_cpu_seconds_total 1.0\n") is None


def test_intervals_without_a_sync_do_not_thin_out_the_rate() -> None:
    assert active_rate([(0, 0), (1, 0), (2, 100), (3, 400), (4, 400)]) == 200


def test_no_syncs_at_all_are_a_rate_of_zero_and_no_samples_are_none() -> None:
    assert active_rate([(0, 5), (1, 5)]) == 0
    assert active_rate([(0, 5)]) is None
