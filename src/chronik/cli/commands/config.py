"""`chronik config`: settings of topics, brokers and groups."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout
from chronik.cli.parsing import assignments

if TYPE_CHECKING:
    from chronik.vocab.config.definition import ResourceType

app = typer.Typer(
    name="config", help="Show and change settings of topics, brokers and groups.", no_args_is_help=True
)


class Resource(StrEnum):
    """Resources that have settings."""

    TOPIC = "topic"
    BROKER = "broker"
    GROUP = "group"


Kind = Annotated[Resource, typer.Argument(help="What kind of thing has the settings.")]
Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="Topic, broker id or group; for brokers, none is all of them.")
]


@app.command()
@guarded
def describe(
    kind: Kind,
    name: Name = "",
    all_settings: Annotated[
        bool, typer.Option("--all", help="Show settings with default values too.")
    ] = False,
    documentation: Annotated[bool, typer.Option("--doc", help="Show what each setting means.")] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show settings: those that were set, or with --all every one."""
    from chronik.cli.config_report import print_settings
    from chronik.cli.output import left, print_json, print_table
    from chronik.client import configs
    from chronik.client.client import Client

    with Client(bootstrap_server, timeout_s=timeout) as client:
        settings = configs.describe(client, _resource_type(kind, name), name)
    found = [setting for setting in settings if all_settings or not setting.is_default]
    if json:
        print_json(found)
        return
    if documentation:
        print_settings(found)
        return
    columns = [left("Setting"), left("Value", is_folded=True), left("Set by")]
    rows = [
        [setting.name, "(hidden)" if setting.is_sensitive else setting.value, setting.source]
        for setting in found
    ]
    print_table(columns, rows, empty="All settings have their defaults; --all shows them.")


@app.command()
@guarded
def alter(
    kind: Kind,
    name: Name = "",
    change: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="Set it; repeatable.")
    ] = None,
    delete: Annotated[
        list[str] | None,
        typer.Option("--delete", "-d", metavar="NAME", help="Give it its default back; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check whether it could be done.")] = False,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Change settings; either all of them or none."""
    from chronik.cli.output import print_done, print_json
    from chronik.client import configs
    from chronik.client.client import Client

    settings, reset = assignments(change), delete or []
    if not settings and not reset:
        raise Failure("there is nothing to alter", "Give --set NAME=VALUE or --delete NAME.", ExitCode.USAGE)
    with Client(bootstrap_server, timeout_s=timeout) as client:
        resource_type = _resource_type(kind, name)
        configs.alter(client, resource_type, name, change=settings, delete=reset, validate_only=dry_run)
    if json:
        print_json({"set": settings, "deleted": reset, "executed": not dry_run})
        return
    print_done("It could be done." if dry_run else f"Altered {kind.value} {name}".rstrip() + ".")


def _resource_type(kind: Resource, name: str) -> "ResourceType":
    from chronik.vocab.config.definition import ResourceType

    if not name and kind is not Resource.BROKER:
        raise Failure(f"which {kind.value}?", f"Write its name after `{kind.value}`.", ExitCode.USAGE)
    return ResourceType[kind.name]
