"""Frames between nodes: the handshake, gossip, calls and answers, and the head of every frame."""

from collections.abc import Callable

from chronik.cluster.gossip_codec import (
    NOT_SERVING,
    Flags,
    GossipFrame,
    LaggingReplicas,
    Leadership,
    decode_gossip,
    encode_gossip,
)
from chronik.cluster.leadership import PartitionKey
from chronik.cluster.peer_calls import Call, decode_answer, decode_call, encode_answer, encode_call
from chronik.raft.transport import FrameKind, MalformedFrame, PeerInfo
from chronik.server.peers.framing import FrameReceiver, LinkKind, frame, make_scratch
from chronik.server.peers.hello import (
    Hello,
    Refusal,
    Refused,
    decode_hello,
    decode_refused,
    encode_hello,
    encode_refused,
)
from chronik.server.peers.secret import SharedSecret, Side
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset

from .metadata import DIRECTORIES, ONE, OTHER_TOPIC_ID, TOPIC_ID, TWO
from .sample import Sample

ALL_KINDS = frozenset({*FrameKind, *LinkKind})

HELLO = Hello("a cluster id of its own", PeerInfo(ONE, DIRECTORIES[0], 2**60 + 1), TWO, b'{"1":"a"}')
SECRET_HELLO = HELLO._replace(has_secret=True, nonce=bytes(range(32)))
LISTENER_HELLO = Hello(
    "a cluster id of its own", PeerInfo(TWO, DIRECTORIES[1], 7), ONE, b"", True, bytes(range(32, 64))
)
SECRET = SharedSecret("a secret that two nodes share")
PROOF = SECRET.prove(Side.LISTENER, encode_hello(SECRET_HELLO), encode_hello(LISTENER_HELLO))
READY = SECRET.prove(Side.DIALLER, encode_hello(SECRET_HELLO), encode_hello(LISTENER_HELLO))

GOSSIP = {
    "": GossipFrame(
        Flags.NONE,
        Offset(77),
        [
            Leadership(PartitionKey(TOPIC_ID, 0), LeaderEpoch(5), True),
            Leadership(PartitionKey(OTHER_TOPIC_ID, 3), LeaderEpoch(6), False),
        ],
        [LaggingReplicas(PartitionKey(TOPIC_ID, 0), LeaderEpoch(5), frozenset({TWO}))],
    ),
    ".everything": GossipFrame(Flags.WHOLE | Flags.BEGIN | Flags.END, NOT_SERVING, [], []),
    ".first_part": GossipFrame(Flags.WHOLE | Flags.BEGIN, Offset(0), [], []),
    ".a_part": GossipFrame(Flags.WHOLE, Offset(0), [], []),
    ".last_part": GossipFrame(Flags.WHOLE | Flags.END, Offset(0), [], []),
}


def payload_of(content: bytes, kind: int) -> memoryview:
    """The payload of the one frame in `content`."""
    receiver = FrameReceiver(make_scratch(), ALL_KINDS)
    receiver.space()[: len(content)] = content
    ((found, payload),) = receiver.received(len(content))
    if found != kind:
        raise MalformedFrame(f"a frame of kind {found}")
    return payload


def _sample(
    kind: FrameKind | LinkKind,
    name: str,
    payload: bytes,
    value: object,
    decode: Callable[[memoryview], object],
) -> Sample:
    return Sample(
        name=f"peers/{kind.name}{name}",
        value=value,
        encoded=frame(kind, payload),
        decode=lambda content: decode(payload_of(content, kind)),
    )


def _hello(name: str, hello: Hello) -> Sample:
    return _sample(LinkKind.HELLO, name, encode_hello(hello), hello, decode_hello)


def _refused(refusal: Refusal) -> Sample:
    refused = Refused(refusal, f"node 1 has a reason: {refusal.name.lower()}")
    name = "" if refusal is Refusal.OTHER else f".{refusal.name.lower()}"
    return _sample(LinkKind.REFUSED, name, encode_refused(refused), refused, decode_refused)


def _call(call: Call) -> Sample:
    return _sample(FrameKind.CALL, "", b"".join(encode_call(call)), call, decode_call)


def _answer(name: str, answer: bytes | KafkaError) -> Sample:
    payload = b"".join(encode_answer(258, answer))
    return _sample(FrameKind.ANSWER, name, payload, (258, _plain(answer)), _decode_answer)


def _decode_answer(payload: memoryview) -> object:
    call_id, answer = decode_answer(payload)
    return call_id, _plain(answer)


def _plain(answer: bytes | KafkaError) -> object:
    """Errors of equal content are not equal."""
    return (answer.code, answer.message) if isinstance(answer, KafkaError) else answer


SAMPLES = [
    _hello("", HELLO),
    _hello(".with_secret", SECRET_HELLO),
    *map(_refused, Refusal),
    _sample(LinkKind.READY, "", b"", b"", bytes),
    _sample(LinkKind.READY, ".with_secret", READY, READY, bytes),
    _sample(LinkKind.PROOF, "", PROOF, PROOF, bytes),
    _sample(LinkKind.HEARTBEAT, "", b"", b"", bytes),
    # Of the payload: `raft` has them all.
    _sample(FrameKind.RAFT, "", b"messages", b"messages", bytes),
    *(
        _sample(FrameKind.GOSSIP, name, encode_gossip(gossip), gossip, decode_gossip)
        for name, gossip in GOSSIP.items()
    ),
    _call(Call(258, "metadata.offset", b"a request")),
    _answer("", b"an answer"),
    _answer(".error", KafkaError(ErrorCode.NOT_CONTROLLER)),
    _answer(".error_with_message", KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'caf\u00e9' exists")),
]
