"""How a host and a port are written."""


def host_and_port(host: str, port: int) -> str:
    """With brackets around an IPv6 host, as clients and browsers take it in."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
