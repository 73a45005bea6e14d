"""Traffic of each topic since the node started. Counted on the hot path, read by metrics.

A partition keeps its topic's counter and adds to its attributes: `partition.traffic.bytes_in += size`.
"""

from collections.abc import Mapping

# Topics that are counted apart. Further ones share one counter: a client that makes topics without end must
# not make metrics without end.
TOPICS_MAX = 2_000


class TopicTraffic:
    """Totals since start. Only ever added to."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "failed_fetches",
        "failed_produces",
        "fetches",
        "messages_in",
        "produces",
    )

    def __init__(self) -> None:
        # Records, and bytes of batches as they lie in the log, that producers brought.
        self.messages_in = 0
        self.bytes_in = 0
        # Bytes of batches that consumers took.
        self.bytes_out = 0
        # Partitions named in Produce and Fetch requests that this node has a replica of, and those among them
        # that failed by no fault of a moved leader or an unusual request: Kafka's total and failed requests.
        self.produces = 0
        self.failed_produces = 0
        self.fetches = 0
        self.failed_fetches = 0

    def add(self, other: "TopicTraffic") -> None:
        self.messages_in += other.messages_in
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.produces += other.produces
        self.failed_produces += other.failed_produces
        self.fetches += other.fetches
        self.failed_fetches += other.failed_fetches


class Traffic:
    """The counters of a node. Made by the node, for its life."""

    def __init__(self, topics_max: int = TOPICS_MAX) -> None:
        self._topics_max = topics_max
        self._by_topic: dict[str, TopicTraffic] = {}
        # Topics beyond the bound, and removed ones: totals never go down.
        self._rest = TopicTraffic()

    def of(self, topic: str) -> TopicTraffic:
        """Returns the topic's counter; callers that count often keep it."""
        found = self._by_topic.get(topic)
        if found is None:
            if len(self._by_topic) >= self._topics_max:
                return self._rest
            found = self._by_topic[topic] = TopicTraffic()
        return found

    def forget(self, topic: str) -> None:
        """The topic was deleted: its totals stay in `total`, its name goes."""
        gone = self._by_topic.pop(topic, None)
        if gone is not None:
            self._rest.add(gone)

    def by_topic(self) -> Mapping[str, TopicTraffic]:
        """The topics that are counted apart; not to be changed."""
        return self._by_topic

    def total(self) -> TopicTraffic:
        """Everything since start, removed topics included."""
        total = TopicTraffic()
        for traffic in self._by_topic.values():
            total.add(traffic)
        total.add(self._rest)
        return total
