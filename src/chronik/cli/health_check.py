"""Asking a broker whether it is ready."""

import http
import http.client
import json
from dataclasses import dataclass, field

from chronik.client.address import parse_address
from chronik.client.client import Client

_HTTP_PORT = 9101


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`asked` names the address and the request."""

    is_ready: bool
    reasons: list[str]
    asked: str
    # Problems although it is ready.
    warnings: list[str] = field(default_factory=list)


def ask_http(address_text: str, timeout_s: float) -> Health | None:
    """Returns the answer of /health/ready; None when no HTTP server answers. Raises ClientError for a bad
    address.
    """
    address = parse_address(address_text.rstrip("/"), _HTTP_PORT)
    asked = f"http://{address}/health/ready"
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read()
    except TimeoutError:
        return Health(is_ready=False, reasons=[f"no answer within {timeout_s:g} s"], asked=asked)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status == http.HTTPStatus.OK:
        return Health(is_ready=True, reasons=[], asked=asked, warnings=_warnings(body))
    return Health(is_ready=False, reasons=_reasons(response.status, body), asked=asked)


def ask_kafka(bootstrap_servers: str, timeout_s: float) -> Health:
    """Ready when a broker answers ApiVersions and Metadata. Raises Unreachable when none does."""
    with Client(bootstrap_servers, timeout_s=timeout_s) as client:
        client.metadata(())
        address = client.any_node().address
    return Health(is_ready=True, reasons=[], asked=f"{address} answered Metadata")


def _warnings(body: bytes) -> list[str]:
    try:
        return [str(warning) for warning in json.loads(body).get("warnings", [])]
    except (ValueError, AttributeError):
        return []


def _reasons(status: int, body: bytes) -> list[str]:
    try:
        reasons = json.loads(body)["reasons"]
    except (ValueError, KeyError, TypeError):
        return [f"HTTP status {status}"]
    return [str(reason) for reason in reasons] or [f"HTTP status {status}"]
