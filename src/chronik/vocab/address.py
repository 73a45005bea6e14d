"""Formats a host and a port."""


def host_and_port(host: str, port: int) -> str:
    """Puts brackets around an IPv6 host, as clients and browsers expect."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
