"""The address of this machine for clients, for listeners that are open on every interface."""

import socket

# Addresses out of the ranges for documentation: routes to them are routes to the internet. No packet is sent:
# connecting a UDP socket only chooses the interface.
_FAR_AWAY = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}

# Any but 0, which some systems refuse.
_PORT = 9


def own_host(wildcard: str) -> str:
    """The address that this machine would send from: IPv4 first, for `::` IPv6 first, `localhost` without a
    network.

    It is an address, because a look-up of the host's name may take seconds and often fails outside of this
    machine.
    """
    families = [socket.AF_INET, socket.AF_INET6]
    if wildcard == "::":
        families.reverse()
    for family in families:
        address = _source_address(family)
        if address is not None:
            return address
    return "localhost"


def _source_address(family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_FAR_AWAY[family], _PORT))
            return str(probe.getsockname()[0])
    except OSError:
        # No route, or no such family on this machine.
        return None
