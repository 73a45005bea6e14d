"""The metadata of the cluster on this node: commands become committed records, records the next image.

A command is decided by the node that leads `__meta`; the others send it there. Every node applies the
committed records to its own image, and the sender of a command is answered when this node's image has its
changes.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from chronik.cluster.answers import NOT_DECIDED, UNKNOWN, Answer, Outcome, refused
from chronik.cluster.applied_metadata import AppliedMetadata, ImageCallback
from chronik.cluster.controller_writer import ControllerWriter
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata import subjects as metadata_subjects
from chronik.cluster.metadata.brokers import RegisterBroker
from chronik.cluster.metadata.premises import EpochsHeard, Premises, TopicDefaults
from chronik.cluster.metadata.subject import FIRST_LEVEL, Command
from chronik.cluster.metadata.table import SubjectTable
from chronik.cluster.metadata_log import MetadataLog
from chronik.cluster.notifier import Notifier
from chronik.cluster.peers import NotAsked, Peers
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import METADATA_LEVEL, FeatureRange
from chronik.vocab.ids import NO_NODE, NodeId, Offset
from chronik.vocab.seams import Randomness

# How long a command waits for a leader and its answer when its sender sets no deadline: a few elections.
SUBMIT_SECONDS = 5.0

# Delay before a node is asked again, when nothing indicates that its answer would differ now.
RETRY_SECONDS = 0.05

SUBMIT = "metadata.submit"
OFFSET = "metadata.offset"


class Propagation(Protocol):
    """How far the other nodes have applied the metadata. Implemented by `gossip.Gossip`."""

    def on_applied(self, offset: Offset) -> None:
        """This node serves, and has applied everything below `offset`."""
        ...

    def on_stalled(self) -> None:
        """This node cannot apply more for now: other nodes must not wait for it."""
        ...

    async def wait_applied(self, offset: Offset, deadline: float) -> bool:
        """True if all live nodes have applied everything below `offset` before `deadline`."""
        ...


class MetadataService:
    """One per node, for the node's life. Created and replayed by the server before anything else is
    started.
    """

    def __init__(
        self,
        log: MetadataLog,
        defaults: Callable[[], TopicDefaults],
        randomness: Randomness,
        *,
        peers: Peers | None = None,
        propagation: Propagation | None = None,
        epochs_heard: EpochsHeard = lambda topic_id: {},
        subjects: SubjectTable | None = None,
        node: NodeId = NO_NODE,
    ) -> None:
        """Without `peers` the node is its own cluster. `epochs_heard`: see `Premises`. `subjects`: None
        for all of this release.
        """
        self._log = log
        self._node = node
        self.subjects = metadata_subjects.SUBJECTS if subjects is None else subjects
        self._defaults = defaults
        self._randomness = randomness
        self._epochs_heard = epochs_heard
        self._peers = peers
        self._propagation = propagation
        self._applied = AppliedMetadata(log, self._on_applied, self.subjects)
        self._decider = ControllerWriter(log, self._applied, self._premises, self.subjects)
        self._changes = Notifier()
        self._is_closing = False
        self._is_serving = False
        # The controller's offset at its last answer.
        self._controller_offset = Offset(0)
        if peers is not None:
            peers.serve(SUBMIT, self._on_question)
            peers.serve(OFFSET, self._on_offset_asked)

    # The image.

    @property
    def image(self) -> ClusterImage:
        """The latest committed image that this node has applied."""
        return self._applied.image

    @property
    def applied_offset(self) -> Offset:
        """`image` is the sum of the records below it."""
        return self._applied.offset

    @property
    def known_offset(self) -> Offset:
        """The highest known metadata offset: the controller's last answer, or the commits here."""
        return max(self._log.high_watermark, self._controller_offset)

    @property
    def levels(self) -> FeatureRange:
        """The levels of the metadata that this release knows."""
        return FeatureRange(METADATA_LEVEL, FIRST_LEVEL, self.subjects.last_level)

    @property
    def failure(self) -> Exception | None:
        """The reason why nothing is applied any more; None while it is."""
        return self._applied.failure

    @property
    def is_controller(self) -> bool:
        """True if commands are decided here."""
        return self._decider.can_decide

    @property
    def controller(self) -> NodeId | None:
        """The leader of `__meta`, as far as this node knows."""
        return self._log.leader

    def replay(self) -> None:
        """Build the image from the log, or go on from a snapshot that was loaded.

        Subscribers are not called: they look at the image when they start. Raises UnreadableRecord,
        InvariantViolation when the log cannot be understood: the node must not start then.
        """
        self._applied.replay()

    def subscribe(self, callback: ImageCallback) -> Callable[[], None]:
        """Call `callback` with each change and the image after it, before any sender is answered.

        It is called on the loop, in the order of subscription, and must not raise. Returns what ends the
        subscription.
        """
        return self._applied.subscribe(callback)

    def snapshot(self) -> tuple[Offset, bytes]:
        """The image now, and the offset up to which it counts."""
        return self._applied.snapshot()

    def load_snapshot(self, data: bytes) -> bool:
        """Continues from a snapshot. Returns False when this node has applied as much already.

        Subscribers are notified of the difference. Raises UnreadableSnapshot.
        """
        return self._applied.load_snapshot(data)

    # Notifications of the log.

    def on_committed(self) -> None:
        """The high watermark moved. Called before waiters for an append are woken."""
        self._applied.follow()
        self._changes.wake_all()

    def on_leadership(self) -> None:
        """`leader` or `can_decide` of the log changed."""
        self._changes.wake_all()

    def on_stalled(self) -> None:
        """This node cannot write to its log, so it does not follow: other nodes must not wait for it."""
        if self._propagation is not None and self._is_serving:
            self._propagation.on_stalled()

    def _on_applied(self) -> None:
        if self._propagation is not None and self._is_serving:
            self._propagation.on_applied(self._applied.offset)

    # Commands.

    async def submit(
        self, command: Command, *, validate_only: bool = False, deadline: float | None = None
    ) -> ClusterDelta:
        """Carries out `command`. Returns its changes, once committed, applied here and reported to
        subscribers.

        With `validate_only` it returns the changes it would make, and makes none. `deadline` is on the loop's
        clock, in seconds, and bounds the way to the controller and back, not the commit where this node is
        the controller. Raises KafkaError: why the command is refused or could not be committed, or
        NOT_CONTROLLER when no node decided on it or the outcome is unknown. A command whose sender is
        cancelled is carried out all the same.
        """
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + SUBMIT_SECONDS
        form = self.subjects.command_form(command)
        if self._peers is not None and form.prepare is not None:
            command = form.prepare(command, self._randomness)
        is_repeatable = validate_only or form.is_repeatable
        while True:
            self._check_open()
            answer = await self._ask(command, validate_only, deadline)
            if answer.fate is Outcome.UNKNOWN and not (is_repeatable and self._peers is not None):
                raise self._lost(answer)
            if answer.fate not in (Outcome.UNKNOWN, Outcome.NOT_DECIDED):
                break
            await self._wait_for_change(deadline)
        if not await self._applied.wait(answer.offset, deadline):
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "The change was made, and is not seen here yet")
        changed = answer.changed()
        if isinstance(command, RegisterBroker):
            # A node registers when it serves: from now on the others wait for it.
            self._is_serving = True
            self._on_applied()
        return changed

    async def catch_up(self, deadline: float) -> bool:
        """Wait until this node has applied all that was committed when it was called. False past `deadline`.

        Due before clients are served.
        """
        while not self._decider.can_decide:
            offset = await self._leader_offset(deadline)
            if offset is not None:
                if not await self._applied.wait(offset, deadline):
                    return False
                break
            try:
                await self._wait_for_change(deadline)
            except KafkaError:
                return False
        return True

    async def wait_applied(self, offset: Offset, seconds: float) -> bool:
        """True if everything below `offset` is applied here within `seconds`. False at once when nothing
        is applied any more.
        """
        return await self._applied.wait(offset, asyncio.get_running_loop().time() + seconds)

    async def wait_applied_everywhere(self, deadline: float) -> bool:
        """True if every live node has applied all that this one has, before `deadline`."""
        return self._propagation is None or await self._propagation.wait_applied(
            self.applied_offset, deadline
        )

    async def close(self) -> None:
        """Takes no more commands and waits until those taken are answered."""
        self._is_closing = True
        self._applied.close()
        self._changes.wake_all()
        await self._decider.drain()

    def _check_open(self) -> None:
        if self._is_closing:
            raise KafkaError(ErrorCode.NOT_CONTROLLER, "The broker is shutting down")
        if self._applied.failure is not None:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "This broker's metadata service has failed")

    def _lost(self, answer: Answer) -> KafkaError:
        if self._peers is None:
            return KafkaError(answer.error, answer.message)
        return KafkaError(ErrorCode.NOT_CONTROLLER, "The controller was lost; the change may have been made")

    # The way to the controller.

    async def _ask(self, command: Command, validate_only: bool, deadline: float) -> Answer:
        if self._decider.can_decide:
            return await self._decider.decide(command, validate_only=validate_only)
        leader = self._remote_leader()
        if self._peers is None or leader is None:
            return NOT_DECIDED
        # Only where there are other nodes: a start on one must not pay for it.
        from chronik.cluster.command_codec import Question, decode_answer, encode_question

        timeout_ms = int(1000 * (deadline - asyncio.get_running_loop().time()))
        question = encode_question(Question(command, validate_only, timeout_ms))
        try:
            return decode_answer(await self._peers.call(leader, SUBMIT, question, deadline), self.subjects)
        except NotAsked:
            return NOT_DECIDED
        except KafkaError as error:
            return NOT_DECIDED if error.code in _NEVER_ASKED else UNKNOWN
        except ValueError:
            return UNKNOWN

    async def _leader_offset(self, deadline: float) -> Offset | None:
        """Returns the controller's offset; None when it cannot be asked."""
        leader = self._remote_leader()
        if self._peers is None or leader is None:
            return None
        try:
            self._controller_offset = Offset(int(await self._peers.call(leader, OFFSET, b"", deadline)))
        except (KafkaError, ValueError):
            return None
        return self._controller_offset

    def _remote_leader(self) -> NodeId | None:
        """The leader, if it is another node that is connected."""
        leader, peers = self._log.leader, self._peers
        return leader if peers is not None and leader != peers.node and leader in peers.live() else None

    def _premises(self) -> Premises:
        return Premises(
            defaults=self._defaults(),
            randomness=self._randomness,
            live=None if self._peers is None else self._peers.live(),
            epochs_heard=self._epochs_heard,
            node=self._node,
            last_level=self.subjects.last_level,
        )

    async def _wait_for_change(self, deadline: float) -> None:
        """Raises NOT_CONTROLLER past `deadline`."""
        now = asyncio.get_running_loop().time()
        if now >= deadline:
            raise KafkaError(ErrorCode.NOT_CONTROLLER, "No controller answered in time")
        await self._changes.wait(min(deadline, now + RETRY_SECONDS))

    # Calls from other nodes.

    async def _on_question(self, node: NodeId, data: bytes) -> bytes:
        from chronik.cluster.command_codec import UnknownCommand, decode_question, encode_answer

        try:
            question = decode_question(data, self.subjects)
        except UnknownCommand as error:
            # Of a later release.
            refusal = refused(KafkaError(ErrorCode.UNSUPPORTED_VERSION, str(error)))
            return encode_answer(refusal, self.subjects)
        except ValueError as error:
            refusal = refused(KafkaError(ErrorCode.INVALID_REQUEST, f"node {node}: {error}"))
            return encode_answer(refusal, self.subjects)
        await self._wait_until_settled(question.timeout_ms / 1000)
        if not self.is_controller or self._is_closing:
            return encode_answer(NOT_DECIDED, self.subjects)
        answer = await self._decider.decide(question.command, validate_only=question.validate_only)
        return encode_answer(answer, self.subjects)

    async def _on_offset_asked(self, node: NodeId, data: bytes) -> bytes:
        if not self.is_controller:
            raise KafkaError(ErrorCode.NOT_CONTROLLER)
        return str(self.applied_offset).encode()

    async def _wait_until_settled(self, seconds: float) -> None:
        """A newly elected controller can decide as soon as it knows all that its predecessors committed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._is_settling() and loop.time() < deadline:
            await self._changes.wait(deadline)

    def _is_settling(self) -> bool:
        is_leader = self._peers is not None and self._log.leader == self._peers.node
        return is_leader and not self._decider.can_decide and not self._is_closing


# The node that was asked knew that it does not decide, did not know the method, or did not handle the call.
_NEVER_ASKED = frozenset(
    {ErrorCode.NOT_CONTROLLER, ErrorCode.UNSUPPORTED_VERSION, ErrorCode.THROTTLING_QUOTA_EXCEEDED}
)
