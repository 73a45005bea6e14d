"""How often a broker syncs its disk while it is measured, read from the counter it exposes."""

import itertools
import threading
import time
import urllib.error
import urllib.request

# Calls of fsync; `chronik_log_sync_rounds_total` counts how often it syncs, whatever the number of files.
SYNC_METRIC = "chronik_log_sync_files_total"

# Writing the metrics out costs the broker about a millisecond; twice a second, that is not seen in figures.
_INTERVAL_S = 0.5
_ANSWER_TIMEOUT_S = 2.0


def sync_count(metrics_url: str) -> float | None:
    """Syncs since the broker started, or None when it does not tell."""
    try:
        with urllib.request.urlopen(metrics_url, timeout=_ANSWER_TIMEOUT_S) as response:
            return parse_sync_count(response.read().decode())
    except (urllib.error.URLError, TimeoutError):
        return None


def parse_sync_count(page: str) -> float | None:
    """The counter in a page of Prometheus' text format, or None."""
    values = [float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(SYNC_METRIC)]
    return sum(values) if values else None


def active_rate(samples: list[tuple[float, float]]) -> float | None:
    """Counts a second from samples (seconds, count), over those intervals in which anything was counted.

    So consuming, which syncs nothing, does not thin out what producing did. None without two samples.
    """
    if len(samples) < 2:
        return None
    count = seconds = 0.0
    for (begin, before), (end, after) in itertools.pairwise(samples):
        if after > before:
            count += after - before
            seconds += end - begin
    return count / seconds if seconds else 0.0


class SyncMeter:
    """Samples the counter from a thread while its block runs; without the metric, `per_second` is None."""

    def __init__(self, metrics_url: str | None) -> None:
        self._url = metrics_url
        self._samples: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "SyncMeter":
        if self._url is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._url is not None:
            self._thread.join()

    @property
    def per_second(self) -> float | None:
        """See `active_rate`."""
        return active_rate(self._samples)

    def _sample(self) -> None:
        while True:
            count = sync_count(self._url or "")
            if count is not None:
                self._samples.append((time.perf_counter(), count))
            if self._ended.wait(_INTERVAL_S):
                return
