"""Errors of a broker under test."""


class BrokerError(Exception):
    """The broker did not start, did not stop, or cannot do the request now; the text has the details."""
