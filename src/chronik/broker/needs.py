"""The permissions that an API needs: declared by each handler module as `NEEDS`.

They are Kafka's own rules. A need is of the whole request (`Whole`); of each thing that it names (`Each`):
those without it are refused in their place, and the others are served; or of things that the handler itself
looks up (`Inside`). `broker.authorization` checks the first two.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from chronik.broker.context import Broker
from chronik.vocab.acl import CLUSTER_NAME, AclOperation, AclResourceType
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.ids import NO_TOPIC_ID


class Whole(NamedTuple):
    """Without it the whole request is refused, with the error of the resource's type."""

    operation: AclOperation
    resource_type: AclResourceType
    # The resource's name by the request; None where this request does not need it.
    name: Callable[[Any], str | None]
    # What suffices instead, on any resource of its type.
    or_any: tuple[AclOperation, AclResourceType] | None = None


class Each(NamedTuple):
    """Needed for each element of the list that a request is cut by (`broker.portions`)."""

    operation: AclOperation
    resource_type: AclResourceType
    # The resource's name by broker, request and element; None where this element does not need it, because it
    # is another kind of thing, is not there, or is refused by the handler anyway.
    name: Callable[[Broker, Any, Any], str | None]
    # Suffices for all of them, on the cluster.
    or_on_cluster: AclOperation | None = None
    # Elements that name the same thing are left to the handler, which refuses them for that.
    is_once: bool = False


class Inside(NamedTuple):
    """Checked by the handler itself."""

    operation: AclOperation
    resource_type: AclResourceType
    # How elements without the permission are treated.
    otherwise: str


class Needs(NamedTuple):
    """The needs of one API. Without any, every client may use it, for the reason in `because`."""

    whole: tuple[Whole, ...] = ()
    each: tuple[Each, ...] = ()
    inside: tuple[Inside, ...] = ()
    because: str = ""
    # Whether refusals have a text where there is room for one: as Kafka's.
    is_explained: bool = True


def on_cluster(operation: AclOperation) -> Whole:
    return Whole(operation=operation, resource_type=AclResourceType.CLUSTER, name=lambda _: CLUSTER_NAME)


def on_group(operation: AclOperation) -> Whole:
    """Needs the operation on the group in `group_id`."""
    return Whole(
        operation=operation, resource_type=AclResourceType.GROUP, name=lambda request: str(request.group_id)
    )


def each_topic(
    operation: AclOperation,
    field: str = "name",
    *,
    or_on_cluster: AclOperation | None = None,
    is_once: bool = False,
) -> Each:
    """Needs the operation on each topic, whose name is in `field`."""
    return Each(
        operation=operation,
        resource_type=AclResourceType.TOPIC,
        name=lambda broker, request, topic: str(getattr(topic, field)),
        or_on_cluster=or_on_cluster,
        is_once=is_once,
    )


def each_topic_by_name_or_id(operation: AclOperation) -> Each:
    """Needs the operation on each topic, given by name or id; an id that no topic has is left to the
    handler.
    """
    return Each(operation=operation, resource_type=AclResourceType.TOPIC, name=_name_by_either)


def each_group(operation: AclOperation) -> Each:
    """Needs the operation on each group, where the element is its name."""
    return Each(
        operation=operation,
        resource_type=AclResourceType.GROUP,
        name=lambda broker, request, group_id: str(group_id),
    )


def each_config_resource(operation: AclOperation) -> tuple[Each, ...]:
    """Needs the operation on the topic or group that is configured; on the cluster for brokers, their
    loggers and clients' metrics.
    """
    return tuple(
        Each(operation=operation, resource_type=resource_type, name=name)
        for resource_type, name in (
            (AclResourceType.TOPIC, _topic_of_resource),
            (AclResourceType.GROUP, _group_of_resource),
            (AclResourceType.CLUSTER, _cluster_of_resource),
        )
    )


def _name_by_either(broker: Broker, _: Any, asked: Any) -> str | None:
    if asked.topic_id == NO_TOPIC_ID:
        return str(asked.name)
    topic = broker.metadata.image.topics_by_id.get(asked.topic_id)
    return None if topic is None else topic.name


def _topic_of_resource(_: Broker, __: Any, resource: Any) -> str | None:
    return str(resource.resource_name) if resource.resource_type == ResourceType.TOPIC else None


def _group_of_resource(_: Broker, __: Any, resource: Any) -> str | None:
    return str(resource.resource_name) if resource.resource_type == ResourceType.GROUP else None


def _cluster_of_resource(_: Broker, __: Any, resource: Any) -> str | None:
    return CLUSTER_NAME if resource.resource_type in _OF_CLUSTER else None


_OF_CLUSTER = (ResourceType.BROKER, ResourceType.BROKER_LOGGER, ResourceType.CLIENT_METRICS)
