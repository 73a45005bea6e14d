"""Kafka requests as bytes, for tests that stand where a client's socket is."""
