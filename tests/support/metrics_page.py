"""A scrape of /metrics, as Prometheus would take it in."""

import urllib.request
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


class Page(NamedTuple):
    """One node's figures at one moment."""

    families: list[Metric]

    def values(self, name: str, **labels: str) -> list[float]:
        """Of all samples of this name that have these labels, in the page's order."""
        return [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """Of the only one."""
        (value,) = self.values(name, **labels)
        return value


def scrape(url: str) -> Page:
    """Raises OSError."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        return Page(list(text_string_to_metric_families(response.read().decode())))
