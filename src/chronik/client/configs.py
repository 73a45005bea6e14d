"""Configurations of topics, brokers and groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chronik.client.client import Client
from chronik.client.connection import Connection
from chronik.client.errors import ClientError, check, only
from chronik.vocab.config.definition import ConfigSource, ConfigType, ResourceType
from chronik.wire.apis import ApiKey
from chronik.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from chronik.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

_SET = 0
_DELETE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a resource. A sensitive one has no value."""

    name: str
    value: str | None
    # Who set it, in lower case words: "default", "topic", "static broker", ...
    source: str
    type: str
    is_default: bool
    is_read_only: bool
    is_sensitive: bool
    documentation: str


def describe(client: Client, kind: ResourceType, name: str) -> list[Setting]:
    """Returns all settings of a resource, by name. Raises ClientError."""
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=None)
    request = DescribeConfigsRequest(resources=[resource], include_synonyms=False, include_documentation=True)
    node = _node_for(client, kind, name)
    answer = node.ask(ApiKey.DESCRIBE_CONFIGS, request, DescribeConfigsResponse)
    result = only(answer.results, f"read the configuration of {_named(kind, name)}")
    check(result.error_code, f"read the configuration of {_named(kind, name)}", result.error_message)
    return sorted((_setting(config) for config in result.configs), key=lambda setting: setting.name)


def alter(
    client: Client,
    kind: ResourceType,
    name: str,
    *,
    change: Mapping[str, str],
    delete: Sequence[str] = (),
    validate_only: bool = False,
) -> None:
    """Sets some settings and resets others to their defaults; all or nothing. Raises ClientError.

    A broker accepts the deletion of any name, as Kafka's does: misspelt ones are found here.
    """
    _check_deleted(client, kind, name, delete)
    configs = [AlterableConfig(name=key, config_operation=_SET, value=value) for key, value in change.items()]
    configs += [AlterableConfig(name=key, config_operation=_DELETE, value=None) for key in delete]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    node = _node_for(client, kind, name)
    answer = node.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, request, IncrementalAlterConfigsResponse)
    for result in answer.responses:
        check(result.error_code, f"change the configuration of {_named(kind, name)}", result.error_message)


def _check_deleted(client: Client, kind: ResourceType, name: str, delete: Sequence[str]) -> None:
    if not delete:
        return
    described = describe(client, kind, name)
    if kind is ResourceType.BROKER and not name:
        # For all brokers only changed settings are described; each broker has all names.
        described += describe(client, kind, str(next(iter(client.nodes()))))
    known = {setting.name for setting in described}
    unknown = [key for key in delete if key not in known]
    if unknown:
        shown = "`chronik config describe --all` shows those there are."
        raise ClientError(f"{_named(kind, name)} has no setting {', '.join(unknown)}", hint=shown)


def _node_for(client: Client, kind: ResourceType, name: str) -> Connection:
    """A broker's own configuration is requested from that broker."""
    if kind is not ResourceType.BROKER or not name:
        return client.any_node()
    nodes = client.nodes()
    if not name.isdigit() or int(name) not in nodes:
        there = ", ".join(map(str, sorted(nodes)))
        raise ClientError(f"there is no broker {name}", hint=f"The cluster has: {there}.")
    return nodes[int(name)]


def _named(kind: ResourceType, name: str) -> str:
    return f"{kind.name.lower()} {name}".strip() if name else f"all {kind.name.lower()}s"


def _setting(config: DescribeConfigsResourceResult) -> Setting:
    source = _known(ConfigSource, config.config_source).removesuffix(" config")
    return Setting(
        name=config.name,
        value=config.value,
        source=source,
        type=_known(ConfigType, config.config_type),
        is_default=config.config_source == ConfigSource.DEFAULT_CONFIG,
        is_read_only=config.read_only,
        is_sensitive=config.is_sensitive,
        documentation=config.documentation or "",
    )


def _known(numbers: type[ConfigSource] | type[ConfigType], number: int) -> str:
    try:
        return numbers(number).name.lower().replace("_", " ")
    except ValueError:
        return f"unknown ({number})"
