"""`raft.transport.Transport` over TCP.

Of two nodes the one with the higher id dials. All frames to a peer in one turn of the loop go out in one
write. Peers that are silent for an election timeout are taken down; silence is counted in ticks of this node,
so that a pause of its own counts for no peer's silence.
"""

import asyncio
import logging
import random as chance
import socket
from collections.abc import Callable, Mapping, Sequence

from chronik.node.peer_liveness import Verdict
from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo, TransportListener
from chronik.server.peers.admission import Admission, judge, wrong_secret
from chronik.server.peers.connection import PeerConnection
from chronik.server.peers.dialing import Dialer
from chronik.server.peers.framing import make_scratch
from chronik.server.peers.hello import Hello, OtherVersion, Refused
from chronik.server.peers.network import Network, PlainTcp
from chronik.server.peers.reports import Reports
from chronik.server.peers.secret import SharedSecret, new_nonce
from chronik.server.peers.statistics import Counters, PeerStatistics, TransportStatistics
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Randomness

_log = logging.getLogger(__name__)

# Connections that have not identified themselves. A cluster has a few nodes, each with one attempt at a time;
# beyond, the oldest makes room.
HANDSHAKES_MAX = 64

# When the node ends, the last frames have this long to leave.
_CLOSING_SECONDS_MAX = 1.0


class PeerTransport:
    """One per node, for the node's life. Created before its listener, which is passed to `start`."""

    def __init__(
        self,
        *,
        own: PeerInfo,
        cluster_id: str,
        address: tuple[str, int] | socket.socket | list[socket.socket],
        others: Mapping[NodeId, tuple[str, int]],
        timings: PeerTimings,
        extra: Callable[[], bytes] = bytes,
        network: Network | None = None,
        random: Randomness = chance,
        secret: SharedSecret | None = None,
        directories: Callable[[], Mapping[NodeId, str]] = dict,
    ) -> None:
        """`address` is where to listen: host and port, or sockets bound already. `others` has the
        addresses of all other nodes; no other peer is accepted. `extra` is called at each handshake for
        bytes to send along, at most `EXTRA_BYTES_MAX`. With `secret` only peers that know it are
        accepted. `directories` has the nodes' directories so far, as far as known.
        """
        self._secret = secret
        self._directories = directories
        # What nodes came with since this one started.
        self._seen_directories: dict[NodeId, str] = {}
        self._own = own
        self._cluster_id = cluster_id
        self._addresses = address if isinstance(address, list) else [address]
        self._others = dict(others)
        self._timings = timings
        self._extra = extra
        self._network = network or PlainTcp()
        self._random = random
        self._scratch = make_scratch()
        self._links: dict[NodeId, PeerConnection] = {}
        # A dict for its order: the oldest first. The timer ends a handshake that does not.
        self._handshakes: dict[PeerConnection, asyncio.TimerHandle] = {}
        self._infos: dict[NodeId, PeerInfo] = {}
        self._extras: dict[NodeId, bytes] = {}
        self._counters = {node: Counters() for node in others}
        self._strangers = 0
        # Why there was no connection with a node, until there is one.
        self._refused: dict[NodeId, str] = {}
        # ClusterRuntime with frames that are collected, in the order of the first of them.
        self._dirty: dict[PeerConnection, None] = {}
        self._has_received = False
        self._is_turn_open = False
        self._is_closed = False
        # One for each address; none until it accepts.
        self._servers: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._dialers: list[asyncio.Task[None]] = []

    async def start(self, listener: TransportListener) -> None:
        """Accept and dial from now on. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._listener = listener
        self._reports = Reports(loop.time)
        for address in self._addresses:
            self._servers.append(await self._network.serve(lambda: self._make(None), address))
        self._dialers = [
            loop.create_task(self._dialer(node).run()) for node in self._others if node < self._own.node
        ]
        self._tick_due = loop.time()
        self._next_tick()

    @property
    def port(self) -> int:
        """The port it listens on; after `start`."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Sends pending frames, then closes. The listener is not called any more. Also after a `start`
        that failed.
        """
        self._is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        for task in self._dialers:
            task.cancel()
        await asyncio.gather(*self._dialers, return_exceptions=True)
        for server in self._servers:
            server.close()
        links = [*self._links.values(), *self._handshakes]
        for link in links:
            link.close("this node ends")
        if links:
            await asyncio.wait([link.lost for link in links], timeout=_CLOSING_SECONDS_MAX)
        for link in links:
            link.abort("this node ends")

    # `Transport`.

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        link = self._links.get(node)
        if link is None:
            return False
        counters = self._counters[node]
        size = sum(map(len, buffers))
        if not link.queue(kind, buffers, size):
            counters.frames_refused += 1
            return False
        counters.frames_sent += 1
        counters.bytes_sent += size
        self._dirty[link] = None
        self._open_turn()
        return True

    def peers(self) -> Sequence[PeerInfo]:
        return list(self._infos.values())

    def extra_of(self, node: NodeId) -> bytes:
        """Returns the extra bytes of the peer's last handshake; empty if it never came up."""
        return self._extras.get(node, b"")

    def statistics(self) -> TransportStatistics:
        return TransportStatistics(
            peers={node: self._statistics_of(node) for node in self._others}, strangers=self._strangers
        )

    def refusals(self) -> Mapping[NodeId, str]:
        """Nodes that are not connected because they or this node refused it, with the last reason."""
        return dict(sorted(self._refused.items()))

    def _statistics_of(self, node: NodeId) -> PeerStatistics:
        counters, link = self._counters[node], self._links.get(node)
        return PeerStatistics(
            is_up=link is not None,
            connects=counters.connects,
            frames_received=counters.frames_received,
            bytes_received=counters.bytes_received + (0 if link is None else link.bytes_received),
            frames_sent=counters.frames_sent,
            bytes_sent=counters.bytes_sent,
            frames_refused=counters.frames_refused,
            unsent_bytes=0 if link is None else link.unsent_bytes,
        )

    # A turn of the loop: frames received in it have been processed when this runs, and frames sent by then go
    # out.

    def _open_turn(self) -> None:
        if not self._is_turn_open:
            self._is_turn_open = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        if self._has_received and not self._is_closed:
            self._has_received = False
            self._listener.on_turn_end()
        self._is_turn_open = False
        dirty, self._dirty = self._dirty, {}
        for link in dirty:
            link.flush()

    # `LinkOwner`.

    def on_made(self, link: PeerConnection) -> None:
        if self._is_closed:
            link.abort("this node ends")
            return
        if len(self._handshakes) >= HANDSHAKES_MAX:
            self._end_handshake(next(iter(self._handshakes)), "others want to be heard")
        seconds = self._timings.handshake_ms / 1000
        timer = self._loop.call_later(seconds, self._end_handshake, link, "its handshake did not end")
        self._handshakes[link] = timer

    def hello_for(self, target: NodeId) -> Hello:
        is_secret = self._secret is not None
        nonce = new_nonce() if is_secret else b""
        return Hello(self._cluster_id, self._own, target, self._extra(), is_secret, nonce)

    @property
    def secret(self) -> SharedSecret | None:
        return self._secret

    def wrong_secret(self, link: PeerConnection) -> Refused:
        return wrong_secret(self._own.node, link.peer.node)

    def judge(self, hello: Hello | OtherVersion, dialled: NodeId | None) -> Refused | None:
        has_secret = self._secret is not None
        admission = Admission(self._own, self._cluster_id, self._others.keys(), self._infos, has_secret)
        return judge(hello, admission, dialled)

    def on_ready(self, link: PeerConnection) -> None:
        self._handshakes.pop(link).cancel()
        assert link.hello is not None
        refused = self.judge(link.hello, link.dialled)
        if refused is not None:
            # Another one came up while this one took its time.
            self.on_refused(link, refused, by_peer=False)
            link.refuse(refused)
            return
        peer = link.peer
        old = self._links.get(peer.node)
        if old is not None:
            self._take_down(old, "it came again")
        self._links[peer.node] = link
        self._infos[peer.node] = peer
        self._extras[peer.node] = link.hello.extra
        self._counters[peer.node].connects += 1
        self._refused.pop(peer.node, None)
        self._reports.up(peer.node, link.remote_address)
        self._note_directory(peer, link.remote_address)
        self._listener.on_peer_up(peer)

    def _note_directory(self, peer: PeerInfo, address: str) -> None:
        """A disk that was replaced, or another node in the place of one that is down: an operator knows."""
        known = self._seen_directories.get(peer.node) or self._directories().get(peer.node)
        if known is not None and known != peer.directory_id:
            self._reports.new_directory(peer, known, address)
        self._seen_directories[peer.node] = peer.directory_id

    def on_refused(self, link: PeerConnection, refused: Refused, *, by_peer: bool) -> None:
        known = link.dialled if link.hello is None else link.peer.node
        who = link.remote_address.rpartition(":")[0] if known is None else known
        if known in self._others and known not in self._links:
            self._refused[known] = refused.reason
        self._reports.refused(who, refused, link.remote_address, by_peer=by_peer)

    def on_frame(self, link: PeerConnection, kind: FrameKind, payload: memoryview) -> None:
        if self._is_closed:
            return
        self._counters[link.peer.node].frames_received += 1
        self._has_received = True
        self._open_turn()
        try:
            self._listener.on_frame(link.peer.node, kind, payload)
        except MalformedFrame as error:
            self.on_broken(link, str(error))
        except Exception:
            _log.exception("could not handle a frame of node %d; the connection is closed", link.peer.node)
            self._take_down(link, "a frame was not taken")

    def on_broken(self, link: PeerConnection, reason: str) -> None:
        if link.is_up:
            _log.error(
                "peer connection closed: node %d sent a malformed frame",
                link.peer.node,
                extra={"reason": reason},
            )
        self._take_down(link, reason)

    def on_lost(self, link: PeerConnection) -> None:
        timer = self._handshakes.pop(link, None)
        if timer is not None:
            timer.cancel()
        if link.hello is None and link.dialled is None and not link.is_refused:
            self._strangers += 1
            self._reports.stranger(link.remote_address, link.close_reason)
        self._take_down(link, link.close_reason)

    def _end_handshake(self, link: PeerConnection, reason: str) -> None:
        self._handshakes.pop(link).cancel()
        link.abort(reason)

    def _take_down(self, link: PeerConnection, reason: str) -> None:
        """Closes it, and reports it, once, if it was up."""
        link.abort(reason)
        node = link.peer.node if link.hello is not None else None
        if node is None or self._links.get(node) is not link:
            return
        self._counters[node].bytes_received += link.bytes_received
        del self._links[node], self._infos[node]
        if not self._is_closed:
            self._reports.down(node, link.close_reason)
            self._listener.on_peer_down(node)

    # Connections.

    def _make(self, dialled: NodeId | None) -> PeerConnection:
        return PeerConnection(self, dialled=dialled, scratch=self._scratch, timings=self._timings)

    def _dialer(self, node: NodeId) -> Dialer:
        return Dialer(
            node,
            self._others[node],
            make=lambda: self._make(node),
            network=self._network,
            timings=self._timings,
            random=self._random,
            reports=self._reports,
        )

    # Ticks.

    def _next_tick(self) -> None:
        self._tick_due = self._loop.time() + self._timings.tick_seconds
        self._ticker = self._loop.call_at(self._tick_due, self._on_tick)

    def _on_tick(self) -> None:
        late_seconds = self._loop.time() - self._tick_due
        self._next_tick()
        if late_seconds < self._timings.tick_seconds:
            self._tick()
        else:
            # This process did not run for a while. Before it concludes anything, it reads received data: that
            # happens between two turns.
            self._loop.call_soon(self._loop.call_soon, self._tick)

    def _tick(self) -> None:
        if self._is_closed:
            return
        for link in list(self._links.values()):
            match link.liveness.tick():
                case Verdict.SILENT:
                    self._take_down(link, f"silent for {self._timings.silence_ms} ms")
                case Verdict.SPEAK:
                    link.heartbeat()
                case Verdict.NOTHING:
                    pass
            if link.liveness.has_changed and not link.is_closed:
                self._tell_heard(link)

    def _tell_heard(self, link: PeerConnection) -> None:
        if link.liveness.is_unheard:
            self._listener.on_peer_unheard(link.peer.node)
        else:
            self._listener.on_peer_heard(link.peer.node)
