"""Requests that name very many things are answered in portions.

A request that names thousands of topics, groups or resources is cut into requests that name a few hundred,
which the handler answers one after the other, yielding to the loop between them; their answers are joined. So
no handler has to know how much it may do at once, and none creates a task for each of 300,000 keys. Clients
do send such requests: an administrator's client names all its groups or topics in one.

`LAYOUTS` has the requests that can be cut. The elements of other requests, such as the protocols of a
JoinGroup, are few in every honest request, and bounded here.
"""

import copy
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple

from chronik.broker.slices import Steps
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import ApiKey
from chronik.wire.messages.metadata import MetadataRequest
from chronik.wire.schema import Message

# Elements in one portion: at 5 to 10 microseconds for each a portion takes some milliseconds.
PORTION = 500
# Where each one is a decision of the controller: 30 to 300 microseconds.
_DECIDED_PORTION = 64
# A described resource is 30 to 300 settings, each an object.
_DESCRIBED_PORTION = 16

# Elements counted in one step.
_STEP = 1000

# Topics that one Metadata request creates. The others are answered UNKNOWN_TOPIC_OR_PARTITION, as Kafka
# answers before it has created one: clients ask again.
AUTO_CREATED_MAX = 250

# What cannot be cut, such as protocols, assignments, filters.
UNCUT_MAX = 10_000
# Limit of one request to the controller: Kafka's refuses operations of more than 10,000 records with
# POLICY_VIOLATION. Assignments name several nodes for each.
DECIDED_MAX = 10_000
_DECIDED_ELEMENTS_MAX = 5 * DECIDED_MAX
_OF_SETTINGS = (ApiKey.ALTER_CONFIGS, ApiKey.INCREMENTAL_ALTER_CONFIGS)
# Partitions of a Fetch, its forgotten ones included: the setup of each, before the first is read, takes 1.5
# microseconds.
FETCHED_MAX = 30_000
# Keys to describe: a few for each of thousands of resources.
_UNCUT_KEYS_MAX = 200_000


class Layout(NamedTuple):
    """Where a request lists its elements, and where its response has the answers, in the same order.

    Paths are names of array fields from the message on.
    """

    asked: tuple[str, ...]
    answered: tuple[str, ...]
    size: int = PORTION
    uncut_max: int = UNCUT_MAX
    # Each element is a decision of the controller: one that is named twice is refused, both times, and more
    # than DECIDED_MAX are refused.
    is_decided: bool = False


class Portion(NamedTuple):
    """A part of a request. `depth`: in how many of its first elements it goes on with the portion before."""

    request: Message
    depth: int


_LAYOUTS: dict[ApiKey, tuple[Layout, ...]] = {
    ApiKey.PRODUCE: (Layout(("topic_data", "partition_data"), ("responses", "partition_responses"), 100),),
    ApiKey.LIST_OFFSETS: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.METADATA: (Layout(("topics",), ("topics",), AUTO_CREATED_MAX),),
    ApiKey.OFFSET_COMMIT: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.OFFSET_FETCH: (
        Layout(("groups", "topics", "partition_indexes"), ("groups", "topics", "partitions")),
        Layout(("topics", "partition_indexes"), ("topics", "partitions")),
    ),
    ApiKey.FIND_COORDINATOR: (Layout(("coordinator_keys",), ("coordinators",)),),
    ApiKey.LEAVE_GROUP: (Layout(("members",), ("members",)),),
    ApiKey.DESCRIBE_GROUPS: (Layout(("groups",), ("groups",), 200),),
    ApiKey.DELETE_GROUPS: (Layout(("groups_names",), ("results",)),),
    ApiKey.CREATE_TOPICS: (Layout(("topics",), ("topics",), _DECIDED_PORTION, is_decided=True),),
    ApiKey.DELETE_TOPICS: (
        Layout(("topics",), ("responses",), _DECIDED_PORTION, is_decided=True),
        Layout(("topic_names",), ("responses",), _DECIDED_PORTION, is_decided=True),
    ),
    ApiKey.CREATE_PARTITIONS: (Layout(("topics",), ("results",), _DECIDED_PORTION, is_decided=True),),
    ApiKey.DELETE_RECORDS: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.DESCRIBE_CONFIGS: (
        Layout(("resources",), ("results",), _DESCRIBED_PORTION, uncut_max=_UNCUT_KEYS_MAX),
    ),
    ApiKey.ALTER_CONFIGS: (Layout(("resources",), ("responses",), _DECIDED_PORTION, is_decided=True),),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: (
        Layout(("resources",), ("responses",), _DECIDED_PORTION, is_decided=True),
    ),
    ApiKey.ELECT_LEADERS: (
        Layout(("topic_partitions", "partitions"), ("replica_election_results", "partition_result")),
    ),
    ApiKey.OFFSET_DELETE: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.DESCRIBE_QUORUM: (Layout(("topics", "partitions"), ("topics", "partitions")),),
    ApiKey.DESCRIBE_PRODUCERS: (Layout(("topics", "partition_indexes"), ("topics", "partitions")),),
}

# These process their elements in steps of their own, whatever the number.
_BY_THEMSELVES = (ApiKey.FETCH, ApiKey.DESCRIBE_TOPIC_PARTITIONS, ApiKey.DESCRIBE_LOG_DIRS)

# The least number of elements that makes a request of an API be looked at.
_LEAST = {api_key: min(layout.size for layout in layouts) for api_key, layouts in _LAYOUTS.items()}
# An element takes a few bytes at least: a topic four, a string one, a partition with records a hundred.
_ELEMENT_BYTES = 4
_PRODUCE_BYTES = 4096


def small_elements(api_key: ApiKey) -> int:
    """A request with no more elements than that, in all its arrays together, is never cut."""
    return _LEAST.get(api_key, PORTION)


def small_bytes(api_key: ApiKey) -> int:
    """A frame of up to this size cannot have enough elements to matter."""
    return _PRODUCE_BYTES if api_key is ApiKey.PRODUCE else _ELEMENT_BYTES * small_elements(api_key)


def check_uncut(api_key: ApiKey, request: Message, elements: int) -> Steps[None]:
    """In steps. Raises KafkaError when a request has too many elements that cannot be cut; `elements` are
    all of its elements.
    """
    if api_key is ApiKey.FETCH and elements > FETCHED_MAX:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"A Fetch may not name {elements} partitions")
    if api_key in _BY_THEMSELVES or elements <= UNCUT_MAX:
        return
    layout = _layout(api_key, request)
    if layout is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"A request may not have {elements} elements")
    if layout.is_decided:
        count = len(getattr(request, layout.asked[0]))
        # Each setting is a record, too.
        settings = elements - count if api_key in _OF_SETTINGS else 0
        if max(count, settings) > DECIDED_MAX or elements > _DECIDED_ELEMENTS_MAX:
            message = "Unable to perform excessively large batch operation."
            raise KafkaError(ErrorCode.POLICY_VIOLATION, message)
        return
    on_the_way = yield from _elements_on(request, layout.asked)
    if elements - on_the_way > layout.uncut_max:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"A request may not have {elements} elements")


def is_cut(api_key: ApiKey, request: Message) -> bool:
    """True if requests like this are cut when they are large."""
    return _layout(api_key, request) is not None


def cut(api_key: ApiKey, request: Message, *, is_refused: bool = False) -> Iterator[Portion]:
    """The portions of a request, in its order; the request must be one that `is_cut`.

    Of one that is refused anyway nothing has to stay together.
    """
    layout = _layout(api_key, request)
    assert layout is not None
    first, *deeper = layout.asked
    elements: Sequence[Any] = getattr(request, first)
    if layout.is_decided and not is_refused:
        chunks = _whole_groups(elements, layout.size)
    else:
        chunks = _chunks(elements, deeper, PORTION if is_refused else layout.size)
    for items, depth in chunks:
        yield Portion(_with(request, first, items), depth)


class Creations:
    """The topics that one Metadata request may still create, over its portions.

    A client asks again with the same names: so missing topics count, in whichever portion they are named. No
    portion has more elements than may be created at all, and the first portion with missing topics gets the
    whole allowance.
    """

    def __init__(self, topics: Callable[[], Container[str]]) -> None:
        """`topics`: the names of those there are by now."""
        self._topics = topics
        self._left = AUTO_CREATED_MAX

    def limit(self, portion: MetadataRequest) -> None:
        """A portion that lacks more than is left creates none."""
        if not portion.allow_auto_topic_creation:
            return
        topics = self._topics()
        missing = sum(topic.name is not None and topic.name not in topics for topic in portion.topics or ())
        if missing > self._left:
            portion.allow_auto_topic_creation = False
        else:
            self._left -= missing


def is_splittable(api_key: ApiKey) -> bool:
    """True if requests of the API can name several things, which are answered one by one."""
    return api_key in _LAYOUTS


def asked(api_key: ApiKey, request: Message) -> Sequence[Any]:
    """Returns the elements that a request names, between which it is cut; empty if it names none."""
    layout = _layout(api_key, request)
    return () if layout is None else getattr(request, layout.asked[0])


def with_asked(api_key: ApiKey, request: Message, elements: list[Any]) -> Message:
    """The same request for some of its elements."""
    layout = _layout(api_key, request)
    assert layout is not None
    part: Message = _with(request, layout.asked[0], elements)
    return part


def answered(api_key: ApiKey, request: Message, response: Message) -> list[Any]:
    """Returns the list of a response that has an element for each of `asked`."""
    layout = _layout(api_key, request)
    assert layout is not None
    elements: list[Any] = getattr(response, layout.answered[0])
    return elements


def join(api_key: ApiKey, request: Message, joined: Message, response: Message, depth: int) -> None:
    """Add the response to a portion to that to the ones before it. `request` is the whole one."""
    layout = _layout(api_key, request)
    assert layout is not None
    _join_lists(getattr(joined, layout.answered[0]), response, layout.answered, depth)
    for name in ("brokers", "node_endpoints"):  # elements besides the answers
        if hasattr(joined, name):
            known = getattr(joined, name)
            known += [one for one in getattr(response, name) if one not in known]
    if getattr(response, "error_code", 0) and not getattr(joined, "error_code", 0):
        joined.error_code = response.error_code  # type: ignore[attr-defined]


def release(api_key: ApiKey, message: Message) -> Steps[None]:
    """Empties the lists of a request that was cut, or of the joined response, in steps: freeing 300,000
    elements takes 20 to 40 ms. No other object holds these lists, because handlers were given copies.
    """
    if api_key is ApiKey.DESCRIBE_TOPIC_PARTITIONS:
        yield from _emptied(getattr(message, "topics", None), ())
    for layout in _LAYOUTS.get(api_key, ()):
        for path in {layout.asked, layout.answered}:
            yield from _emptied(getattr(message, path[0], None), path[1:])


def _emptied(items: object, path: Sequence[str]) -> Steps[None]:
    if not isinstance(items, list):
        return
    for number, item in enumerate(items) if path else ():
        if not number % _STEP:
            yield
        # A request's path does not fit a response in all its parts.
        inner = getattr(item, path[0], None) or ()
        if len(path) > 1 or len(inner) > _STEP:
            yield from _emptied(inner, path[1:])
    while items:
        del items[-_STEP:]
        yield


def _join_lists(joined: list[Any], owner: object, path: Sequence[str], depth: int) -> None:
    items = getattr(owner, path[0])
    if depth and joined and items:
        _join_lists(getattr(joined[-1], path[1]), items[0], path[1:], depth - 1)
        items = items[1:]
    joined += items


def _layout(api_key: ApiKey, request: Message) -> Layout | None:
    """Returns the layout of the array that the request uses: versions have it in different places."""
    return next((one for one in _LAYOUTS.get(api_key, ()) if getattr(request, one.asked[0])), None)


def _elements_on(owner: object, path: Sequence[str]) -> Steps[int]:
    """Counts the elements of the array at the end of the path, and of those on the way to it."""
    items = _list(owner, path[0])
    count = len(items)
    for number, item in enumerate(items) if len(path) > 1 else ():
        if not number % _STEP:
            yield
        if len(path) > 2:
            count += yield from _elements_on(item, path[1:])
        else:
            count += len(_list(item, path[1]))
    return count


def _whole_groups(items: Sequence[Any], size: int) -> Iterator[tuple[list[Any], int]]:
    """Runs of about `size` items, in which all items that name the same thing are together."""
    groups: dict[object, list[Any]] = {}
    for item in items:
        groups.setdefault(identity(item), []).append(item)
    chunk: list[Any] = []
    for group in groups.values():
        chunk += group
        if len(chunk) >= size:
            yield chunk, 0
            chunk = []
    if chunk:
        yield chunk, 0


def identity(item: Any) -> object:
    """Returns the key of an element: two with equal keys name the same thing."""
    if isinstance(item, str):
        return item
    names = ("name", "topic_id", "resource_type", "resource_name")
    return tuple(getattr(item, name, None) for name in names)


def _chunks(items: Sequence[Any], path: Sequence[str], size: int) -> Iterator[tuple[list[Any], int]]:
    """Runs of items that have no more than `size` elements at the end of `path`, each with its depth."""
    if not path:
        for start in range(0, len(items), size):
            yield list(items[start : start + size]), 0
        return
    chunk: list[Any] = []
    room = size
    for item in items:
        weight = max(1, _weight(item, path, size))
        if weight > room and chunk:
            yield chunk, 0
            chunk, room = [], size
        if weight <= size:
            chunk.append(item)
            room -= weight
            continue
        for number, (inner, depth) in enumerate(_chunks(_list(item, path[0]), path[1:], size)):
            yield [_with(item, path[0], inner)], depth + 1 if number else 0
    if chunk:
        yield chunk, 0


def _weight(item: object, path: Sequence[str], enough: int) -> int:
    """Counts elements at the end of the path, up to `enough`; an element without any counts as one."""
    inner = _list(item, path[0])
    if len(path) == 1:
        return len(inner)
    weight = 0
    for one in inner:
        weight += max(1, _weight(one, path[1:], enough))
        if weight > enough:
            break
    return weight


def _list(item: object, name: str) -> Sequence[Any]:
    # For all topics of a group this is null.
    return getattr(item, name) or ()


def _with(struct: Any, name: str, items: list[Any]) -> Any:
    copied = copy.copy(struct)
    setattr(copied, name, items)
    return copied
