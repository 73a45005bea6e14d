"""What can go wrong around a broker under test."""


class BrokerError(Exception):
    """The broker did not start, did not stop, or was asked for what it cannot do now; says which and why."""
