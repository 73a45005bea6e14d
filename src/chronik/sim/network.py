"""A network of one process on virtual time: every delay and every loss is drawn from the seed.

A connection keeps order and loses nothing while it lives, as TCP does. Frames in flight when the network is
cut wait, and arrive after `heal`, unless a side took the silence for a lost peer first. Frames in flight when
a node crashes arrive up to a point that is drawn. Frames due at one time come in one turn.

Raft needs less than TCP gives: if the network is in `disorder`, messages of consensus come twice, and late,
after others that were sent later. None is lost, unless a connection is: groups rely on that.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from chronik.node.peer_liveness import Liveness, Verdict
from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo, TransportListener
from chronik.vocab.ids import NodeId

_log = logging.getLogger(__name__)

DEFAULT_TIMINGS = PeerTimings(silence_ms=1000, heartbeat_ms=100)

DELAY_MS = (0.1, 2.0)

# As the real one's.
UNSENT_BYTES_MAX = 64 * 1024 * 1024

# The loop calls a timer when its time has come to within this.
_RESOLUTION_SECONDS = 1e-6

_LATER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Up:
    extra: bytes


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: FrameKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    pass


@dataclass(frozen=True, slots=True)
class _Close:
    pass


@dataclass(frozen=True, slots=True)
class Disorder:
    """How probably a frame of consensus comes twice, or late; how late at most."""

    twice: float = 0.0
    late: float = 0.0
    late_seconds_max: float = 0.0


_Item = _Up | _Frame | _Heartbeat | _Close


class _End:
    """One side of a connection: frames sent on it arrive at `far`, in order."""

    def __init__(self, owner: "SimTransport", timings: PeerTimings) -> None:
        self.owner = owner
        self.liveness = Liveness(timings.unheard_ticks, timings.silent_ticks_max)
        self.far: _End
        self.is_up = False
        self.is_closed = False
        # On the way to this side, each with the time at which it arrives if the network lets it.
        self.arriving: deque[tuple[float, _Item]] = deque()
        self.arriving_bytes = 0

    @property
    def peer(self) -> "SimTransport":
        return self.far.owner


class SimNetwork:
    """Created by a test in the virtual loop that everything runs in."""

    def __init__(
        self,
        random: Random,
        timings: PeerTimings = DEFAULT_TIMINGS,
        delay_ms: tuple[float, float] = DELAY_MS,
        unsent_bytes_max: int = UNSENT_BYTES_MAX,
    ) -> None:
        self.random = random
        self.timings = timings
        self.unsent_bytes_max = unsent_bytes_max
        # Exceptions of listeners other than MalformedFrame. Tests should check that there is none.
        self.failures: list[Exception] = []
        # Minimum and maximum delay of a frame.
        self.delay_ms = delay_ms
        self._nodes: dict[NodeId, SimTransport] = {}
        # Directed: frames of the first node to the second do not arrive.
        self._cuts: set[tuple[NodeId, NodeId]] = set()
        # Directed: frames of the first node to the second take up to this many seconds more.
        self._slow: dict[tuple[NodeId, NodeId], float] = {}
        self.disorder: Disorder | None = None
        # Called with a node that has taken some frames and sent its own; may end it.
        self.on_turn: Callable[[NodeId], None] = lambda node: None
        # Called with every frame as it arrives: source, target, kind and content.
        self.on_arrival: Callable[[NodeId, NodeId, FrameKind, bytes], None] = lambda *_: None

    def join(
        self, node: NodeId, directory_id: str | None = None, extra: Callable[[], bytes] = bytes
    ) -> "SimTransport":
        """The transport of a process that begins: the node's first, or the one after a crash."""
        before = self._nodes.get(node)
        assert before is None or before.is_ended, f"node {node} runs"
        own = PeerInfo(node, directory_id or f"directory-{node}", self.random.randrange(1, 1 << 62))
        self._nodes[node] = transport = SimTransport(self, own, extra)
        return transport

    def crash(self, node: NodeId, *, is_silent: bool = False) -> None:
        """The process ends: nothing of its transport is called any more. Its kernel closes its connections,
        unless it is lost with the machine.
        """
        self._nodes[node].end(is_silent=is_silent)

    def lose_what_is_said(self, node: NodeId) -> None:
        """Loses the frames in flight from it. Its process must end with that."""
        self._nodes[node].lose_what_is_said()

    def cut(self, a: NodeId, b: NodeId, *, is_one_way: bool = False) -> None:
        """Drops everything from `a` to `b`, and back unless `is_one_way`."""
        self._cuts.add((a, b))
        if not is_one_way:
            self._cuts.add((b, a))

    def slow_down(self, a: NodeId, b: NodeId, seconds: float) -> None:
        """Frames from `a` to `b` take up to `seconds` longer."""
        self._slow[a, b] = seconds

    def reset(self, a: NodeId, b: NodeId) -> None:
        """Breaks their connection: frames in flight arrive up to a point that is drawn."""
        self._nodes[a].reset(b)

    def pause(self, node: NodeId, *, is_paused: bool) -> None:
        """Its process reads nothing from its connections, and sends nothing, until it goes on."""
        self._nodes[node].pause(is_paused=is_paused)

    def heal(self, a: NodeId, b: NodeId) -> None:
        """Both ways."""
        self._cuts -= {(a, b), (b, a)}
        self._slow.pop((a, b), None)
        self._slow.pop((b, a), None)
        for transport in self._nodes.values():
            transport.look()

    def isolate(self, node: NodeId) -> None:
        """Cut it from all that are known by now."""
        for other in self._nodes:
            if other != node:
                self.cut(node, other)

    def heal_all(self) -> None:
        for a, b in combinations(sorted(self._nodes), 2):
            self.heal(a, b)

    # For its transports.

    def is_cut(self, source: NodeId, target: NodeId) -> bool:
        return (source, target) in self._cuts

    def runs(self, node: NodeId) -> bool:
        """True if a process of it does."""
        return not self._nodes[node].is_ended

    def delay(self, source: NodeId | None = None, target: NodeId | None = None) -> float:
        """Seconds, on a grid, so that some things happen at one time."""
        low, high = self.delay_ms
        slow = self._slow.get((source, target), 0.0) if source is not None and target is not None else 0.0
        return round((self.random.uniform(low, high) + self.random.random() * slow * 1000) * 10) / 10_000

    def others(self, node: NodeId) -> Iterator["SimTransport"]:
        return (self._nodes[other] for other in sorted(self._nodes) if other != node)


class SimTransport:
    """`raft.transport.Transport` of one process of a node. `start` it once its listener is made."""

    def __init__(self, network: SimNetwork, own: PeerInfo, extra: Callable[[], bytes]) -> None:
        self.own = own
        self.is_ended = False
        self.extra = extra
        self._network = network
        self._listener: TransportListener | None = None
        # Where there is a connection, up or about to be.
        self._ends: dict[NodeId, _End] = {}
        self._extras: dict[NodeId, bytes] = {}
        self._is_turn_open = False
        self._is_paused = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def start(self, listener: TransportListener) -> None:
        """Begin to look for the others."""
        self._listener = listener
        self._after("tick", self._network.random.random() * self._network.timings.tick_seconds, self._tick)
        self._after("dial", self._network.delay(), self._dial)

    async def close(self) -> None:
        """As the process does when it ends."""
        self.end(is_silent=False)

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        end = self._ends.get(node)
        if end is None or not end.is_up:
            return False
        payload = b"".join(buffers)
        if end.far.arriving_bytes + len(payload) > self._network.unsent_bytes_max:
            return False
        self._put(end, _Frame(kind, payload))
        return True

    def peers(self) -> Sequence[PeerInfo]:
        return [end.peer.own for _, end in sorted(self._ends.items()) if end.is_up]

    def extra_of(self, node: NodeId) -> bytes:
        """Returns the extra bytes of the peer's last handshake."""
        return self._extras.get(node, b"")

    def refusals(self) -> Mapping[NodeId, str]:
        """Returns nothing: the simulated network has no handshake that anyone refuses."""
        return {}

    # Connecting: the higher node id dials.

    def _dial(self) -> None:
        timings, random = self._network.timings, self._network.random
        self._after("dial", timings.redial_ms / 1000 * random.uniform(0.75, 1.25), self._dial)
        for other in self._network.others(self.own.node):
            node = other.own.node
            if node < self.own.node and node not in self._ends and self._reaches(other):
                self._connect(other)

    def _reaches(self, other: "SimTransport") -> bool:
        mine, theirs = self.own.node, other.own.node
        is_cut = self._network.is_cut(mine, theirs) or self._network.is_cut(theirs, mine)
        return other.is_listening and not is_cut and not self._is_paused and not other._is_paused

    @property
    def is_listening(self) -> bool:
        return self._listener is not None and not self.is_ended

    def _connect(self, other: "SimTransport") -> None:
        timings = self._network.timings
        near, far = _End(self, timings), _End(other, timings)
        near.far, far.far = far, near
        # The peer may still have a connection whose end it has not noticed: the new one takes its place.
        old = other._ends.get(self.own.node)
        if old is not None:
            other._drop(old)
        self._ends[other.own.node] = near
        other._ends[self.own.node] = far
        self._put(far, _Up(other.extra()))
        self._put(near, _Up(self.extra()))

    # Sending and receiving.

    def _put(self, end: _End, item: _Item) -> None:
        end.liveness.has_spoken = True
        far = end.far
        loop = asyncio.get_running_loop()
        arrival = loop.time() + self._network.delay(self.own.node, far.owner.own.node)
        if far.arriving:
            arrival = max(arrival, far.arriving[-1][0])
        far.arriving.append((arrival, item))
        if isinstance(item, _Frame):
            far.arriving_bytes += len(item.payload)
        loop.call_at(arrival, far.owner._receive, far)

    def look(self) -> None:
        """See what waited for the network to be whole."""
        for end in list(self._ends.values()):
            asyncio.get_running_loop().call_later(self._network.delay(), self._receive, end)

    def _receive(self, end: _End) -> None:
        """Takes frames that have arrived."""
        if self._is_paused:
            # It lies in the kernel's buffer.
            return
        if self.is_ended:
            self._refuse(end)
        now = asyncio.get_running_loop().time() + _RESOLUTION_SECONDS
        while end.arriving and end.arriving[0][0] <= now and not end.is_closed:
            if self._network.is_cut(end.peer.own.node, self.own.node):
                return
            _, item = end.arriving.popleft()
            end.liveness.has_heard = True
            self._take(end, item)

    def _refuse(self, end: _End) -> None:
        """A machine that is back does not know its earlier connections, and resets those that peers use."""
        end.arriving.clear()
        if not end.far.is_closed and self._network.runs(self.own.node):
            self._put(end, _Close())

    def _take(self, end: _End, item: _Item) -> None:
        assert self._listener is not None
        match item:
            case _Up(extra):
                end.is_up = True
                self._extras[end.peer.own.node] = extra
                self._listener.on_peer_up(end.peer.own)
            case _Frame(kind, payload):
                end.arriving_bytes -= len(payload)
                disorder = self._network.disorder
                if disorder is not None and kind is FrameKind.RAFT:
                    self._deliver_in_disorder(end, payload, disorder)
                else:
                    self._deliver(end, kind, payload)
            case _Heartbeat():
                pass
            case _Close():
                self._drop(end)

    def _deliver_in_disorder(self, end: _End, payload: bytes, disorder: Disorder) -> None:
        random = self._network.random
        is_late = random.random() < disorder.late
        if not is_late:
            self._deliver(end, FrameKind.RAFT, payload)
        if is_late or random.random() < disorder.twice:
            delay = random.random() * disorder.late_seconds_max
            asyncio.get_running_loop().call_later(delay, self._deliver_late, end, payload)

    def _deliver_late(self, end: _End, payload: bytes) -> None:
        if self._is_paused:
            asyncio.get_running_loop().call_later(_LATER_SECONDS, self._deliver_late, end, payload)
        elif not end.is_closed:
            self._deliver(end, FrameKind.RAFT, payload)

    def _deliver(self, end: _End, kind: FrameKind, payload: bytes) -> None:
        assert self._listener is not None
        self._network.on_arrival(end.peer.own.node, self.own.node, kind, payload)
        if not self._is_turn_open:
            self._is_turn_open = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        try:
            self._listener.on_frame(end.peer.own.node, kind, memoryview(payload))
        except MalformedFrame:
            self._abort(end)
        except Exception as error:
            # As the real one does. But a bug must not hide behind a connection that comes again.
            _log.exception("could not handle a frame of node %d; the connection is closed", end.peer.own.node)
            self._network.failures.append(error)
            self._abort(end)

    def _end_turn(self) -> None:
        self._is_turn_open = False
        if not self.is_ended and self._listener is not None:
            self._listener.on_turn_end()
            self._network.on_turn(self.own.node)

    # Ends.

    def _tick(self) -> None:
        self._after("tick", self._network.timings.tick_seconds, self._tick)
        if self._is_paused:
            return
        for end in list(self._ends.values()):
            match end.liveness.tick():
                case Verdict.SILENT:
                    self._abort(end)
                case Verdict.SPEAK if end.is_up:
                    self._put(end, _Heartbeat())
                case _:
                    pass
            if end.liveness.has_changed and end.is_up and not end.is_closed:
                self._tell_heard(end)

    def _tell_heard(self, end: _End) -> None:
        assert self._listener is not None
        if end.liveness.is_unheard:
            self._listener.on_peer_unheard(end.peer.own.node)
        else:
            self._listener.on_peer_heard(end.peer.own.node)

    def _abort(self, end: _End) -> None:
        self._put(end, _Close())
        self._drop(end)

    def _drop(self, end: _End) -> None:
        """This side knows that the connection is gone."""
        if end.is_closed:
            return
        end.is_closed = True
        node = end.peer.own.node
        del self._ends[node]
        if end.is_up and self._listener is not None:
            self._listener.on_peer_down(node)

    def reset(self, node: NodeId) -> None:
        """See `SimNetwork.reset`."""
        end = self._ends.get(node)
        if end is not None:
            for side in (end, end.far):
                self._lose_tail(side)
                self._put(side.far, _Close())

    def lose_what_is_said(self) -> None:
        """See `SimNetwork.lose_what_is_said`."""
        for end in self._ends.values():
            end.far.arriving.clear()

    def _lose_tail(self, end: _End) -> None:
        kept = self._network.random.randrange(0, len(end.arriving) + 1)
        while len(end.arriving) > kept:
            end.arriving.pop()

    def pause(self, *, is_paused: bool) -> None:
        """See `SimNetwork.pause`."""
        self._is_paused = is_paused
        if not is_paused:
            self.look()

    def end(self, *, is_silent: bool) -> None:
        """See `SimNetwork.crash`."""
        self.is_ended = True
        self._is_paused = False
        for timer in self._timers.values():
            timer.cancel()
        for _, end in sorted(self._ends.items()):
            end.is_closed = True
            self._lose_tail(end.far)
            if not is_silent:
                self._put(end, _Close())
        self._ends.clear()

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)
