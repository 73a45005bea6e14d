"""The other nodes over TCP: one connection per pair, its handshake, its frames, and whether it lives."""
