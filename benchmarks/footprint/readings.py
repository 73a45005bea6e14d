"""What a footprint run gathered, and what Chronik promises."""

from benchmarks.peers import CHRONIK
from chronik.cli.perf.figure import Figure

# What Chronik promises, by figure name.
LIMITS = {
    "start": 300.0,
    "idle memory": 60.0,
    "memory after 1 GB": 200.0,
    "join to first record": 500.0,
    "SIGTERM": 1000.0,
    "failed first sends, confluent-kafka": 0.0,
    "failed first sends, kafka-python": 0.0,
}


class Readings:
    """Figures and failures of all peers, filled as they come."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, Figure]] = {}
        self.failures: list[tuple[str, str, str]] = []

    def add(self, peer: str, figure: Figure) -> None:
        self.figures.setdefault(figure.name, {})[peer] = figure

    def is_kept(self) -> bool:
        """Whether Chronik was measured whole and kept every limit."""
        if any(peer == CHRONIK.name for peer, _, _ in self.failures):
            return False
        mine = {name: by_peer.get(CHRONIK.name) for name, by_peer in self.figures.items()}
        return all(
            figure is None or figure.value <= LIMITS.get(name, float("inf")) for name, figure in mine.items()
        )
