"""The session of the client that most tests are."""

from chronik.broker.session import Session


def client_session(*, listener: str = "PLAINTEXT", client_host: str = "192.0.2.1") -> Session:
    """Anonymous, on a listener that asks for no more."""
    return Session(connection_id=1, listener=listener, client_host=client_host)
