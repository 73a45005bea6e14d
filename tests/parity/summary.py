"""The coverage of the recorded scenarios."""

from collections import defaultdict
from collections.abc import Mapping

from tests.parity import golden


def versions_asked() -> Mapping[str, Mapping[int, set[str]]]:
    """Scenarios by API and version, from the golden files."""
    asked: defaultdict[str, defaultdict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for area in golden.areas():
        for name, transcript in golden.load(area, 3).items():
            for exchange in transcript:
                api, _, version = exchange["ask"].rpartition(" v")
                if api:
                    asked[api][int(version)].add(name)
    return asked
