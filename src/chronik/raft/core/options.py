"""Timings and limits of a group, in ticks; the shell defines how long a tick is."""

from dataclasses import dataclass

from chronik.vocab.invariant import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftOptions:
    """The same on all nodes of a cluster, or leader stickiness and CheckQuorum lose their meaning."""

    # A follower waits between election_ticks and twice as many, drawn again each time (section 5.2).
    election_ticks: int = 10
    # Three of them must fit below an election timeout, so that one lost heartbeat elects nobody.
    heartbeat_ticks: int = 2
    # Followers that lost their leader's connection request votes one after the other, the first after one
    # tick, each next one this many ticks later: long enough for an election, so that they do not split the
    # votes and wait for a whole timeout.
    peer_lost_turn_ticks: int = 4
    # One message carries at most this much, unless a single batch is larger. Kafka's
    # replica.fetch.max.bytes.
    append_bytes_max: int = 1024 * 1024
    # Limit of what is in flight to one follower; bounds the memory that a slow follower costs.
    inflight_bytes_max: int = 8 * 1024 * 1024
    inflight_messages_max: int = 256
    # Announce a commit to followers at once rather than with the next entries or heartbeat.
    is_commit_sent_at_once: bool = True
    # The shell monitors nodes rather than groups: it does not tick a group while `RaftCore.is_quiesced`, and
    # calls `on_peer_lost` when a node's own heartbeats stop. Then a quiesced leader sends no heartbeats.
    is_quiescence_used: bool = False

    def __post_init__(self) -> None:
        invariant(
            0 < self.heartbeat_ticks * 3 < self.election_ticks,
            "heartbeat of {} ticks for an election timeout of {}",
            self.heartbeat_ticks,
            self.election_ticks,
        )
