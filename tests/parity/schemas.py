"""The message layouts that scenarios speak: Chronik's generated tables, and the few versions they lack.

Only the tables (`FIELDS`) are shared with the server. The codec beside this module reads them on its own,
so that a fault in the server's compiled codecs shows as a difference.
"""

from importlib import import_module
from typing import NamedTuple

from chronik.wire.apis import SCHEMAS, ApiKey, request_class, response_class
from chronik.wire.schema import Message


class Layout(NamedTuple):
    """One side of one API."""

    message: type[Message]
    flexible_from: int | None

    def is_flexible(self, version: int) -> bool:
        return self.flexible_from is not None and version >= self.flexible_from


def request_layout(api_key: ApiKey) -> Layout:
    """KeyError for an API whose layout is not known."""
    return Layout(_message_class(api_key, "Request"), SCHEMAS[api_key].flexible_from)


def response_layout(api_key: ApiKey) -> Layout:
    """KeyError for an API whose layout is not known."""
    return Layout(_message_class(api_key, "Response"), SCHEMAS[api_key].flexible_from)


def _message_class(api_key: ApiKey, side: str) -> type[Message]:
    """The package's own for what it serves or asks, else one that was generated for these scenarios."""
    if SCHEMAS[api_key].module is not None:
        return request_class(api_key) if side == "Request" else response_class(api_key)
    module = api_key.name.lower()
    name = module.title().replace("_", "") + side
    found: type[Message] = getattr(import_module(f"tests.parity.messages.{module}"), name)
    return found


def has_flexible_request_header(api_key: int, version: int) -> bool:
    """True if tagged fields follow the client id."""
    flexible_from = _flexible_from(api_key)
    return flexible_from is not None and version >= flexible_from


def has_flexible_response_header(api_key: int, version: int) -> bool:
    """True if tagged fields follow the correlation id; never for ApiVersions (KIP-511)."""
    return api_key != ApiKey.API_VERSIONS and has_flexible_request_header(api_key, version)


def _flexible_from(api_key: int) -> int | None:
    try:
        return SCHEMAS[ApiKey(api_key)].flexible_from
    except (ValueError, KeyError):
        return None
